"""Choose the few masks from which the weights of all masks can best be told.

In:  S, how many masks.   Out: masks (P, S) bool, the same on every machine; the population.
Knows nothing of images or classifiers.
Why: masks drawn by coin repeat each other and leave others out. Here each next mask is the one
that leaves the least doubt about the weights, if superpixels act together as a random field.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from moulage.errors import ConfigError
from moulage.explanation.masks import MOST_EXACT, all_masks, proximity_of_sizes
from moulage.seeding import generator

# How alike two masks that differ in one superpixel are taken to be, before anything is known.
_ALIKE = 0.7
# The doubt about linear effects, against that about all other effects: they are unknown.
_LINEAR = 100.0
_POPULATION = 2**MOST_EXACT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """The masks (N, S) for which the surrogate is to hold, and the weight (N,) of each.

    All masks up to twelve superpixels; beyond, a fixed sample in which every size has its share.
    """

    masks: NDArray[np.bool_]
    weights: NDArray[np.float64]

    def projector(self) -> NDArray[np.float64]:
        """Return (S, N): what turns values of the population into the surrogate's weights."""
        means = np.average(self.masks, axis=0, weights=self.weights)
        design = (self.masks - means).T * self.weights
        gram = design @ (self.masks - means)
        return np.asarray(np.linalg.pinv(gram, hermitian=True) @ design)


@lru_cache(maxsize=8)
def population(n_segments: int) -> Population:
    """Return the masks for which a surrogate of S superpixels is to hold."""
    if n_segments <= MOST_EXACT:
        masks = all_masks(n_segments)
        return Population(masks=masks, weights=proximity_of_sizes(n_segments)[masks.sum(axis=1)])
    masks = _sample(n_segments)
    return Population(masks=masks, weights=np.ones(len(masks)))


def designed_masks(n_segments: int, n_masks: int) -> NDArray[np.bool_]:
    """Return masks (P, S), P at most 2^S; the first keeps all. A longer design begins as a shorter.

    Raises ConfigError for fewer masks than weights, an intercept and one to spare.
    """
    if n_masks < n_segments + 2:
        raise ConfigError(
            f"`n_evaluations` must be at least S + 2 = {n_segments + 2}; got {n_masks}. "
            "Allow more evaluations, or cut the image into fewer superpixels."
        )
    masks = population(n_segments).masks
    return masks[_chosen(n_segments, min(n_masks, len(masks)))]


def _sample(n_segments: int) -> NDArray[np.bool_]:
    """Draw masks whose sizes have the shares that kernel and number of masks give them."""
    sizes = np.arange(n_segments + 1)
    n_of_size = -gammaln(sizes + 1) - gammaln(n_segments - sizes + 1)
    mass = np.exp(n_of_size - n_of_size.max()) * proximity_of_sizes(n_segments)
    edges = np.round(np.cumsum(mass / mass.sum()) * (_POPULATION - 1)).astype(int)
    drawn = np.repeat(sizes, np.diff(edges, prepend=0))
    rng = generator("masks", n_segments)
    places = rng.random((len(drawn), n_segments)).argsort(axis=1).argsort(axis=1)
    everything = np.ones((1, n_segments), dtype=bool)
    return np.concatenate([places < drawn[:, None], everything])


@lru_cache(maxsize=16)
def _chosen(n_segments: int, n_masks: int) -> NDArray[np.int64]:
    """Return rows of the population: greedy, by pivoted Cholesky of the prior covariance."""
    whole = population(n_segments)
    signs = np.where(whole.masks, 1.0, -1.0)
    by_distance = np.power(_ALIKE, np.arange(n_segments + 1), dtype=np.float64)
    left = np.full(len(signs), 1 + _LINEAR * (1 + n_segments))  # doubt about each mask
    told = _tell(whole.projector(), signs, by_distance)  # what each mask tells of the weights
    factors = np.zeros((n_masks, len(signs)))
    rows = np.zeros(n_masks, dtype=np.int64)
    for step in range(n_masks):
        gains = (told**2).sum(axis=0) / np.maximum(left, 1e-12)
        gains[rows[:step]] = -1
        row = len(signs) - 1 if step == 0 else int(gains.argmax())
        covariance = _covariance(signs, signs[row : row + 1], by_distance)[:, 0]
        factor = (covariance - factors[:step].T @ factors[:step, row]) / np.sqrt(left[row])
        told = told - np.outer(told[:, row] / np.sqrt(left[row]), factor)
        left = left - factor**2
        factors[step], rows[step] = factor, row
    return rows


def _tell(
    projector: NDArray[np.float64], signs: NDArray[np.float64], by_distance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return projector @ covariance (S, N), a block of columns at a time."""
    blocks = [
        projector @ _covariance(signs, signs[start : start + 512], by_distance)
        for start in range(0, len(signs), 512)
    ]
    return np.concatenate(blocks, axis=1)


def _covariance(
    signs: NDArray[np.float64], others: NDArray[np.float64], by_distance: NDArray[np.float64]
) -> NDArray[np.float64]:
    agreement = signs @ others.T  # S - 2 · distance
    distances = ((signs.shape[1] - agreement) / 2).astype(np.int64)
    return np.asarray(by_distance[distances] + _LINEAR * (1 + agreement))
