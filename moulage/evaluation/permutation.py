"""Permutation by lesion: would two classifiers differ as much if they were interchangeable?

In:  two classifiers' runs, scored on the same images.   Out: differences, observed and permuted.
Knows nothing of names or verdicts.
Why: each lesion tosses a coin whether the two swap all its photographs; under the null the swapped
table is as likely as the real one. For rankings ranks are swapped, not scores, since two
classifiers need not share a scale [venkatraman1996].
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moulage.arguments import whole_number
from moulage.arrays import rng_of
from moulage.evaluation.metrics import (
    Scored,
    is_ranked,
    metric_names,
    metrics_of_sums,
    rank_each,
)
from moulage.evaluation.resampling import (
    Lesions,
    column_chunks,
    lesion_sums,
    mean_replicates,
    mean_values,
)

Swaps = NDArray[np.uint8]  # (L, R): large families need many, and a byte holds one
_TIE = 1e-12  # a permuted difference this near the observed one equals it


def permutation_p_values(
    first: Sequence[Scored],
    second: Sequence[Scored],
    *,
    lesions: Lesions,
    n_permutations: int,
    rng: np.random.Generator,
    names: Collection[str] | None = None,
) -> dict[str, float]:
    """Return the two-sided p value of each metric; NaN where the metric is not defined.

    The real table counts as one permutation, so p is never 0 and the test never too lax.
    """
    swaps = draw_swaps(lesions.n_lesions, n_permutations=n_permutations, rng=rng)
    permuted = permuted_differences(first, second, lesions=lesions, swaps=swaps, names=names)
    ours, theirs = mean_values(first), mean_values(second)
    return {name: p_value(ours[name] - theirs[name], permuted=permuted[name]) for name in permuted}


def draw_swaps(n_lesions: int, *, n_permutations: int, rng: np.random.Generator) -> Swaps:
    """Return which lesions each permutation swaps `(L, R)`, 1 for a swapped one."""
    whole_number(n_permutations, "n_permutations", least=1)
    rng = rng_of(rng)
    swaps = np.empty((n_lesions, n_permutations), dtype=np.uint8)
    for of_lesion in swaps:
        of_lesion[:] = rng.integers(0, 2, size=n_permutations)
    return swaps


def least_p_value(n_permutations: int) -> float:
    """Return the p value of a difference that no permutation reaches.

    >>> least_p_value(999)
    0.001
    """
    return 1 / (1 + n_permutations)


def p_value(observed: float, *, permuted: NDArray[np.float64]) -> float:
    """Return the share of differences, the observed one among them, that are as large."""
    if np.isnan(observed):
        return float("nan")
    defined = permuted[~np.isnan(permuted)]
    as_large = int((np.abs(defined) >= abs(observed) - _TIE).sum())
    return (1 + as_large) / (1 + len(defined))


def permuted_differences(
    first: Sequence[Scored],
    second: Sequence[Scored],
    *,
    lesions: Lesions,
    swaps: Swaps,
    names: Collection[str] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return first minus second `(R,)` a metric where `swaps (L, R)` is 1 for a swapped lesion."""
    chosen = metric_names(first[0].diagnoses) if names is None else tuple(names)
    runs = zip(first, second, lesions.of_images, strict=True)
    tables = [
        _summed_differences(one, other, of_image=of_image, swaps=swaps)
        for one, other, of_image in runs
    ]
    found = {name: np.mean([table[name] for table in tables], axis=0) for name in tables[0]}
    ranked = tuple(filter(is_ranked, chosen))
    if ranked:
        found |= _ranked_differences(first, second, lesions=lesions, swaps=swaps, names=ranked)
    return {name: found[name] for name in chosen}


def _summed_differences(
    one: Scored, other: Scored, *, of_image: NDArray[np.int64], swaps: Swaps
) -> dict[str, NDArray[np.float64]]:
    """What is read off sums: what one of the two lacks of both together, the other has."""
    first, second = (
        lesion_sums(run, of_image=of_image, n_lesions=len(swaps)) for run in (one, other)
    )
    moved = [chunk.T @ (second - first) for chunk in column_chunks(swaps)]
    ours = first.sum(axis=0) + np.concatenate(moved)
    theirs = (first + second).sum(axis=0) - ours
    ours_by_name, theirs_by_name = (metrics_of_sums(s, one.diagnoses) for s in (ours, theirs))
    return {name: ours_by_name[name] - theirs_by_name[name] for name in ours_by_name}


def _ranked_differences(
    first: Sequence[Scored],
    second: Sequence[Scored],
    *,
    lesions: Lesions,
    swaps: Swaps,
    names: Collection[str],
) -> dict[str, NDArray[np.float64]]:
    pooled = [_pool(one, other) for one, other in zip(first, second, strict=True)]
    doubled = Lesions(
        of_images=tuple(
            np.concatenate([of_image, of_image + lesions.n_lesions])
            for of_image in lesions.of_images
        ),
        n_lesions=2 * lesions.n_lesions,
    )
    ours, theirs = (
        mean_replicates(pooled, lesions=doubled, weights=np.concatenate(pair), names=names)
        for pair in ((1 - swaps, swaps), (swaps, 1 - swaps))
    )
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
