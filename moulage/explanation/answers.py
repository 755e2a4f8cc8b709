"""What a classifier says of perturbed copies of one image.

In:  classify: (n, H, W, 3) uint8 → (n, K) probabilities; pixels, segments, masks.
Out: answers (P, K), checked.
Knows nothing of surrogates. Memory holds one batch of copies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, DataError, ShapeError
from moulage.explanation.fills import check_segments, perturbed
from moulage.explanation.masks import check_masks

Classify = Callable[[NDArray[np.uint8]], NDArray[np.floating]]

BATCH = 64
_MOST_BYTES = 2**28


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """masks (P, S) bool and, row by row, probabilities (P, K) of every diagnosis."""

    masks: NDArray[np.bool_]
    probabilities: NDArray[np.float64]

    def of(self, diagnosis: int) -> NDArray[np.float64]:
        """Return the probabilities (P,) of one diagnosis; ConfigError if there is no such one."""
        n_classes = self.probabilities.shape[1]
        if not 0 <= diagnosis < n_classes:
            raise ConfigError(
                f"`diagnosis` must lie in [0, {n_classes}), an index into the classifier's "
                f"diagnoses; got {diagnosis}. Choose one that it knows."
            )
        return self.probabilities[:, diagnosis]

    def columns(self, first: int, n_columns: int) -> "Answers":
        """Return the answers of one of several classifiers that were asked at once."""
        chosen = self.probabilities[:, first : first + n_columns]
        return Answers(masks=self.masks, probabilities=chosen)


def ask(
    classify: Classify,
    pixels: NDArray[np.uint8],
    *,
    covered: NDArray[np.uint8],
    segments: NDArray[np.int64],
    masks: NDArray[np.bool_],
    batch: int = BATCH,
) -> Answers:
    """Classify the copy of each mask, `batch` at a time; fewer where copies are large."""
    check_masks(masks)
    n_segments = check_segments(pixels, segments)
    if masks.shape[1] != n_segments:
        raise ShapeError(
            f"`masks` must have shape (P, S) with S = {n_segments}; got {masks.shape}. "
            "Make them for these segments."
        )
    step = max(1, min(batch, _MOST_BYTES // pixels.nbytes))
    blocks = [
        _checked(classify, perturbed(pixels, covered, segments=segments, masks=block))
        for block in np.split(masks, range(step, len(masks), step))
    ]
    return Answers(masks=masks, probabilities=np.concatenate(blocks))


def _checked(classify: Classify, copies: NDArray[np.uint8]) -> NDArray[np.float64]:
    probabilities = np.asarray(classify(copies), dtype=np.float64)
    if probabilities.ndim != 2 or len(probabilities) != len(copies):
        raise ShapeError(
            f"`classify` must return shape (n, K) with n = {len(copies)}; got "
            f"{probabilities.shape}. Return a row an image."
        )
    if not np.isfinite(probabilities).all():
        n_bad = int((~np.isfinite(probabilities)).any(axis=1).sum())
        raise DataError(
            f"`classify` must return finite probabilities; got NaN or infinity for {n_bad} of "
            f"{len(copies)} copies. Look for a training that diverged, or a scaling by zero."
        )
    return probabilities
