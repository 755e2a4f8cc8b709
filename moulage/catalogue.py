"""The catalogue: one table of images with their diagnoses, and what each diagnosis is.

In:  a data frame with the columns of `COLUMNS`, and the diagnoses in their order.
Out: a frozen record; `labels` are indices into `diagnoses`.
Knows nothing of folders' layouts (`data/` reads those), splits or networks.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from moulage.arrays import row_numbers
from moulage.errors import DataError, examples
from moulage.files import write_bytes
from moulage.seal import BLANK, NOT_AS_WRITTEN, digest_of, is_sound, seal
from moulage.split import Unit

COLUMNS = (
    "image_id",
    "lesion_id",
    "path",
    "diagnosis",
    "age",
    "sex",
    "localization",
    "dx_type",
)
MEMBER = "!/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One class: its code in the data, its name in words, its colour, whether it is malignant."""

    code: str
    name: str
    colour: str
    is_malignant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalogue:
    """Images, a row each, in a fixed order.

    frame: image_id, lesion_id, path, diagnosis (str); age (float, NaN where missing), sex,
        localization, dx_type (str, NaN where missing). A path is relative to `root`, with
        forward slashes; a file inside a zip reads `part_1.zip!/ISIC_0024306.jpg`. Further
        columns of a table stay for surveys to look at; neither digest nor file holds them.
    diagnoses: K of them; `labels` index into them.
    name: what the data set is called in pages. unit: what lesion_id names; files of before
        these were told apart say lesions.
    """

    frame: pd.DataFrame
    diagnoses: tuple[Diagnosis, ...]
    root: Path
    name: str = "images"
    unit: Unit = "lesion"

    def __post_init__(self) -> None:
        missing = [column for column in COLUMNS if column not in self.frame.columns]
        if missing:
            raise DataError(
                f"A catalogue must have the columns {', '.join(COLUMNS)}; got none named "
                f"{examples(missing)}. Fill a column you lack with missing values."
            )
        object.__setattr__(self, "frame", self.frame.reset_index(drop=True))

    def __repr__(self) -> str:
        n_images, n_diagnoses = len(self), len(self.diagnoses)
        return f"Catalogue(name={self.name!r}, n_images={n_images}, n_diagnoses={n_diagnoses})"

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the diagnoses, in their order."""
        return tuple(diagnosis.code for diagnosis in self.diagnoses)

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the columns beyond `COLUMNS`."""
        return tuple(str(name) for name in self.frame.columns if name not in COLUMNS)

    @property
    def image_ids(self) -> NDArray[np.str_]:
        """(N,) str, unique."""
        return self.frame["image_id"].to_numpy(dtype=str)

    @property
    def lesion_ids(self) -> NDArray[np.str_]:
        """(N,) str, the groups that no split may tear apart."""
        return self.frame["lesion_id"].to_numpy(dtype=str)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) int64 in [0, K); raises DataError where a diagnosis is none of the catalogue's."""
        index = {code: label for label, code in enumerate(self.codes)}
        found = self.frame["diagnosis"].map(index)
        if found.isna().any():
            unknown = self.frame["diagnosis"][found.isna()].unique()
            raise DataError(
                f"A diagnosis must be one of {', '.join(self.codes)}; got {examples(unknown)}. "
                "Correct the table, or add to `diagnoses`."
            )
        return np.asarray(found, dtype=np.int64)

    @property
    def digest(self) -> str:
        """A function of the table, the diagnoses and what ids name, not of where images lie."""
        rows = self.frame[list(COLUMNS)].astype(str).to_numpy().tolist()
        named = [self.unit] if self.unit != "lesion" else []  # a table of lesions keeps its digest
        return digest_of([rows, [_as_dict(diagnosis) for diagnosis in self.diagnoses], *named])

    def table(self) -> pd.DataFrame:
        """Return the frame with the paper's engineered columns: cell_type (words), label."""
        names = {diagnosis.code: diagnosis.name for diagnosis in self.diagnoses}
        return self.frame.assign(cell_type=self.frame["diagnosis"].map(names), label=self.labels)

    def take(self, rows: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> "Catalogue":
        """Return the catalogue of some rows, by number or by a mask; the diagnoses stay."""
        return replace(self, frame=self.frame.iloc[row_numbers(rows, n_rows=len(self))])


def write_catalogue(catalogue: Catalogue, path: Path) -> None:
    """Write a Parquet file that `read_catalogue` reads back equal."""
    table = pa.Table.from_pandas(catalogue.frame[list(COLUMNS)], preserve_index=False)
    meta = {
        "seal": BLANK,
        "root": str(catalogue.root),
        "name": catalogue.name,
        "unit": catalogue.unit,
        "diagnoses": [_as_dict(diagnosis) for diagnosis in catalogue.diagnoses],
    }
    table = table.replace_schema_metadata({"moulage": json.dumps(meta)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_bytes(path, seal(sink.getvalue().to_pybytes()))


def read_catalogue(path: Path) -> Catalogue:
    """Read what `write_catalogue` wrote; raises DataError on any other file, or a torn one."""
    content = path.read_bytes()
    try:
        if not is_sound(content):
            raise ValueError(NOT_AS_WRITTEN)
        table = pq.read_table(pa.BufferReader(content))
        meta = json.loads((table.schema.metadata or {}).get(b"moulage", b"{}"))
    except (ValueError, OSError, pa.ArrowException) as error:
        raise DataError(
            f"`{path}` must be a whole catalogue in Parquet; got '{error}'. Copy the run folder "
            "again, or delete it and train it again."
        ) from error
    if not meta:
        raise DataError(
            f"`{path}` must be a catalogue written by moulage; got a Parquet file without its "
            'diagnoses. Read a foreign table with `kind = "table"`.'
        )
    return Catalogue(
        frame=table.to_pandas(),
        diagnoses=tuple(Diagnosis(**fields) for fields in meta["diagnoses"]),
        root=Path(meta["root"]),
        name=meta["name"],
        unit=meta.get("unit", "lesion"),
    )


def _as_dict(diagnosis: Diagnosis) -> dict[str, str | bool]:
    return {
        "code": diagnosis.code,
        "name": diagnosis.name,
        "colour": diagnosis.colour,
        "is_malignant": diagnosis.is_malignant,
    }
