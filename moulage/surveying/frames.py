"""Tell the picture from what frames it: bars laid around it, the dark of a round tube.

In:  grey thumbnails (H, W) uint8.   Out: the same without bars; where skin is lit.
Knows nothing of lesions or pairs.
Why: two photographs through one tube agree all along its edge, whatever they show.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Greys = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_BLACK, _WHITE = 14, 241  # grey levels that a bar does not leave
_MOST_TRIMMED = 0.35  # of each side: beyond that it is the picture
_MOST_UNEVEN = 2  # pixels between opposite bars: light that is blown out has only one side
_DIM, _DARK = 0.55, 110.0  # a tube's inside: below this share of the median, and below this grey
_MARGIN = 2  # pixels around the dark in which light still rises
_MOST_DARK = 0.6  # of the area: beyond that it is the picture


def trim_bars(grey: Greys) -> Greys:
    """Cut pairs of black or white bars off, and stretch what is left to the same size."""
    rows, columns = _kept(grey.min(axis=1), grey.max(axis=1)), _kept(grey.min(0), grey.max(0))
    if rows == slice(0, grey.shape[0]) and columns == slice(0, grey.shape[1]):
        return grey
    size = (grey.shape[1], grey.shape[0])
    return np.asarray(
        cv2.resize(grey[rows, columns], size, interpolation=cv2.INTER_LINEAR), np.uint8
    )


def lit(grey: Greys) -> Mask:
    """Say where the skin is lit: all but the dark that reaches in from a corner or side."""
    dark = grey < min(_DIM * float(np.median(grey)), _DARK)
    everywhere = np.ones(grey.shape, dtype=np.bool_)
    if not (dark[0].any() or dark[-1].any() or dark[:, 0].any() or dark[:, -1].any()):
        return everywhere
    _, labels = cv2.connectedComponents(dark.astype(np.uint8), connectivity=4)
    corners = labels[[0, 0, -1, -1], [0, -1, 0, -1]]
    frame = np.isin(labels, corners[corners > 0])
    if not frame.any() or frame.mean() > _MOST_DARK:
        return everywhere
    side = 2 * _MARGIN + 1
    wide = cv2.dilate(frame.astype(np.uint8), np.ones((side, side), dtype=np.uint8))
    return np.asarray(wide == 0)


def _kept(darkest: Greys, brightest: Greys) -> slice:
    """Return the stretch of lines between two bars, or all where there are none."""
    n_lines = len(darkest)
    inside = np.flatnonzero((brightest > _BLACK) & (darkest < _WHITE))
    if not len(inside):
        return slice(0, n_lines)
    first, last = int(inside[0]), int(inside[-1]) + 1
    bars = first, n_lines - last
    is_framed = min(bars) > 0 and max(bars) <= _MOST_TRIMMED * n_lines
    if not is_framed or abs(bars[0] - bars[1]) > _MOST_UNEVEN:
        return slice(0, n_lines)
    return slice(first, last)
