"""Numbers that may not be defined: NaN inside, a sentence on a page, null in JSON, never 0.

Why: the recall of a diagnosis that no test image has is not 0; nobody measured it.
"""

import math

import numpy as np
from numpy.typing import NDArray


def ratio(
    numerator: NDArray[np.floating] | NDArray[np.integer],
    denominator: NDArray[np.floating] | NDArray[np.integer],
) -> NDArray[np.float64]:
    """Return the quotient, element by element; NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the last axis of what is defined; NaN where nothing is."""
    is_defined = ~np.isnan(values)
    return ratio(np.where(is_defined, values, 0).sum(axis=-1), is_defined.sum(axis=-1))


def or_null(value: float) -> float | None:
    """Return None for NaN and for infinities, which JSON cannot hold."""
    return float(value) if math.isfinite(value) else None
