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
    """Return AUROC and average precision `(R,)` under each column of `weights (N, R)`.

    Average precision is Σ (recall step × precision) from the top; NaN without positives.
    """
    sides = _sides(ranking, weights)
    positive = sides.positive
    hits = _running_sum(positive)[1:][ranking.last_equal]
    alarms = hits + sides.level
    precision = np.divide(hits, alarms, out=np.zeros_like(hits), where=alarms > 0)
    found = ratio(np.einsum("pr,pr->r", positive, precision), positive.sum(axis=0))
    return _areas(sides), found


def weighted_areas(ranking: Ranking, *, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return AUROC `(R,)` alone."""
    return _areas(_sides(ranking, weights))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sides:
    """Each positive's weight, negatives above it, above or level with it (P, R), and all (R,)."""

    positive: NDArray[np.float64]
    above: NDArray[np.float64]
    level: NDArray[np.float64]
    total: NDArray[np.float64]


def _sides(ranking: Ranking, weights: NDArray[np.float64]) -> _Sides:
    """Take running sums where a positive stands: between two of them lie many negatives."""
    negative = weights[ranking.negative_rows]
    stops = np.unique(np.concatenate([[0], ranking.n_above, ranking.n_level]))
    inner = stops[stops < len(negative)]
    steps = np.add.reduceat(negative, inner, axis=0) if len(inner) else negative
    sums = _running_sum(steps)
    above, level = (
        sums[np.searchsorted(stops, places)] for places in (ranking.n_above, ranking.n_level)
    )
    positive = weights[ranking.positive_rows]
    return _Sides(positive=positive, above=above, level=level, total=sums[-1])


def _areas(sides: _Sides) -> NDArray[np.float64]:
    beaten_by = np.einsum("pr,pr->r", sides.positive, (sides.above + sides.level) / 2)
    return 1 - ratio(beaten_by, sides.positive.sum(axis=0) * sides.total)


def _running_sum(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, R) -> (n + 1, R), a row of zeros first."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums
