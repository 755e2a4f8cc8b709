"""Permutation by lesion: would two classifiers differ as much if they were interchangeable?

In:  two classifiers' runs, scored on the same images.   Out: differences, observed and permuted.
Knows nothing of names or verdicts.
Why: each lesion tosses a coin whether the two swap all its photographs; under the null the swapped
table is as likely as the real one. For rankings ranks are swapped, not scores, since two
classifiers need not share a scale [venkatraman1996].
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.metrics import Scored, rank_each
from moulage.evaluation.resampling import Lesions, mean_replicates, mean_values

_TIE = 1e-12  # a permuted difference this near the observed one equals it


def permutation_p_values(
    first: Sequence[Scored],
    second: Sequence[Scored],
    *,
    lesions: Lesions,
    n_permutations: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the two-sided p value of each metric; NaN where the metric is not defined.

    The real table counts as one permutation, so p is never 0 and the test never too lax.
    """
    swaps = rng.integers(0, 2, size=(lesions.n_lesions, n_permutations)).astype(np.float64)
    permuted = permuted_differences(first, second, lesions=lesions, swaps=swaps)
    ours, theirs = mean_values(first), mean_values(second)
    return {name: _p_value(ours[name] - theirs[name], permuted=permuted[name]) for name in permuted}


def permuted_differences(
    first: Sequence[Scored],
    second: Sequence[Scored],
    *,
    lesions: Lesions,
    swaps: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Return first minus second `(R,)` a metric where `swaps (L, R)` is 1 for a swapped lesion."""
    pooled = [_pool(one, other) for one, other in zip(first, second, strict=True)]
    doubled = Lesions(
        of_images=tuple(
            np.concatenate([of_image, of_image + lesions.n_lesions])
            for of_image in lesions.of_images
        ),
        n_lesions=2 * lesions.n_lesions,
    )
    ours = mean_replicates(pooled, lesions=doubled, weights=np.concatenate([1 - swaps, swaps]))
    theirs = mean_replicates(pooled, lesions=doubled, weights=np.concatenate([swaps, 1 - swaps]))
    return {name: ours[name] - theirs[name] for name in ours}


def _pool(one: Scored, other: Scored) -> Scored:
    """Lay both classifiers' images under each other, 2N rows, to be chosen by weights."""
    labels = np.concatenate([one.labels, other.labels])
    scores = np.concatenate([_ranks(one.scores), _ranks(other.scores)])
    return replace(
        one,
        labels=labels,
        decisions=np.concatenate([one.decisions, other.decisions]),
        log_losses=np.concatenate([one.log_losses, other.log_losses]),
        briers=np.concatenate([one.briers, other.briers]),
        scores=scores,
        rankings=rank_each(labels=labels, scores=scores),
    )


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(scores, axis=0), dtype=np.float64)


def _p_value(observed: float, *, permuted: NDArray[np.float64]) -> float:
    if np.isnan(observed):
        return float("nan")
    defined = permuted[~np.isnan(permuted)]
    as_large = int((np.abs(defined) >= abs(observed) - _TIE).sum())
    return (1 + as_large) / (1 + len(defined))
