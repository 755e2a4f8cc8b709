"""Divide light out of a grey thumbnail: what is left is how each spot differs from around it.

In:  grey (H, W), where it is lit (H, W).   Out: contrast (H, W), 0 where it is dark.
Knows nothing of pairs.
Why: brightness, the camera's curve and a dark corner must not weigh when pictures are compared.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]


def local_contrast(
    grey: NDArray[np.generic],
    lit: NDArray[np.bool_],
    *,
    surround: int,
    faint: float = 2.0,
    blur: int = 3,
) -> Maps:
    """Return the contrast against a box of `surround` pixels, in standard deviations there.

    faint: squared grey levels; contrast below it is noise and is not blown up. blur: side of the
    box that smooths first, in pixels.
    """
    weights = None if lit.all() else lit.astype(np.float32)
    smooth = _mean(grey.astype(np.float32), blur, weights)
    detail = smooth - _mean(smooth, surround, weights)
    spread = np.sqrt(_mean(detail * detail, surround, weights) + np.float32(faint))
    contrast = detail / spread
    return np.asarray(contrast if weights is None else contrast * weights, dtype=np.float32)


def _mean(maps: Maps, side: int, weights: Maps | None) -> Maps:
    """Return means of boxes, over what is lit where weights are given."""
    if weights is None:
        return np.asarray(cv2.blur(maps, (side, side)), dtype=np.float32)
    total = cv2.blur(maps * weights, (side, side))
    return np.asarray(total / (cv2.blur(weights, (side, side)) + np.float32(1e-6)), np.float32)
