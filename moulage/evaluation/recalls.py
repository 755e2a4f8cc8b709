"""Each diagnosis' recall and what each lesion adds to it: balanced accuracy is their mean.

In:  one or more Scored runs and the lesion of each image.   Out: Recalls, a mean over the runs.
Knows nothing of draws or bounds.
Why: a recall of 1 never varies, however few lesions it stands on. So a mean of recalls is only as
sure as each of them, and each must be asked alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.metrics import Scored
from moulage.evaluation.undefined import ratio


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recalls:
    """The recall of each diagnosis that some run has; of two Recalls the differences.

    weights (K,): what each weighs in balanced accuracy, sum 1. values (K,). shares (K, L): of a
    diagnosis' photographs those of each lesion, rows sum to 1. slopes (K, L): of each recall in
    each lesion's weight, rows sum to 0.
    """

    weights: NDArray[np.float64]
    values: NDArray[np.float64]
    shares: NDArray[np.float64]
    slopes: NDArray[np.float64]

    def minus(self, other: Self) -> Self:
        """Return the differences on the same lesions."""
        values, slopes = self.values - other.values, self.slopes - other.slopes
        return replace(self, values=values, slopes=slopes)

    def correlations(self) -> NDArray[np.float64]:
        """Return how alike lesions move each two recalls `(K, K)`.

        None do unless a lesion, or a patient in its place, has images of two diagnoses.
        """
        sizes = np.sqrt((self.slopes**2).sum(axis=1))
        found = ratio(self.slopes @ self.slopes.T, np.outer(sizes, sizes))
        found = np.nan_to_num(found)
        np.fill_diagonal(found, 1.0)
        return found


def recalls_of(
    runs: Sequence[Scored], *, of_images: Sequence[NDArray[np.int64]], n_lesions: int
) -> Recalls:
    """Return each recall, weighed in each run as that run's balanced accuracy weighs it."""
    n_classes = len(runs[0].diagnoses)
    weights, values = np.zeros(n_classes), np.zeros(n_classes)
    shares, slopes = np.zeros((2, n_classes, n_lesions))
    for run, of_image in zip(runs, of_images, strict=True):
        present = np.unique(run.labels)
        weight = 1 / len(present) / len(runs)
        for k in present:
            hits, sizes = _hits_and_sizes(run, of_image, k, n_lesions=n_lesions)
            recall = hits.sum() / sizes.sum()
            weights[k] += weight
            values[k] += weight * recall
            shares[k] += weight * sizes / sizes.sum()
            slopes[k] += weight * (hits - recall * sizes) / sizes.sum()
    rows = weights > 0
    scale = weights[rows]
    return Recalls(
        weights=scale,
        values=values[rows] / scale,
        shares=shares[rows] / scale[:, None],
        slopes=slopes[rows] / scale[:, None],
    )


def _hits_and_sizes(
    run: Scored, of_image: NDArray[np.int64], k: int, *, n_lesions: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each lesion's photographs of a diagnosis `(L,)`: those found, and all."""
    is_of_k = run.labels == k
    found = is_of_k & (run.decisions == k)
    hits, sizes = (np.bincount(of_image[rows], minlength=n_lesions) for rows in (found, is_of_k))
    return hits, sizes
