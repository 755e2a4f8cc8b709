"""Lay images out in the plane so that those a hidden layer finds alike lie together.

In:  activations (N, D).   Out: places (N, 2) float64.
Knows nothing of diagnoses. Every unit counts alike, whatever its scale.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError

Layout = Literal["pca", "tsne"]
_PERPLEXITY = 30.0
_N_COMPONENTS = 50
_FEWEST = 5


def layout(
    activations: NDArray[np.floating], *, method: Layout = "pca", rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return places (N, 2): principal components, or t-SNE begun from them.

    Each component points the way in which its largest loading is positive. With fewer images
    or units than axes, the rest is 0; fewer than five images have no t-SNE but components.
    """
    if method not in ("pca", "tsne"):
        raise ConfigError(f"`method` must be pca or tsne; got {method!r}. Choose one of them.")
    components = _components(standardised(activations))
    start = _padded(components)
    if method == "pca" or len(activations) < _FEWEST or not components.shape[1]:
        return start
    from sklearn.manifold import TSNE

    tsne = TSNE(
        perplexity=min(_PERPLEXITY, (len(activations) - 1) / 3),
        init=(start / start[:, 0].std() * 1e-4).astype(np.float32),
        random_state=int(rng.integers(2**31)),
    )
    return np.asarray(tsne.fit_transform(components.astype(np.float32)), dtype=np.float64)


def standardised(
    activations: NDArray[np.floating], *, reference: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Return activations (N, D) less the mean and over the deviation of a reference.

    The reference is by default themselves. A unit that is dead there stays 0.
    """
    base = np.asarray(activations if reference is None else reference, dtype=np.float64)
    spread = base.std(axis=0)
    is_alive = np.ptp(base, axis=0) > 0
    centred = np.where(is_alive, activations - base.mean(axis=0), 0.0)
    return np.asarray(centred / np.where(is_alive, spread, 1.0))


def _components(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the principal components (N, C), C at most 50; none is of variance 0."""
    left, sizes, loadings = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    signs = np.sign(loadings[np.arange(len(loadings)), np.abs(loadings).argmax(axis=1)])
    is_used = sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1e-300)
    return np.asarray((left * sizes * signs)[:, is_used][:, :_N_COMPONENTS])


def _padded(components: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.zeros((len(components), 2))
    n_axes = min(2, components.shape[1])
    places[:, :n_axes] = components[:, :n_axes]
    return places
