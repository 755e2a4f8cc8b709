"""How unlike the training images an image is: a classifier answers strangers with the same face.

In:  pooled activations (N, D) of training images; later those of any image.
Out: Familiarity, to keep; distances (N,), and the share of known images that are less strange.
Knows nothing of networks and labels.
Why this distance: Mahalanobis' under a probabilistic principal component model [tipping1999]. Full
covariance along the directions in which training images vary, one variance for all the rest, where
strangers stand out [lee2018].
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ShapeError
from moulage.evaluation.decisions import log_sum_exp

RANK = 64
UNFAMILIAR = 0.99  # of images like the known ones, or more, are less strange
_QUANTILES = 201
_LEAST = 1e-12
_TIE = 1e-9  # a rank that is whole may be computed a bit above itself
_BLOCK = 1_024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Familiarity:
    """What training images look like to the classifier.

    mean (D,) float32; axes (D, r) float32, orthonormal; variances (r,) float32, along them; rest:
    the variance along every other direction. known (Q,) float64: quantiles of the distances of
    images that did not train, infinite where these are too few; empty until `measured_on`.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest: float
    known: NDArray[np.float64]

    def measured_on(self, features: NDArray[np.float32]) -> "Familiarity":
        """Return it with the distances of images that did not train, to compare with.

        The quantile at a level is the ⌈(n + 1) · level⌉-th smallest of n distances [vovk2005]: an
        image like them lies beyond that of 0.99 once in a hundred at most; beyond a plain
        quantile of a hundred, twice. Below 99 of them it is infinite: nothing is unfamiliar.
        """
        rising = np.append(np.sort(distances(self, features)), math.inf)
        levels = np.linspace(0, 1, _QUANTILES)
        ranks = np.ceil(len(rising) * levels - _TIE).astype(np.int64)
        ranks[-1] = max(ranks[-2], len(rising) - 1)  # the largest, where none before is infinite
        return replace(self, known=rising[np.maximum(ranks, 1) - 1])


def fit_familiarity(features: NDArray[np.float32], *, rank: int = RANK) -> Familiarity:
    """Fit on pooled activations `(N, D)` of training images; the rank is at most N − 1 and D."""
    if features.ndim != 2 or len(features) < 2:
        raise ShapeError(
            f"`features` must have shape (N, D) with N > 1; got {features.shape}. "
            "Pass the pooled activations of the training images."
        )
    exact = features.astype(np.float64)
    mean = exact.mean(axis=0)
    n_images, n_features = exact.shape
    values, axes = np.linalg.eigh(np.cov(exact, rowvar=False).reshape(n_features, n_features))
    kept = max(1, min(rank, n_images - 1, n_features))
    variances, axes = np.maximum(values[::-1], _LEAST), axes[:, ::-1]
    rest = float(variances[kept:].mean()) if kept < n_features else float(variances[-1])
    return Familiarity(
        mean=mean.astype(np.float32),
        axes=axes[:, :kept].astype(np.float32),
        variances=variances[:kept].astype(np.float32),
        rest=rest,
        known=np.zeros(0),
    )


def distances(familiarity: Familiarity, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the squared distance of each image `(N,)`, divided by D: about 1 in training."""
    if features.ndim != 2 or features.shape[1] != len(familiarity.mean):
        raise ShapeError(
            f"`features` must have shape (N, D) with D = {len(familiarity.mean)}; got "
            f"{features.shape}. Pass pooled activations of the same classifier."
        )
    total = np.empty(len(features))
    for start in range(0, len(features), _BLOCK):  # whole, it would need many times the features
        away = features[start : start + _BLOCK].astype(np.float64) - familiarity.mean
        along = away @ familiarity.axes.astype(np.float64)
        beside = np.maximum((away**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        near = (along**2 / familiarity.variances).sum(axis=1)
        total[start : start + _BLOCK] = near + beside / familiarity.rest
    return total / len(familiarity.mean)


def strangeness(familiarity: Familiarity, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share of known images that are less strange `(N,)`; 1 is stranger than all.

    Few known images show less of that than they are: all of 50 are 0.98 of images like them.
    """
    known = familiarity.known
    if not known.size:
        return np.full(len(features), math.nan)
    levels = np.linspace(0, 1, len(known))
    return np.asarray(np.interp(distances(familiarity, features), known, levels), dtype=np.float64)


def energies(logits: NDArray[np.floating], *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return −T log Σ exp(logit / T) `(N,)`: high where no diagnosis is claimed [liu2020]."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    return -temperature * log_sum_exp(scaled)[:, 0]
