"""One temperature for all logits, so that "80 % sure" is right in 80 of 100 [guo2017, sec. 4.2].

In:  labels (N,) int64 in [0, K), logits (N, K) of images that did not train.
Out: a temperature in [1/20, 20]; probabilities are softmax(logits / temperature).
Knows nothing of parts: the caller says whether these images also chose the epoch.
"""

import numpy as np
from numpy.typing import NDArray

from moulage.arrays import check_array, check_labels
from moulage.errors import ShapeError
from moulage.evaluation.decisions import softmax

COLDEST, HOTTEST = 1 / 20, 20.0


def fit_temperature(*, labels: NDArray[np.int64], logits: NDArray[np.floating]) -> float:
    """Return the temperature of least log loss.

    The loss is convex in 1/T, so the root of its slope is exact. Where it keeps falling to an
    end of the range (logits far too small, or worse than chance), that end is returned. Where all
    images are right it falls for ever, and nothing says how sure to be: 1, as where logits are
    equal in each row.
    """
    exact, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if exact.ndim != 2 or not len(labels) or len(labels) != len(exact):
        raise ShapeError(
            f"`logits` must have shape (N, K) with N = {len(labels)} above 0; got {exact.shape}. "
            "Pass a row a label."
        )
    check_array(exact, "logits", kind="numbers", shape=exact.shape)
    check_labels(labels, n_rows=len(exact), n_classes=exact.shape[1])
    if np.ptp(exact, axis=1).max() == 0 or (exact.argmax(axis=1) == labels).all():
        return 1.0
    if _slope(1 / HOTTEST, labels=labels, logits=exact) >= 0:
        return HOTTEST
    if _slope(1 / COLDEST, labels=labels, logits=exact) <= 0:
        return COLDEST
    return 1 / _root(labels=labels, logits=exact)


def _slope(inverse: float, *, labels: NDArray[np.int64], logits: NDArray[np.float64]) -> float:
    """Return the slope of the mean log loss in 1/T: expected logit minus the truth's."""
    expected = (softmax(logits * inverse) * logits).sum(axis=1)
    return float(np.mean(expected - logits[np.arange(len(labels)), labels]))


def _root(*, labels: NDArray[np.int64], logits: NDArray[np.float64]) -> float:
    from scipy.optimize import brentq

    def slope(inverse: float) -> float:
        return _slope(inverse, labels=labels, logits=logits)

    return float(brentq(slope, 1 / HOTTEST, 1 / COLDEST, xtol=1e-13, rtol=1e-13))
