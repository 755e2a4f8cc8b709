"""Lay one grey thumbnail over another by a small affine motion, and say how well they agree.

In:  thumbnails (H, W) uint8, square; a first guess of the motion.   Out: an Alignment.
Knows nothing of colours, ids or candidates.
Why: a crop of a tenth a side moves a lesion's edge far enough that fine detail no longer falls on
itself; only after alignment does fine detail tell the same photograph from a similar one.

Local contrast is divided out first, so neither brightness nor a dark corner weighs. Then steps of
the inverse compositional method [baker2004, sec. 3.2], coarse detail before fine.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]
Matrix = NDArray[np.float64]

_COARSE_TO_FINE = (2, 1)  # how much each level is shrunk
_STEPS = (6, 3)  # at each level
_BLUR, _SURROUND = 3, 13  # sides of the boxes that smooth and that count as local, in pixels
_FAINT = 2.0  # grey levels: contrast below this is noise and is not blown up
_HOPELESS = 0.6  # agreement of coarse detail below which fine detail is not looked at
_OUTSIDE = 1e20  # no contrast is so large, even mixed with very little of this
_RIDGE = 1e-3
_MOST_STRETCH = 2.0  # of areas and of squared lengths
_LEAST_OVERLAP = 0.5
_BLOCKS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """A thumbnail ready to be aligned to: detail (H, W), its steepest descents (6, H·W), and
    steps (6, 6) from their correlation with an error to a motion, a triple a level.
    """

    levels: tuple[tuple[Maps, Maps, Matrix], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """motion (2, 3): from the fixed thumbnail's coordinates in [-1, 1] to the moving one's.

    agreement: correlation of fine detail where both are, in [-1, 1]. blockwise: its median over
    blocks. overlap: the share of the fixed thumbnail that the moving one covers.
    """

    motion: Matrix
    agreement: float
    blockwise: float
    overlap: float


def zoom(factor: float) -> Matrix:
    """Return the motion about the centre that maps the fixed thumbnail on a window so large."""
    return np.array([[factor, 0.0, 0.0], [0.0, factor, 0.0]])


def make_template(thumbnail: NDArray[np.uint8]) -> Template:
    """Prepare the fixed thumbnail once for many that move."""
    return Template(levels=tuple(_make_level(detail) for detail in details(thumbnail)))


def details(thumbnail: NDArray[np.uint8]) -> tuple[Maps, ...]:
    """Return the thumbnail's local contrast (h, w) float32 at each level, coarse first."""
    height, width = thumbnail.shape
    grey = thumbnail.astype(np.float32)
    return tuple(
        _local_contrast(
            np.asarray(
                cv2.resize(grey, (width // k, height // k), interpolation=cv2.INTER_AREA),
                dtype=np.float32,
            )
        )
        for k in _COARSE_TO_FINE
    )


def align(template: Template, moving: tuple[Maps, ...], *, start: Matrix) -> Alignment:
    """Move `moving`, the details of a thumbnail, over the template, beginning at `start`."""
    (coarse, fine), motion = template.levels, start
    motion = _refine(coarse, moving[0], motion, n_steps=_STEPS[0])
    found = _judge(coarse[0], moving[0], motion)
    if found.agreement < _HOPELESS:
        return found
    motion = _refine(fine, moving[1], motion, n_steps=_STEPS[1])
    return _judge(fine[0], moving[1], motion)


def _local_contrast(grey: Maps) -> Maps:
    smooth = _box(grey, _BLUR)
    detail = smooth - _box(smooth, _SURROUND)
    spread = np.sqrt(_box(detail * detail, _SURROUND) + np.float32(_FAINT))
    return np.asarray(detail / spread, dtype=np.float32)


def _box(maps: Maps, side: int) -> Maps:
    return np.asarray(cv2.blur(maps, (side, side)), dtype=np.float32)


def _make_level(detail: Maps) -> tuple[Maps, Maps, Matrix]:
    xs, ys = _grid(detail.shape[0])
    dy, dx = np.gradient(detail)
    dx, dy = dx * detail.shape[1] / 2, dy * detail.shape[0] / 2
    planes = [dx * xs, dx * ys, dx, dy * xs, dy * ys, dy]
    descents = np.stack(planes).reshape(6, -1).astype(np.float32)
    normal = (descents @ descents.T).astype(np.float64)
    ridge = _RIDGE * (np.trace(normal) / 6 + 1e-9) * np.eye(6)
    return detail, descents, np.linalg.inv(normal + ridge)


def _grid(side: int) -> tuple[Maps, Maps]:
    line = ((np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1).astype(np.float32)
    xs, ys = np.meshgrid(line, line)
    return xs, ys


def _refine(
    level: tuple[Maps, Maps, Matrix], moving: Maps, motion: Matrix, *, n_steps: int
) -> Matrix:
    fixed, descents, steps = level
    for _ in range(n_steps):
        moved, inside = _warp(moving, motion)
        error = np.where(inside, moved - fixed, np.float32(0)).ravel()
        change = steps @ (descents @ error).astype(np.float64)
        motion = _compose(motion, change.reshape(2, 3))
        if not _is_sane(motion):
            return motion
    return motion


def _compose(motion: Matrix, change: Matrix) -> Matrix:
    """Return `motion` after the inverse of (identity + change)."""
    (a, b, x), (c, d, y) = change.tolist()
    a, d = a + 1, d + 1
    area = a * d - b * c
    if abs(area) < 0.1:
        return np.full((2, 3), np.nan)
    undo = np.array([[d, -b, b * y - d * x], [-c, a, c * x - a * y], [0, 0, area]]) / area
    return np.asarray(motion @ undo)


def _is_sane(motion: Matrix) -> bool:
    """Say whether a motion neither folds, stretches nor shifts the picture away."""
    (a, b, x), (c, d, y) = motion.tolist()
    area = a * d - b * c
    lengths = (a * a + c * c, b * b + d * d)
    is_stretched = not 1 / _MOST_STRETCH < area < _MOST_STRETCH or max(lengths) > _MOST_STRETCH
    return not is_stretched and max(abs(x), abs(y)) < 1


def _warp(maps: Maps, motion: Matrix) -> tuple[Maps, NDArray[np.bool_]]:
    """Return `maps` as seen from the fixed thumbnail, and where it is seen at all."""
    side = maps.shape[0]
    half = side / 2
    turn = motion[:, :2]
    centre = half - 0.5
    shift = motion[:, 2] * half + centre - turn.sum(axis=1) * centre
    matrix = np.column_stack([turn, shift])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(maps, matrix, (side, side), flags=flags, borderValue=_OUTSIDE)
    return np.asarray(moved, dtype=np.float32), np.asarray(moved < 1e3)


def _judge(fixed: Maps, moving: Maps, motion: Matrix) -> Alignment:
    if not _is_sane(motion):
        return Alignment(motion=motion, agreement=0.0, blockwise=0.0, overlap=0.0)
    moved, inside = _warp(moving, motion)
    overlap = float(inside.mean())
    if overlap < _LEAST_OVERLAP:
        return Alignment(motion=motion, agreement=0.0, blockwise=0.0, overlap=overlap)
    return Alignment(
        motion=motion,
        agreement=_correlation(fixed[inside], moved[inside]),
        blockwise=_blockwise(fixed, np.where(inside, moved, np.float32(0)), inside),
        overlap=overlap,
    )


def _correlation(first: Maps, second: Maps) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / scale if scale > 0 else 0.0


def _blockwise(fixed: Maps, moved: Maps, inside: NDArray[np.bool_]) -> float:
    """Return the median correlation of blocks that lie inside: a shared frame fills only a few."""
    side = fixed.shape[0] // _BLOCKS

    def cut(maps: Maps) -> Maps:
        trimmed = maps[: side * _BLOCKS, : side * _BLOCKS]
        blocks = trimmed.reshape(_BLOCKS, side, _BLOCKS, side).swapaxes(1, 2)
        return blocks.reshape(_BLOCKS * _BLOCKS, -1)

    seen = cut(inside.astype(np.float32)).mean(axis=1) > 0.9
    pairs = zip(cut(fixed)[seen], cut(moved)[seen], strict=True)
    found = [_correlation(first, second) for first, second in pairs]
    return float(np.median(found)) if found else 0.0
