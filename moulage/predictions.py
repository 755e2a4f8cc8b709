"""Predictions: the waist of the house, one table with a row an image.

In:  logits before temperature, with the training part's natural prior put back.
Out: a frozen record; everything downstream is a function of it, the catalogue and the split.
Knows nothing of networks. Equal content gives equal bytes on disk, and other bytes are refused.
"""

import json
from collections import Counter
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from moulage.arguments import is_positive, one_of, path_of
from moulage.arrays import check_array, check_shares, read_only, row_numbers
from moulage.errors import DataError, ShapeError, examples
from moulage.files import write_bytes
from moulage.seal import BLANK, NOT_AS_WRITTEN, is_sound, seal
from moulage.split import PARTS, UNITS, Part, Unit, check_parts, count_parts, unit_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """What a classifier says of each image.

    image_ids, lesion_ids, parts (N,) str; labels (N,) int64 in [0, K); logits (N, K) float32.
    diagnoses: K codes, the columns' order. prior: (K,) float64, the natural prior of the
    training part. temperature: > 0; `probabilities` applies it. unit: what lesion_ids name.
    No image stands twice in a part, unless `take` draws it twice. Arrays are views that cannot be
    written to.
    """

    image_ids: NDArray[np.str_]
    lesion_ids: NDArray[np.str_]
    parts: NDArray[np.str_]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    diagnoses: tuple[str, ...]
    prior: NDArray[np.float64]
    temperature: float = 1.0
    split_digest: str = ""
    classifier_digest: str = ""
    unit: Unit = "lesion"

    def __post_init__(self) -> None:
        self._check_diagnoses()
        one_of(self.unit, "unit", UNITS)
        n_rows, n_classes = len(self.image_ids), len(self.diagnoses)
        for name in ("image_ids", "lesion_ids", "parts"):
            check_array(getattr(self, name), name, kind="text", shape=(n_rows,))
        check_parts(self.parts)
        self._check_images()
        check_array(self.labels, "labels", kind="integers", shape=(n_rows,))
        check_shares(self.prior, "prior", n_classes=n_classes)
        self._check_logits((n_rows, n_classes))
        if not is_positive(self.temperature):
            raise ShapeError(
                f"`temperature` must be a number above 0; got {self.temperature!r}. Fit it with "
                "`evaluation.calibration.fit_temperature`, or leave it out."
            )
        for name in ("image_ids", "lesion_ids", "parts", "labels", "logits", "prior"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def _check_diagnoses(self) -> None:
        codes = self.diagnoses
        is_list = isinstance(codes, tuple | list) and all(isinstance(code, str) for code in codes)
        if not is_list or len(set(codes)) < len(codes):
            raise ShapeError(
                f"`diagnoses` must be different codes, one a column of `logits`; got {codes!r}. "
                'Pass, say, `("mel", "nv")`.'
            )

    def _check_images(self) -> None:
        rows = list(zip(self.image_ids.tolist(), self.parts.tolist(), strict=True))
        if len(set(rows)) == len(rows):
            return
        twice = [f"{image_id} in {part}" for (image_id, part), n in Counter(rows).items() if n > 1]
        raise DataError(
            f"An image must stand once in a part; got {examples(twice)} more than once. Leave the "
            "repeated rows out."
        )

    def _check_logits(self, expected: tuple[int, int]) -> None:
        if not isinstance(self.logits, np.ndarray) or self.logits.shape != expected:
            raise ShapeError(
                f"`logits` must be an array of shape (N, K) = {expected}; got "
                f"{getattr(self.logits, 'shape', type(self.logits).__name__)}. Pass a row an image "
                "and a column a diagnosis."
            )
        if self.logits.dtype != np.float32:
            raise ShapeError(
                f"`logits` must be float32; got {self.logits.dtype}. "
                "Pass `logits.astype(np.float32)`."
            )
        if not np.isfinite(self.logits).all():
            raise ShapeError(
                f"`logits` must be finite; got {int((~np.isfinite(self.logits)).sum())} values "
                "that are not. Look for a training that diverged."
            )

    def __repr__(self) -> str:
        n_rows, n_diagnoses = count_parts(self.parts), len(self.diagnoses)
        return f"Predictions(n_rows={n_rows}, n_diagnoses={n_diagnoses}, unit={self.unit!r})"

    def __len__(self) -> int:
        return len(self.image_ids)

    def of(self, part: Part) -> "Predictions":
        """Return the rows of one part; none where no image lies there."""
        one_of(part, "part", PARTS)
        return self.take(np.flatnonzero(self.parts == part))

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Predictions":
        """Return some rows, by number in their order, or by a mask; a bootstrap may draw twice."""
        rows = row_numbers(rows, n_rows=len(self))
        taken = copy(self)  # without the checks: these rows have passed them
        for name in ("image_ids", "lesion_ids", "parts", "labels", "logits"):
            object.__setattr__(taken, name, read_only(getattr(self, name)[rows]))
        return taken

    def probabilities(self) -> NDArray[np.float64]:
        """Return softmax(logits / temperature) `(N, K)`, rows sum to 1."""
        scaled = self.logits.astype(np.float64) / self.temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        exponents = np.exp(scaled)
        total: NDArray[np.float64] = exponents.sum(axis=1, keepdims=True)
        return np.asarray(exponents / total, dtype=np.float64)


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write a Parquet file: image_id, lesion_id, part, label, a `logit_<dx>` a diagnosis.

    Where ids are groups', their column is called group_id.
    """
    columns: dict[str, pa.Array] = {
        "image_id": pa.array(predictions.image_ids.tolist(), pa.string()),
        f"{predictions.unit}_id": pa.array(predictions.lesion_ids.tolist(), pa.string()),
        "part": pa.array(predictions.parts.tolist(), pa.string()),
        "label": pa.array(predictions.labels, pa.int64()),
    }
    for k, code in enumerate(predictions.diagnoses):
        columns[f"logit_{code}"] = pa.array(predictions.logits[:, k], pa.float32())
    meta = {
        "seal": BLANK,
        "diagnoses": list(predictions.diagnoses),
        "prior": predictions.prior.tolist(),
        "temperature": predictions.temperature,
        "split_digest": predictions.split_digest,
        "classifier_digest": predictions.classifier_digest,
    }
    table = pa.table(columns).replace_schema_metadata({"moulage": json.dumps(meta)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_bytes(path, seal(sink.getvalue().to_pybytes()))


def read_predictions(path: Path | str) -> Predictions:
    """Read what `write_predictions` wrote; raises DataError on any other file, or a torn one."""
    path = path_of(path, "path")
    try:
        content = path.read_bytes()
        fields = _fields_of(pq.read_table(pa.BufferReader(content)))
        if not is_sound(content):
            raise ValueError(NOT_AS_WRITTEN)
    except (ValueError, KeyError, OSError, pa.ArrowException) as error:
        raise DataError(
            f"`{path}` must be whole predictions in Parquet; got '{error}'. Name another file, or "
            "delete a torn one and make it again with `moulage train` or `moulage evaluate`."
        ) from error
    if not fields:
        raise DataError(
            f"`{path}` must be predictions written by moulage; got a Parquet file without their "
            "prior. Make them with `moulage train` or `moulage evaluate`."
        )
    return Predictions(**fields)


def _fields_of(table: pa.Table) -> dict[str, Any]:
    """Return what a record is made of; nothing where another program wrote the table."""
    meta = json.loads((table.schema.metadata or {}).get(b"moulage", b"{}"))
    if "prior" not in meta:
        return {}
    codes, unit = tuple(meta["diagnoses"]), unit_of(table.column_names)
    logits = np.stack([table[f"logit_{code}"].to_numpy() for code in codes], axis=1)
    return {
        "image_ids": np.array(table["image_id"].to_pylist(), dtype=str),
        "lesion_ids": np.array(table[f"{unit}_id"].to_pylist(), dtype=str),
        "parts": np.array(table["part"].to_pylist(), dtype=str),
        "labels": table["label"].to_numpy().astype(np.int64),
        "logits": logits.astype(np.float32),
        "diagnoses": codes,
        "prior": np.array(meta["prior"], dtype=np.float64),
        "temperature": float(meta["temperature"]),
        "split_digest": meta["split_digest"],
        "classifier_digest": meta["classifier_digest"],
        "unit": unit,
    }
