"""Lay one grey thumbnail over another by a small affine motion, and say how well they agree.

In:  thumbnails (H, W) uint8, square; a first guess of the motion.   Out: an Alignment.
Knows nothing of colours, ids or candidates.
Why: a crop of a tenth a side moves a lesion's edge far enough that fine detail no longer falls on
itself; only after alignment does fine detail tell the same photograph from a similar one.

Steps of the inverse compositional method [baker2004, sec. 3.2] on local contrast, coarse detail
before fine. What frames the picture, such as a dark tube, takes no part. Two round moles on
smooth skin agree in outline; their texture, which is judged last, does not.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.surveying.contrast import local_contrast
from moulage.surveying.frames import lit

Maps = NDArray[np.float32]
Mask = NDArray[np.bool_]
Motion = tuple[float, float, float, float, float, float]

_COARSE = 2  # how much the first level is shrunk
_SURROUND = 13  # side of the box that counts as local, in pixels
_TEXTURE = 7  # the same, for texture
_FAINT, _FAINT_TEXTURE = 2.0, 20.0  # squared grey levels
_FIRST_STEPS, _MORE_STEPS, _FINE_STEPS = 3, 3, 3
_UNLIKE, _HOPELESS = 0.4, 0.8  # coarse agreement below which no more steps are taken
_OUTSIDE = 1e20  # no contrast is so large, even mixed with very little of this
_SEEN = 1e3  # what is above is dark or outside
_RIDGE = 1e-3
_MOST_STRETCH = 2.0  # of areas and of squared lengths
_LEAST_OVERLAP = 0.4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """A contrast map ready to be aligned to.

    marked (H, W): huge where it is dark; contrast: the same, 0 there. steps (6, H·W): what an
    error at each pixel asks of each number of the motion.
    """

    marked: Maps
    contrast: Maps
    steps: Maps


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """motion (a, b, x, c, d, y): from the fixed thumbnail's coordinates, in [-1, 1], to the
    moving one's: (ax + by + x, cx + dy + y).

    agreement: correlation of detail where both are, in [-1, 1]. texture: the same of the finest
    detail; 0 where agreement is hopeless already.
    """

    motion: Motion
    agreement: float
    texture: float = 0.0


def zoom(factor: float) -> Motion:
    """Return the motion about the centre that maps the fixed thumbnail on a window so large."""
    return factor, 0.0, 0.0, 0.0, factor, 0.0


def coarse_contrast(grey: NDArray[np.uint8]) -> Maps:
    """Return the contrast (H/2, W/2) that `approach` works on; huge where it is dark."""
    height, width = grey.shape
    size = (width // _COARSE, height // _COARSE)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(lit(grey).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99
    return _marked(small, np.asarray(inside), surround=_SURROUND, faint=_FAINT)


def make_level(marked: Maps) -> Level:
    """Prepare the thumbnail that stays fixed once for many that move."""
    inside = marked < _SEEN
    contrast = np.where(inside, marked, np.float32(0))
    side = len(contrast)
    line = ((np.arange(side) + 0.5) * 2 / side - 1).astype(np.float32)
    dy, dx = (slope * np.float32(side / 2) * inside for slope in np.gradient(contrast))
    planes = [dx * line, dx * line[:, None], dx, dy * line, dy * line[:, None], dy]
    descents = np.stack(planes).reshape(6, -1)
    normal = (descents @ descents.T).astype(np.float64)
    ridge = _RIDGE * (np.trace(normal) / 6 + 1e-9) * np.eye(6)
    steps = np.linalg.inv(normal + ridge).astype(np.float32) @ descents
    return Level(marked=marked, contrast=contrast, steps=steps)


def approach(fixed: Level, moving: Maps, *, start: Motion) -> Alignment:
    """Move coarse contrast over the fixed one, beginning at `start`; give up where it is vain."""
    motion = _refine(fixed, moving, start, n_steps=_FIRST_STEPS)
    agreement = _agreement(fixed.marked, moving, motion)
    if agreement < _UNLIKE:
        return Alignment(motion=motion, agreement=agreement)
    motion = _refine(fixed, moving, motion, n_steps=_MORE_STEPS)
    return Alignment(motion=motion, agreement=_agreement(fixed.marked, moving, motion))


def align(fixed: NDArray[np.uint8], moving: NDArray[np.uint8], *, found: Alignment) -> Alignment:
    """Refine what `approach` found on fine detail, and judge it; hopeless cases stay as found."""
    if found.agreement < _HOPELESS:
        return found
    one, other = _fine(fixed), _fine(moving)
    motion = _refine(make_level(one[0]), other[0], found.motion, n_steps=_FINE_STEPS)
    return Alignment(
        motion=motion,
        agreement=_agreement(one[0], other[0], motion),
        texture=_agreement(one[1], other[1], motion),
    )


def _fine(grey: NDArray[np.uint8]) -> tuple[Maps, Maps]:
    """Return fine contrast and texture (H, W), huge where it is dark."""
    inside = lit(grey)
    return (
        _marked(grey, inside, surround=_SURROUND, faint=_FAINT),
        _marked(grey, inside, surround=_TEXTURE, faint=_FAINT_TEXTURE, blur=1),
    )


def _marked(
    grey: NDArray[np.generic], inside: Mask, *, surround: int, faint: float, blur: int = 3
) -> Maps:
    contrast = local_contrast(grey, inside, surround=surround, faint=faint, blur=blur)
    contrast[~inside] = _OUTSIDE
    return contrast


def _refine(level: Level, moving: Maps, motion: Motion, *, n_steps: int) -> Motion:
    for _ in range(n_steps):
        if not _is_sane(motion):
            return motion
        moved = _warp(moving, motion)
        error = moved - level.contrast
        error[moved > _SEEN] = 0
        motion = _compose(motion, (level.steps @ error.ravel()).tolist())
    return motion


def _compose(motion: Motion, change: list[float]) -> Motion:
    """Return `motion` after the inverse of (identity + change)."""
    (a, b, x, c, d, y), (e, f, u, g, h, v) = motion, change
    e, h = e + 1, h + 1
    area = e * h - f * g
    if abs(area) < 0.1:
        return zoom(0.0)
    e, f, g, h = h / area, -f / area, -g / area, e / area
    u, v = -(e * u + f * v), -(g * u + h * v)
    return (
        a * e + b * g,
        a * f + b * h,
        a * u + b * v + x,
        c * e + d * g,
        c * f + d * h,
        c * u + d * v + y,
    )


def _is_sane(motion: Motion) -> bool:
    """Say whether a motion neither folds, stretches nor shifts the picture away."""
    a, b, x, c, d, y = motion
    area = a * d - b * c
    is_stretched = (
        not 1 / _MOST_STRETCH < area < _MOST_STRETCH
        or max(a * a + c * c, b * b + d * d) > _MOST_STRETCH
    )
    return not is_stretched and max(abs(x), abs(y)) < 1


def _warp(maps: Maps, motion: Motion) -> Maps:
    """Return a map as seen from the fixed thumbnail; huge where it is not seen."""
    side = len(maps)
    half, centre = side / 2, side / 2 - 0.5
    a, b, x, c, d, y = motion
    matrix = np.array(
        [
            [a, b, x * half + centre * (1 - a - b)],
            [c, d, y * half + centre * (1 - c - d)],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(maps, matrix, (side, side), flags=flags, borderValue=_OUTSIDE)
    return np.asarray(moved, dtype=np.float32)


def _agreement(fixed: Maps, moving: Maps, motion: Motion) -> float:
    return _correlation(fixed, _warp(moving, motion)) if _is_sane(motion) else 0.0


def _correlation(first: Maps, second: Maps) -> float:
    """Return the correlation where both are seen, 0 where that is too small a part."""
    seen = (first < _SEEN) & (second < _SEEN)
    if np.count_nonzero(seen) < _LEAST_OVERLAP * seen.size:
        return 0.0
    one, two = first[seen], second[seen]
    one, two = one - one.mean(), two - two.mean()
    scale = float(np.sqrt((one @ one) * (two @ two)))
    return float(one @ two) / scale if scale > 0 else 0.0
