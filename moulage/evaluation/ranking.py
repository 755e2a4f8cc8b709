"""How well scores put positives before negatives, whatever the threshold.

In:  positives (N,) bool, scores (N,) float, and for a bootstrap weights (N, R).
Out: area under the ROC curve and average precision, NaN without both kinds of images.
Knows nothing of diagnoses; equal scores are ties: half right in AUROC, one step in AP.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ShapeError
from moulage.evaluation.undefined import ratio


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """The images from the highest score down.

    positive_rows (P,) and negative_rows (Q,) int64, highest first. For each positive:
    n_above (P,) negatives of higher score, n_level (P,) of higher or equal score, and
    last_equal (P,) the place of the last positive of equal score.
    """

    positive_rows: NDArray[np.int64]
    negative_rows: NDArray[np.int64]
    n_above: NDArray[np.int64]
    n_level: NDArray[np.int64]
    last_equal: NDArray[np.int64]


def auroc(*, positives: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Return the chance that a positive outranks a negative; NaN unless there are both."""
    ranking = rank(positives=positives, scores=scores)
    return float(weighted_ranking(ranking, weights=np.ones((len(scores), 1)))[0][0])


def average_precision(*, positives: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Return Σ (recall step × precision) from the top; NaN without positives."""
    ranking = rank(positives=positives, scores=scores)
    return float(weighted_ranking(ranking, weights=np.ones((len(scores), 1)))[1][0])


def rank(*, positives: NDArray[np.bool_], scores: NDArray[np.floating]) -> Ranking:
    """Sort once; any number of weightings can then be measured."""
    positives, scores = np.asarray(positives, dtype=bool), np.asarray(scores)
    if positives.ndim != 1 or positives.shape != scores.shape or np.isnan(scores).any():
        raise ShapeError(
            f"`scores` must have shape (N,) = {positives.shape} and no NaN; got {scores.shape}. "
            "Pass one score an image."
        )
    order = np.argsort(scores, kind="stable")[::-1]
    positive_rows, negative_rows = order[positives[order]], order[~positives[order]]
    above, below = -scores[positive_rows], -scores[negative_rows]
    return Ranking(
        positive_rows=positive_rows,
        negative_rows=negative_rows,
        n_above=np.searchsorted(below, above, side="left"),
        n_level=np.searchsorted(below, above, side="right"),
        last_equal=np.searchsorted(above, above, side="right") - 1,
    )


def weighted_ranking(
    ranking: Ranking, *, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return AUROC and average precision `(R,)` under each column of `weights (N, R)`."""
    positive, negative = _sides(ranking, weights)
    level = negative[ranking.n_level]
    hits = _running_sum(positive)[1:][ranking.last_equal]
    alarms = hits + level
    precision = np.divide(hits, alarms, out=np.zeros_like(hits), where=alarms > 0)
    found = ratio(np.einsum("pr,pr->r", positive, precision), positive.sum(axis=0))
    return _areas(ranking, positive, negative), found


def weighted_areas(ranking: Ranking, *, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return AUROC `(R,)` alone, at half the price."""
    return _areas(ranking, *_sides(ranking, weights))


def _sides(
    ranking: Ranking, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positives' weights (P, R) and the running sum of the negatives' (Q + 1, R)."""
    return weights[ranking.positive_rows], _running_sum(weights[ranking.negative_rows])


def _areas(
    ranking: Ranking, positive: NDArray[np.float64], negative: NDArray[np.float64]
) -> NDArray[np.float64]:
    beaten_by = np.einsum("pr,pr->r", positive, negative[ranking.n_above])
    if not np.array_equal(ranking.n_above, ranking.n_level):
        level = np.einsum("pr,pr->r", positive, negative[ranking.n_level])
        beaten_by = (beaten_by + level) / 2
    return 1 - ratio(beaten_by, positive.sum(axis=0) * negative[-1])


def _running_sum(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, R) -> (n + 1, R), a row of zeros first."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums
