"""Cover superpixels: what an image looks like where some of it is not to be seen.

In:  pixels (H, W, 3) uint8, segments (H, W), masks (P, S) bool, True = superpixel kept.
Out: perturbed copies (P, H, W, 3) uint8.
Knows nothing of classifiers.
"""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, ShapeError
from moulage.explanation.superpixels import check_pixels

Fill = Literal["mean", "dataset", "blur", "black"]
FILLS: tuple[Fill, ...] = ("mean", "dataset", "blur", "black")

# The blur's standard deviation, as a share of the longer side: no structure of a lesion is left.
_BLUR = 0.08


def cover(
    pixels: NDArray[np.uint8],
    segments: NDArray[np.int64],
    *,
    fill: Fill = "mean",
    colour: Sequence[float] | None = None,
) -> NDArray[np.uint8]:
    """Return the image (H, W, 3) that shows where superpixels are taken away.

    "mean": the superpixel's mean colour, cut to whole numbers [ribeiro2016]. "dataset": `colour`,
    the mean (3,) of all training pixels in [0, 255]. "blur": the image out of focus.
    """
    check_segments(pixels, segments)
    if fill not in FILLS:
        raise ConfigError(
            f"`fill` must be one of {', '.join(FILLS)}; got {fill!r}. Choose one of them."
        )
    if fill == "mean":
        return _mean_colours(pixels, segments)
    if fill == "blur":
        return _blurred(pixels)
    return np.broadcast_to(_colour(fill, colour), pixels.shape).copy()


def perturbed(
    pixels: NDArray[np.uint8],
    covered: NDArray[np.uint8],
    *,
    segments: NDArray[np.int64],
    masks: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Return copies (P, H, W, 3): a kept superpixel from `pixels`, any other from `covered`."""
    # Bits instead of `np.where`, whose inner loop would be three bytes long: 8 times as fast here.
    bits = np.where(masks, np.uint8(255), np.uint8(0))
    copies = np.take(bits, np.repeat(segments.ravel(), 3), axis=1).reshape(-1, *pixels.shape)
    copies &= pixels ^ covered
    copies ^= covered
    return copies


def check_segments(pixels: NDArray[np.uint8], segments: NDArray[np.int64]) -> int:
    """Return S; raise ShapeError unless segments (H, W) number 0 … S - 1 without a gap."""
    check_pixels(pixels)
    if segments.shape != pixels.shape[:2]:
        raise ShapeError(
            f"`segments` must have shape (H, W) = {pixels.shape[:2]}; got {segments.shape}. "
            "Segment the image that is explained, at the size at which it is classified."
        )
    first, last = int(segments.min()), int(segments.max())
    if first != 0 or last >= segments.size or not np.bincount(segments.ravel()).all():
        raise ShapeError(
            f"`segments` must be numbered 0 … S - 1 without a gap; got numbers from {first} to "
            f"{last}. Renumber them: `np.unique(segments, return_inverse=True)[1]`."
        )
    return last + 1


def _mean_colours(pixels: NDArray[np.uint8], segments: NDArray[np.int64]) -> NDArray[np.uint8]:
    flat = segments.ravel()
    sizes = np.bincount(flat)
    sums = [np.bincount(flat, weights=channel) for channel in pixels.reshape(-1, 3).T]
    means = np.stack(sums, axis=1) / sizes[:, None]  # (S, 3)
    return means.astype(np.uint8)[segments]


def _blurred(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    sigma = _BLUR * max(pixels.shape[:2])
    out_of_focus = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(out_of_focus, dtype=np.uint8)


def _colour(fill: Fill, colour: Sequence[float] | None) -> NDArray[np.uint8]:
    if fill == "black":
        return np.zeros(3, dtype=np.uint8)
    values = np.asarray(() if colour is None else colour, dtype=np.float64)
    if values.shape != (3,) or not ((values >= 0) & (values <= 255)).all():
        raise ConfigError(
            f"`colour` must be three numbers in [0, 255] for the fill 'dataset'; got {colour}. "
            "Pass the mean colour of the training images."
        )
    return np.round(values).astype(np.uint8)
