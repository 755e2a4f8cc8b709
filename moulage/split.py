"""The split: which part each image belongs to.

In:  image ids, lesion ids and parts, row by row.   Out: a frozen record with a digest.
Knows nothing of how parts are chosen (`splits/`) or used. pandas is imported where it is used:
study files name parts, and a command that reads one must not wait for pandas.
"""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from moulage.arguments import one_of
from moulage.arrays import check_array, read_only, row_numbers
from moulage.errors import DataError, examples
from moulage.files import separator_of, write_text
from moulage.seal import digest_of

if TYPE_CHECKING:
    import pandas as pd

Part = Literal["train", "validation", "calibration", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "calibration", "test")
Unit = Literal["lesion", "group"]
"""What ids keep together, and what everything calls it: a lesion; or, where a data set says so, a
group, such as a patient, which may hold several lesions. Files name their column after it."""
UNITS: tuple[Unit, ...] = ("lesion", "group")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """The part of each image, in the catalogue's order.

    image_ids (N,) str; lesion_ids (N,) str; parts (N,) str, each one of `PARTS`. unit: what
    lesion_ids name.
    In a `leaky` split an image trains and is tested: it stands in two rows. Arrays are views that
    cannot be written to.
    """

    image_ids: NDArray[np.str_]
    lesion_ids: NDArray[np.str_]
    parts: NDArray[np.str_]
    unit: Unit = "lesion"
    _digest: str = field(init=False, default="", repr=False)

    def __post_init__(self) -> None:
        for name in ("image_ids", "lesion_ids", "parts"):
            check_array(getattr(self, name), name, kind="text", shape=(len(self.image_ids),))
        check_parts(self.parts)
        one_of(self.unit, "unit", UNITS)
        for name in ("image_ids", "lesion_ids", "parts"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def __repr__(self) -> str:
        return f"Split(n_rows={count_parts(self.parts)}, unit={self.unit!r})"

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def digest(self) -> str:
        """A function of which image is in which part, not of the rows' order; computed once."""
        if not self._digest:
            rows = zip(self.image_ids, self.lesion_ids, self.parts, strict=True)
            found = digest_of(sorted([str(i), str(g), str(p)] for i, g, p in rows))
            object.__setattr__(self, "_digest", found)
        return self._digest

    @property
    def is_blind(self) -> bool:
        """Say whether every image stands for a lesion of its own, so that leaks cannot be seen."""
        return bool((self.lesion_ids == self.image_ids).all())

    def rows_of(self, part: Part) -> NDArray[np.int64]:
        """Return the rows of this split that belong to a part, in order."""
        one_of(part, "part", PARTS)
        return np.flatnonzero(self.parts == part)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Split":
        """Return some rows of this split, by number or by a mask."""
        rows = row_numbers(rows, n_rows=len(self))
        return Split(
            image_ids=self.image_ids[rows],
            lesion_ids=self.lesion_ids[rows],
            parts=self.parts[rows],
            unit=self.unit,
        )

    def has(self, part: Part) -> bool:
        """Say whether any image belongs to a part."""
        one_of(part, "part", PARTS)
        return bool((self.parts == part).any())


def check_parts(parts: NDArray[np.str_]) -> None:
    """Refuse names of parts that are none."""
    unknown = sorted(set(parts.tolist()) - set(PARTS))
    if unknown:
        raise DataError(
            f"A part must be one of {', '.join(PARTS)}; got {examples(unknown)}. "
            "Rename the parts in the split file."
        )


def count_parts(parts: NDArray[np.str_]) -> dict[str, int]:
    """Return the rows of each part that has some, in the order of `PARTS`."""
    counted = Counter(parts.tolist())
    return {part: counted[part] for part in PARTS if part in counted}


def positions(split: Split, image_ids: Sequence[str] | NDArray[np.str_]) -> NDArray[np.int64]:
    """Return, for each row of the split, its image's place in `image_ids`.

    Raises DataError where the split names an image that `image_ids` lacks.
    """
    import pandas as pd

    where = pd.Index(np.asarray(image_ids, dtype=str)).get_indexer(pd.Index(split.image_ids))
    if (where < 0).any():
        lost = split.image_ids[where < 0]
        raise DataError(
            f"A split must name images of its catalogue; got {len(lost)} others "
            f"({examples(lost)}). Make the split from this catalogue."
        )
    return np.asarray(where, dtype=np.int64)


def write_split(split: Split, path: Path) -> None:
    """Write `image_id,lesion_id,part`, or `image_id,group_id,part`, a row an image."""
    write_text(path, _frame(split).to_csv(index=False, lineterminator="\n"))


def read_split(path: Path) -> Split:
    """Read what `write_split` writes; raises DataError where a column is missing.

    Of lesion_id and group_id the first counts.
    """
    import pandas as pd

    try:
        text = path.read_text(encoding="utf-8-sig")
        frame = pd.read_csv(
            io.StringIO(text), sep=separator_of(text), dtype=str, na_filter=False
        )  # `NA`: id
    except pd.errors.EmptyDataError:
        frame = pd.DataFrame()
    except (ValueError, OSError) as error:  # pandas' faults and those of encodings are ValueErrors
        raise DataError(
            f"A split file must be a table in UTF-8; got another in {path} ({error}). Export it "
            "again, as CSV."
        ) from error
    unit = unit_of(frame.columns)
    ids = f"{unit}_id"
    missing = [name for name in ("image_id", ids, "part") if name not in frame.columns]
    if missing:
        raise DataError(
            f"A split file must have the columns image_id, lesion_id and part; got no "
            f"{examples(missing)} in {path}. Add the column."
        )
    try:
        return Split(
            image_ids=frame["image_id"].to_numpy(dtype=str),
            lesion_ids=frame[ids].to_numpy(dtype=str),
            parts=frame["part"].to_numpy(dtype=str),
            unit=unit,
        )
    except DataError as error:
        raise DataError(f"{error} [{path}]") from error


def unit_of(columns: Iterable[str]) -> Unit:
    """Return what a file's column of ids names; lesions where it has none.

    >>> unit_of(["image_id", "group_id"]), unit_of(["image_id"])
    ('group', 'lesion')
    """
    named = set(columns)
    return next((unit for unit in UNITS if f"{unit}_id" in named), "lesion")


def _frame(split: Split) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "image_id": split.image_ids,
            f"{split.unit}_id": split.lesion_ids,
            "part": split.parts,
        }
    )
