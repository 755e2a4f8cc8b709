"""The linear model that stands for the classifier near one image, and how sure its weights are.

In:  masks (P, S) bool, values (P,), proximities (P,).   Out: a Surrogate, standard errors (S,).
Knows nothing of images or of how masks were chosen.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ShapeError
from moulage.explanation.masks import check_masks

_PASSED = 1e-9  # what is left of a value through which the fit must pass


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surrogate:
    """intercept + masks @ weights (S,), and the weighted R² of that; NaN if values are equal.

    score: on the values that it was fitted to. foretold: on each value by a fit to all others.
    """

    weights: NDArray[np.float64]
    intercept: float
    score: float
    foretold: float


def fit_surrogate(
    masks: NDArray[np.bool_],
    *,
    values: NDArray[np.float64],
    proximities: NDArray[np.float64],
    penalty: float = 0.0,
) -> Surrogate:
    """Minimise Σ proximity · (value - intercept - mask @ weights)² + penalty · Σ weights²."""
    _check(masks, values=values, proximities=proximities)
    means, mean = (np.average(of, axis=0, weights=proximities) for of in (masks, values))
    design = masks - means
    pulls = (design.T * proximities) @ (values - mean)
    inverse = _inverse(design, proximities, penalty)
    weights = inverse @ pulls
    residuals = values - mean - design @ weights
    left = _left(design, inverse, proximities)
    # What a value that the fit must pass through would be without it, only the mean can say.
    without = np.divide(residuals, left, out=values - mean, where=left > _PASSED)
    return Surrogate(
        weights=weights,
        intercept=float(mean - means @ weights),
        score=weighted_r2(values=values, residuals=residuals, weights=proximities),
        foretold=weighted_r2(values=values, residuals=without, weights=proximities),
    )


def standard_errors(
    surrogate: Surrogate,
    *,
    masks: NDArray[np.bool_],
    values: NDArray[np.float64],
    proximities: NDArray[np.float64],
    penalty: float,
) -> NDArray[np.float64]:
    """Return the standard errors (S,) of weights fitted to masks that were drawn at random.

    They hold under any scatter of the values [mackinnon1985, HC3]. What the penalty takes from
    a weight is an error too, and is added in squares.
    """
    _check(masks, values=values, proximities=proximities)
    design = masks - np.average(masks, axis=0, weights=proximities)
    inverse = _inverse(design, proximities, penalty)
    residuals = values - surrogate.intercept - masks @ surrogate.weights
    left = _left(design, inverse, proximities)
    # A row that the fit must pass through says nothing of its scatter.
    scatter = np.divide(residuals, left, out=np.zeros_like(residuals), where=left > _PASSED)
    pulls = (proximities * scatter)[:, None] * (design @ inverse)  # (P, S)
    taken = penalty * inverse @ surrogate.weights
    return np.asarray(np.sqrt((pulls**2).sum(axis=0) + taken**2))


def weighted_r2(
    *,
    values: NDArray[np.float64],
    residuals: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> float:
    """Return 1 - Σ w · residual² / Σ w · (value - mean)²; NaN where all values are equal.

    Of residuals at values left out, Σ w · residual² is the prediction sum of squares [allen1974].
    """
    deviations = values - np.average(values, weights=weights)
    total = float(weights @ deviations**2)
    rounding = 4 * np.finfo(float).eps * float(np.abs(values).max(initial=0.0))
    if total <= float(weights.sum()) * rounding**2:
        return math.nan
    return 1 - float(weights @ residuals**2) / total


def _left(
    design: NDArray[np.float64], inverse: NDArray[np.float64], proximities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return 1 - leverage (P,): residual / left is the error at a value left out [allen1974]."""
    shares = 1 / proximities.sum() + np.einsum("ps,st,pt->p", design, inverse, design)
    return np.asarray(1 - proximities * shares)


def _inverse(
    design: NDArray[np.float64], proximities: NDArray[np.float64], penalty: float
) -> NDArray[np.float64]:
    gram = (design.T * proximities) @ design
    inverse = np.linalg.pinv(gram + penalty * np.eye(design.shape[1]), hermitian=True)
    return np.asarray(inverse, dtype=np.float64)


def _check(
    masks: NDArray[np.bool_], *, values: NDArray[np.float64], proximities: NDArray[np.float64]
) -> None:
    check_masks(masks)
    if not values.shape == proximities.shape == (len(masks),):
        raise ShapeError(
            f"`values` and `proximities` must have shape (P,) = ({len(masks)},); got "
            f"{values.shape} and {proximities.shape}. Pass one of each a mask."
        )
