"""The confusion matrix and what is read off it; rows truth, columns decision.

In:  labels and decisions (N,) int64 in [0, K), or any stack of matrices (…, K, K).
Out: a number or a number a diagnosis for each matrix of the stack, NaN where not defined.
Knows nothing of the decision rule; whoever shows one of these numbers names it.
Why: a stack of weighted matrices is a whole bootstrap, measured at once.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ShapeError
from moulage.evaluation.undefined import mean_defined, ratio

_ROUNDING = 1e-12

Matrices = NDArray[Any]  # counts are integers, weights are floats


def confusion_matrix(
    *, labels: NDArray[np.int64], decisions: NDArray[np.int64], n_classes: int
) -> NDArray[np.int64]:
    """Count images `(K, K) int64`, rows truth, columns decision."""
    places = cells(labels=labels, decisions=decisions, n_classes=n_classes)
    counts = np.bincount(places, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def cells(
    *, labels: NDArray[np.int64], decisions: NDArray[np.int64], n_classes: int
) -> NDArray[np.int64]:
    """Return the place `(N,)` of each image in the flattened matrix."""
    pairs = np.stack([np.asarray(labels), np.asarray(decisions)])
    if pairs.size and (pairs.min() < 0 or pairs.max() >= n_classes):
        raise ShapeError(
            f"`labels` and `decisions` must lie in [0, {n_classes}); got {pairs.min()} to "
            f"{pairs.max()}. Number the diagnoses as the catalogue does."
        )
    return np.asarray(pairs[0] * n_classes + pairs[1], dtype=np.int64)


def supports(matrices: Matrices) -> Matrices:
    """Return the number of images of each diagnosis `(…, K)`."""
    return np.asarray(matrices.sum(axis=-1))


def accuracy(matrices: Matrices) -> NDArray[np.float64]:
    """Return the share of right decisions `(…)`."""
    return ratio(_diagonal(matrices).sum(axis=-1), matrices.sum(axis=(-2, -1)))


def recalls(matrices: Matrices) -> NDArray[np.float64]:
    """Return each diagnosis' share found `(…, K)`; NaN for an absent diagnosis."""
    return ratio(_diagonal(matrices), supports(matrices))


def balanced_accuracy(matrices: Matrices) -> NDArray[np.float64]:
    """Return the unweighted mean recall of the diagnoses present `(…)`."""
    return mean_defined(recalls(matrices))


def precisions(matrices: Matrices) -> NDArray[np.float64]:
    """Return each diagnosis' share right `(…, K)`; NaN if absent or never decided."""
    decided = np.where(supports(matrices) > 0, matrices.sum(axis=-2), 0)
    return ratio(_diagonal(matrices), decided)


def f1_scores(matrices: Matrices) -> NDArray[np.float64]:
    """Return 2 TP / (2 TP + FP + FN) a diagnosis `(…, K)`; NaN for an absent diagnosis.

    A diagnosis that is present and never decided has 0: all of it was missed.
    """
    both = supports(matrices) + matrices.sum(axis=-2)
    return ratio(2 * _diagonal(matrices), np.where(supports(matrices) > 0, both, 0))


def macro_f1(matrices: Matrices) -> NDArray[np.float64]:
    """Return the unweighted mean F1 of the diagnoses present `(…)`."""
    return mean_defined(f1_scores(matrices))


def matthews(matrices: Matrices) -> NDArray[np.float64]:
    """Return the multi-class Matthews correlation `(…)` [gorodkin2004, eq. 8].

    One decision for all images tells nothing and has 0; one diagnosis in truth is NaN.
    """
    total, right, truth, decided = _sums(matrices)
    spread_truth = _difference(total**2, (truth**2).sum(axis=-1))
    spread_decided = _difference(total**2, (decided**2).sum(axis=-1))
    covariance = right * total - (truth * decided).sum(axis=-1)
    scale = np.sqrt(spread_truth * spread_decided)
    return np.where((spread_decided == 0) & (spread_truth > 0), 0.0, ratio(covariance, scale))


def cohen_kappa(matrices: Matrices) -> NDArray[np.float64]:
    """Return agreement beyond chance `(…)`; NaN where chance alone agrees always."""
    total, right, truth, decided = _sums(matrices)
    by_chance = (truth * decided).sum(axis=-1)
    return ratio(right * total - by_chance, _difference(total**2, by_chance))


def _difference(larger: NDArray[np.float64], smaller: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract; what fractional weights leave of two equal sums is 0."""
    left = larger - smaller
    return np.where(left > _ROUNDING * larger, left, 0.0)


def _diagonal(matrices: Matrices) -> Matrices:
    return np.diagonal(matrices, axis1=-2, axis2=-1)


def _sums(
    matrices: Matrices,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return total and right `(…)`, truth and decided `(…, K)`, in float64."""
    exact = np.asarray(matrices, dtype=np.float64)
    right = _diagonal(exact).sum(axis=-1)
    return exact.sum(axis=(-2, -1)), right, exact.sum(axis=-1), exact.sum(axis=-2)
