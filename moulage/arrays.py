"""Arrays that a caller passed, held against the type, shape and range that were stated.

In:  an array and its name.   Out: nothing, or a ShapeError with its cure.
Knows nothing of what arrays are used for. A check looks once at each element at most, and never
at texts: a run makes many records.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, ShapeError

_ROUNDED = 1e-4  # shares written with four or five digits sum to 1
_KINDS = {"text": "UTO", "integers": "iu", "numbers": "iuf"}
_CURES = {"text": "str", "integers": "np.int64", "numbers": "np.float64"}


def rng_of(value: object) -> np.random.Generator:
    """Return a generator of random numbers."""
    if not isinstance(value, np.random.Generator):
        raise ConfigError(
            f"`rng` must be a numpy generator; got {value!r}. Pass `np.random.default_rng(0)`."
        )
    return value


def check_array(values: object, name: str, *, kind: str, shape: tuple[int, ...]) -> None:
    """Refuse all but an array of "text", "integers" or "numbers" of a shape; numbers are finite."""
    if not isinstance(values, np.ndarray):
        raise ShapeError(
            f"`{name}` must be a numpy array of {kind}; got {type(values).__name__}. "
            f"Pass `np.asarray({name}, dtype={_CURES[kind]})`."
        )
    if values.shape != shape:
        raise ShapeError(
            f"`{name}` must have shape {shape}, a row an image; got {values.shape}. "
            "Pass the same rows in the same order."
        )
    if values.size and values.dtype.kind not in _KINDS[kind]:
        raise ShapeError(
            f"`{name}` must be an array of {kind}; got {values.dtype}. "
            f"Pass `{name}.astype({_CURES[kind]})`."
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ShapeError(
            f"`{name}` must be finite; got {int((~np.isfinite(values)).sum())} values that are "
            "not. Leave their rows out."
        )


def check_labels(labels: object, *, n_rows: int, n_classes: int) -> None:
    """Refuse labels that are not `(N,) int64 in [0, K)`."""
    check_array(labels, "labels", kind="integers", shape=(n_rows,))
    assert isinstance(labels, np.ndarray)
    if n_rows and not 0 <= labels.min() <= labels.max() < n_classes:
        raise ShapeError(
            f"`labels` must lie in [0, {n_classes}); got {labels.min()} to {labels.max()}. "
            "Leave out images without a known diagnosis."
        )


def check_shares(values: object, name: str, *, n_classes: int) -> None:
    """Refuse all but K finite numbers, none negative, whose sum is 1 but for rounding."""
    check_array(values, name, kind="numbers", shape=(n_classes,))
    if np.min(np.asarray(values), initial=0) < 0:
        raise ShapeError(
            f"`{name}` must not be negative; got {np.min(np.asarray(values))}. Make it with "
            "`evaluation.priors.class_prior`."
        )
    total = float(np.sum(np.asarray(values)))
    if abs(total - 1) > _ROUNDED:
        raise ShapeError(
            f"`{name}` must sum to 1; got a sum of {total:.6g}. Divide it by its sum, or make it "
            "with `evaluation.priors.class_prior`."
        )


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that refuses to be written to; the array itself stays as it is."""
    view = array.view()
    view.flags.writeable = False
    return view


def row_numbers(rows: object, *, n_rows: int) -> NDArray[np.int64]:
    """Return the numbers of rows that were chosen by number or by a mask (N,) bool."""
    chosen = np.asarray(rows)
    if chosen.dtype == np.bool_ and chosen.shape == (n_rows,):
        return np.flatnonzero(chosen)
    is_list = chosen.ndim == 1 and (chosen.dtype.kind in "iu" or not chosen.size)
    if not is_list or (chosen.size and not -n_rows <= chosen.min() <= chosen.max() < n_rows):
        raise ShapeError(
            f"`rows` must be numbers of rows in [0, {n_rows}), or a mask of shape ({n_rows},); got "
            f"{chosen.dtype} of shape {chosen.shape}. Choose rows with `np.flatnonzero`."
        )
    return chosen.astype(np.int64, copy=False)
