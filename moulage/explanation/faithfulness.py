"""Score an explanation: does it agree with itself, with the lesion, and with the network?

In:  explanations of one image; the lesion's mask (H, W) bool.   Out: numbers, NaN if undefined.
Knows nothing of how weights were found.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.errors import ShapeError
from moulage.explanation.lime import Explanation

N_TOP = 4
_N_DEALT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How alike two explanations are: 1 is alike.

    rank_correlation: Spearman's, over pixels where the superpixels differ. top_overlap: what the
    superpixels of highest weight share, as a share of what they cover. NaN where either has equal
    weights only.
    """

    rank_correlation: float
    top_overlap: float


def agreement(first: Explanation, second: Explanation, *, n_top: int = N_TOP) -> Agreement:
    """Compare two explanations of one image, cut alike or not.

    Cut alike, superpixels count one each; otherwise each pixel has the weight of its superpixel.
    """
    if first.segments.shape != second.segments.shape:
        raise ShapeError(
            f"Two explanations must be of one image; got {first.segments.shape} and "
            f"{second.segments.shape} pixels. Compare them at one size."
        )
    shared = _shared(first, second)  # (S, T)
    chosen = _is_top(first, n_top), _is_top(second, n_top)
    covered = (shared.sum(axis=1) @ chosen[0] + shared.sum(axis=0) @ chosen[1]) / 2
    ranks = _rank_correlation(first.weights, second.weights, shared)
    overlap = float(chosen[0] @ shared @ chosen[1] / covered)
    return Agreement(rank_correlation=ranks, top_overlap=math.nan if math.isnan(ranks) else overlap)


def mean_agreement(first: Explanation, *others: Explanation, n_top: int = N_TOP) -> Agreement:
    """Compare one explanation with each of others, on average: stability over seeds or cuts."""
    found = [agreement(first, other, n_top=n_top) for other in others]
    return Agreement(
        rank_correlation=float(np.mean([one.rank_correlation for one in found])),
        top_overlap=float(np.mean([one.top_overlap for one in found])),
    )


def agreement_by_chance(
    first: Explanation, *others: Explanation, rng: np.random.Generator
) -> float:
    """Return the mean rank correlation that chance reaches in one case of twenty.

    Chance deals the weights of the first to its own superpixels anew; the others stay.
    """
    shared = [_shared(first, other) for other in others]
    found = [
        np.mean(
            [
                _rank_correlation(dealt, other.weights, pixels)
                for other, pixels in zip(others, shared, strict=True)
            ]
        )
        for dealt in (rng.permutation(first.weights) for _ in range(_N_DEALT))
    ]
    return float(np.quantile(found, 0.95))


def lesion_share(explanation: Explanation, lesion: NDArray[np.bool_]) -> float:
    """Return how much of the positive weight lies inside the lesion, in [0, 1].

    A superpixel's weight is spread evenly over its pixels. NaN where no weight is positive.
    """
    positive = np.maximum(explanation.weights, 0)
    if not positive.any():
        return math.nan
    return float(positive @ inside_shares(explanation.segments, lesion) / positive.sum())


def heat_agreement(explanation: Explanation, heat: NDArray[np.floating]) -> float:
    """Return Spearman's correlation of the weights with a map (h, w) of another method.

    The map is laid over the image, and each superpixel has its mean. NaN where either is even.
    """
    segments = explanation.segments
    height, width = segments.shape
    laid = cv2.resize(heat.astype(np.float64), (width, height), interpolation=cv2.INTER_LINEAR)
    sums = np.bincount(segments.ravel(), weights=laid.ravel())
    means = np.asarray(sums / np.bincount(segments.ravel()), dtype=np.float64)
    return _rank_correlation(explanation.weights, means, np.eye(len(means)))


def inside_shares(segments: NDArray[np.int64], lesion: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of each superpixel (S,) that is lesion."""
    if lesion.shape != segments.shape or lesion.dtype != np.bool_:
        raise ShapeError(
            f"`lesion` must have shape (H, W) = {segments.shape} and type bool; got "
            f"{lesion.shape} of {lesion.dtype}. Lay the mask out as the image is."
        )
    inside = np.bincount(segments.ravel(), weights=lesion.ravel())
    return np.asarray(inside / np.bincount(segments.ravel()))


def _shared(first: Explanation, second: Explanation) -> NDArray[np.float64]:
    """Return the pixels that each two superpixels share; ones on the diagonal if cut alike."""
    n_first, n_second = len(first.weights), len(second.weights)
    if np.array_equal(first.segments, second.segments):
        return np.eye(n_first)
    pairs = (first.segments * n_second + second.segments).ravel()
    shared = np.bincount(pairs, minlength=n_first * n_second).reshape(n_first, n_second)
    return shared.astype(np.float64)


def _is_top(explanation: Explanation, n_top: int) -> NDArray[np.float64]:
    chosen = np.zeros(len(explanation.weights))
    chosen[explanation.top(n_top)] = 1
    return chosen


def _rank_correlation(
    first: NDArray[np.float64], second: NDArray[np.float64], shared: NDArray[np.float64]
) -> float:
    """Return Spearman's correlation of two weights, each pair counted as often as it is shared."""
    total = shared.sum()
    one = _middle_ranks(first, shared.sum(axis=1)) - (total + 1) / 2
    other = _middle_ranks(second, shared.sum(axis=0)) - (total + 1) / 2
    spread = (shared.sum(axis=1) @ one**2) * (shared.sum(axis=0) @ other**2)
    return float(one @ shared @ other / math.sqrt(spread)) if spread > 0 else math.nan


def _middle_ranks(values: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean rank (S,), from 1, that each value's copies share; equal values are ties."""
    levels, place = np.unique(values, return_inverse=True)
    at_level = np.bincount(place, weights=counts, minlength=len(levels))
    return np.asarray((np.cumsum(at_level) - (at_level - 1) / 2)[place])
