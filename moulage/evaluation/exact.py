"""Two classifiers on the same independent cases: exact McNemar, DeLong, and Holm's correction.

In:  who is right (N,) bool, or scores (N,) float, of one row a lesion (`lesions.by_lesion`).
Out: p values, two-sided; NaN where not defined.
Knows nothing of lesions: rows must be independent, and photographs of one lesion are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.arrays import check_array
from moulage.errors import ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Rows that only one of the two classifiers has right, and the exact p value."""

    n_only_first: int
    n_only_second: int
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeLong:
    """Two areas under the ROC curve on the same rows, their difference and its p value."""

    first: float
    second: float
    difference: float
    standard_error: float
    p_value: float


def mcnemar(*, first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> McNemar:
    """Return the exact binomial test of the rows on which the two disagree [mcnemar1947].

    p doubles the smaller tail and is at most 1; without disagreement it is 1.
    """
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    _check_paired(first, second)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return McNemar(
        n_only_first=only_first,
        n_only_second=only_second,
        p_value=_sign_test(only_first, only_second),
    )


def delong(
    *,
    positives: NDArray[np.bool_],
    first: NDArray[np.floating],
    second: NDArray[np.floating],
) -> DeLong:
    """Return the test of two correlated areas [delong1988, eq. 5–6; sun2014 for the ranks].

    NaN without two rows of each kind. Equal areas have p = 1; different areas without any
    variance (a perfect one beside a constant one) have no standard normal, hence NaN.
    """
    positives = np.asarray(positives, dtype=bool)
    first, second = np.asarray(first), np.asarray(second)
    _check_paired(positives, first)
    _check_paired(positives, second)
    for name, scores in (("first", first), ("second", second)):
        check_array(scores, name, kind="numbers", shape=positives.shape)
    areas, covariance = _areas_and_covariance(positives, np.stack([first, second]))
    difference = float(areas[0] - areas[1])
    error = math.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))
    return DeLong(
        first=float(areas[0]),
        second=float(areas[1]),
        difference=difference,
        standard_error=error if not np.isnan(covariance).any() else math.nan,
        p_value=_normal_test(difference, error) if not np.isnan(covariance).any() else math.nan,
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values that hold for the whole family [holm1979]; NaN is no member of it.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    adjusted = [math.nan] * len(p_values)
    members = [place for place, p_value in enumerate(p_values) if not math.isnan(p_value)]
    largest = 0.0
    for rank, place in enumerate(sorted(members, key=lambda member: p_values[member])):
        largest = max(largest, min(1.0, (len(members) - rank) * float(p_values[place])))
        adjusted[place] = largest
    return tuple(adjusted)


def _sign_test(one: int, other: int) -> float:
    """Return the two-sided p of as uneven a split of fair coins, summed exactly."""
    n_coins = one + other
    tail: int = sum(math.comb(n_coins, k) for k in range(min(one, other) + 1))
    return float(min(1.0, 2 * tail / 2**n_coins))


def _areas_and_covariance(
    positives: NDArray[np.bool_], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return areas `(2,)` and their covariance `(2, 2)` from `scores (2, N)`."""
    from scipy.stats import rankdata

    n_positive, n_negative = int(positives.sum()), int((~positives).sum())
    if min(n_positive, n_negative) < 2:
        return np.full(2, np.nan), np.full((2, 2), np.nan)
    everyone = rankdata(scores, axis=1)
    among_positives = rankdata(scores[:, positives], axis=1)
    among_negatives = rankdata(scores[:, ~positives], axis=1)
    of_positives = (everyone[:, positives] - among_positives) / n_negative
    of_negatives = 1 - (everyone[:, ~positives] - among_negatives) / n_positive
    covariance = np.cov(of_positives) / n_positive + np.cov(of_negatives) / n_negative
    return of_positives.mean(axis=1), covariance


def _normal_test(difference: float, error: float) -> float:
    if abs(difference) < 1e-12:
        return 1.0
    return math.erfc(abs(difference) / error / math.sqrt(2)) if error > 0 else math.nan


def _check_paired(one: NDArray[np.generic], other: NDArray[np.generic]) -> None:
    if one.ndim != 1 or one.shape != other.shape:
        raise ShapeError(
            f"Paired columns must have one shape (N,); got {one.shape} and {other.shape}. "
            "Pass the same rows in the same order."
        )
