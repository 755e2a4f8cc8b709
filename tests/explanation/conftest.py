from collections.abc import Callable

import numpy as np
import pytest

Values = Callable[[np.ndarray], np.ndarray]
Classify = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def blocks() -> tuple[np.ndarray, np.ndarray]:
    """An image of ten blocks in a row, 2 px wide, in colours of their own; and its segments."""
    segments = np.repeat(np.arange(10), 2)[None].repeat(4, axis=0)
    colours = np.random.default_rng(42).integers(40, 216, size=(10, 3))
    return colours[segments].astype(np.uint8), segments


@pytest.fixture
def answering() -> Callable[[Values, np.ndarray], Classify]:
    """A classifier of black-filled copies: two diagnoses, values(kept) and one minus that."""

    def make(values: Values, segments: np.ndarray) -> Classify:
        first = [np.argwhere(segments == place)[0] for place in range(segments.max() + 1)]

        def classify(copies: np.ndarray) -> np.ndarray:
            kept = np.stack([copies[:, y, x].any(axis=1) for y, x in first], axis=1)
            found = values(kept)
            return np.stack([found, 1 - found], axis=1)

        return classify

    return make


@pytest.fixture
def pairs() -> Values:
    """A function of ten superpixels with pair interactions, in (0, 1)."""
    rng = np.random.default_rng(42)
    linear, crossed = rng.normal(0, 0.03, 10), np.triu(rng.normal(0, 0.015, (10, 10)), 1)

    def values(kept: np.ndarray) -> np.ndarray:
        masks = kept.astype(float)
        return 0.5 + masks @ linear + np.einsum("ps,st,pt->p", masks, crossed, masks)

    return values
