"""Which superpixels are kept in each perturbed copy, and how near a copy is to the image.

In:  S, an rng.   Out: masks (P, S) bool, True = superpixel kept; proximities (P,) in (0, 1].
Knows nothing of pixels or classifiers.
"""

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, ShapeError

# Beyond this, all masks are more evaluations than anybody waits for.
MOST_EXACT = 12
WIDTH = 0.25  # the published one


def all_masks(n_segments: int) -> NDArray[np.bool_]:
    """Return all (2^S, S) masks: row m keeps superpixel i where bit i of m is set.

    >>> all_masks(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    if not 1 <= n_segments <= MOST_EXACT:
        raise ConfigError(
            f"All masks must be of 1 to {MOST_EXACT} superpixels; got {n_segments}, which have "
            f"2^{n_segments}. Use the method 'designed', or fewer superpixels."
        )
    bits = np.arange(n_segments)
    return ((np.arange(2**n_segments)[:, None] >> bits) & 1).astype(bool)


def random_masks(n_segments: int, *, n_masks: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return masks (P, S) of fair coins, after a first row that keeps all [ribeiro2016]."""
    masks = rng.integers(0, 2, size=(n_masks, n_segments)).astype(bool)
    masks[:1] = True
    return masks


def row_of(masks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the row (P,) of `all_masks` in which each mask stands."""
    return np.asarray(masks @ (1 << np.arange(masks.shape[1])), dtype=np.int64)


def proximities(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return √exp(-d² / 0.25²) (P,), d the cosine distance to the mask that keeps all.

    The mask that keeps nothing has d = 1.
    """
    check_masks(masks)
    by_size = proximity_of_sizes(masks.shape[1])
    return np.asarray(by_size[masks.sum(axis=1)], dtype=np.float64)


def proximity_of_sizes(n_segments: int) -> NDArray[np.float64]:
    """Return the proximity (S + 1,) of masks that keep 0 … S superpixels: only how many counts."""
    distances = 1 - np.sqrt(np.arange(n_segments + 1) / n_segments)
    return np.sqrt(np.exp(-(distances**2) / WIDTH**2))


def check_masks(masks: NDArray[np.bool_]) -> None:
    """Raise ShapeError unless masks are (P, S) bool with S ≥ 1."""
    if masks.ndim != 2 or masks.dtype != np.bool_ or masks.shape[1] < 1:
        raise ShapeError(
            f"`masks` must have shape (P, S) and type bool; got {masks.shape} of {masks.dtype}. "
            "Pass a row a perturbed copy, True = superpixel kept."
        )
