"""Means over images with their intervals, whole lesions counted, nothing drawn.

In:  values (N,) float, lesion_ids (N,).   Out: an Interval.
Knows nothing of what the values are; a share is the mean of noughts and ones.
Why: a page asks for hundreds of shares. The slope of a mean in each lesion's weight is known, so
its standard error needs no bootstrap; the bounds are those of `intervals`.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.influence import ranking_influences
from moulage.evaluation.intervals import (
    LEVEL,
    TELLING,
    Interval,
    binomial_bounds,
    carried_size,
    normal_error,
    student_bounds,
    without_rounding,
)
from moulage.evaluation.ranking import rank, weighted_areas
from moulage.evaluation.resampling import equal_size
from moulage.evaluation.scales import SHARE, Bounds


def mean_interval(
    values: NDArray[np.floating] | NDArray[np.bool_],
    *,
    lesion_ids: NDArray[np.str_],
    bounds: Bounds = SHARE,
) -> Interval:
    """Return the mean with its interval; NaN without images.

    A share that fewer than ten lesions carry, such as one wrong in a hundred, has Clopper's and
    Pearson's bounds of so many equally large lesions (`equal_size`): Student's t of one lesion
    would say nothing. One of exactly 0 or 1 has the standard error of a normal share with bounds
    as far apart.
    """
    exact = np.asarray(values, dtype=np.float64)
    if not len(exact):
        return undefined()
    mean, sizes = float(exact.mean()), np.unique(lesion_ids, return_counts=True)[1]
    if bounds == SHARE and mean in (0.0, 1.0):
        return _certain(mean, equal_size(sizes))
    slopes = (exact - mean) / len(exact)
    found = interval_of(mean, slopes, lesion_ids=lesion_ids, bounds=bounds)
    if bounds != SHARE or found.n_effective >= TELLING:
        return found
    low, high = binomial_bounds(mean, equal_size(sizes))
    return replace(found, low=low, high=high)


def interval_of(
    value: float,
    slopes: NDArray[np.float64],
    *,
    lesion_ids: NDArray[np.str_] | NDArray[np.int64],
    bounds: Bounds = SHARE,
    n_carrying: float = math.inf,
) -> Interval:
    """Return the interval of a number with its slopes in each image's weight `(N,)`.

    n_carrying: the lesions of the fewer kind where it weighs two, see `carried_size`. On the scale
    of shares there is neither error nor bound where no slope differs from 0, as under a perfect
    AUROC, or where one lesion is all of a kind.
    """
    _, of_image = np.unique(lesion_ids, return_inverse=True)
    sums = np.bincount(of_image, weights=slopes).astype(np.float64)
    by_lesion = without_rounding(sums, value)
    n_lesions = len(by_lesion)
    spare = n_lesions / (n_lesions - 1) if n_lesions > 1 else math.nan
    n_effective = carried_size(by_lesion, n_carrying=n_carrying)
    is_known = bounds != SHARE or not math.isnan(n_effective)
    error = math.sqrt(spare * float((by_lesion**2).sum())) if is_known else math.nan
    low, high = student_bounds(value, error, n_effective=n_effective, bounds=bounds, level=LEVEL)
    return Interval(value=value, low=low, high=high, standard_error=error, n_effective=n_effective)


def area_interval(
    positives: NDArray[np.bool_],
    scores: NDArray[np.floating],
    *,
    lesion_ids: NDArray[np.str_] | NDArray[np.int64],
) -> tuple[Interval, int]:
    """Return the AUROC with its interval, and the lesions behind it: those of the fewer kind."""
    ranking = rank(positives=positives, scores=scores)
    area = float(weighted_areas(ranking, weights=np.ones((len(scores), 1)))[0])
    n_carrying = min(len(np.unique(lesion_ids[rows])) for rows in (positives, ~positives))
    if math.isnan(area):
        return undefined(), n_carrying
    slopes, _ = ranking_influences(ranking)
    return interval_of(area, slopes, lesion_ids=lesion_ids, n_carrying=n_carrying), n_carrying


def _certain(value: float, n: float) -> Interval:
    low, high = binomial_bounds(value, n)
    error = normal_error(low, high, level=LEVEL)
    return Interval(value=value, low=low, high=high, standard_error=error, n_effective=n)


def undefined() -> Interval:
    """Return the interval of a number that nobody measured."""
    nan = math.nan
    return Interval(value=nan, low=nan, high=nan, standard_error=nan, n_effective=nan)
