"""Random fields on a square canvas: clouds, honeycombs, scattered discs and branching lines.

In:  a canvas, a generator, sizes in units of the photograph's shorter side.
Out: maps (S, S) float32, most of them in [0, 1].
Knows nothing of skin or diagnoses.
Why: sizes are relative, so one seed gives one picture at every resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, hypot, pi

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

_OVERSAMPLING = 1.1
_SHIFT = 4  # drawing coordinates carry 4 binary digits below the pixel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canvas:
    """A square plane around the lesion's centre.

    xs, ys (S, S) float32: the place of each pixel, centre at 0. extent: the side's length.
    Lengths are in units of the photograph's shorter side; unit_px is that unit in pixels.
    """

    xs: Map
    ys: Map
    extent: float
    unit_px: float

    @property
    def side_px(self) -> int:
        """S."""
        return len(self.xs)


def canvas_for(size: tuple[int, int]) -> Canvas:
    """Return a canvas that a turned photograph of `size` (width, height) pixels fits on."""
    extent = hypot(*size) / min(size)
    return _canvas(extent, unit_px=_OVERSAMPLING * min(size))


def window(canvas: Canvas, half: float) -> Canvas:
    """Return the middle of a canvas: all that lies within `half` units of its centre."""
    return _canvas(min(2 * half, canvas.extent), unit_px=canvas.unit_px)


def paste(canvas: Canvas, part: Map, *, outside: float = 0.0) -> Map:
    """Return a map of the canvas (S, S) with the map of a window in its middle."""
    margin = (canvas.side_px - len(part)) // 2
    whole = np.full(canvas.xs.shape, outside, dtype=np.float32)
    whole[margin : margin + len(part), margin : margin + len(part)] = part
    return whole


def _canvas(extent: float, unit_px: float) -> Canvas:
    side_px = round(extent * unit_px)
    line: Map = np.linspace(-0.5, 0.5, side_px, dtype=np.float32) * np.float32(extent)
    xs: Map = np.tile(line, (side_px, 1))
    return Canvas(xs=xs, ys=np.ascontiguousarray(xs.T), extent=extent, unit_px=unit_px)


def smoothstep(values: Map, lo: float, hi: float) -> Map:
    """Rise from 0 at `lo` to 1 at `hi` with flat ends; `lo > hi` falls instead."""
    t = np.clip((values - np.float32(lo)) / np.float32(hi - lo), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def blur(values: Map, canvas: Canvas, sigma: float) -> Map:
    """Smooth with a Gaussian of `sigma` units."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), max(sigma * canvas.unit_px, 0.3)))


def clouds(canvas: Canvas, rng: np.random.Generator, *, scale: float, octaves: int = 2) -> Map:
    """Return smooth noise of mean 0 and standard deviation 1, with features `scale` wide."""
    total: Map = np.zeros((1, 1), dtype=np.float32)
    for octave in range(octaves):
        n_cells = ceil(canvas.extent / scale * 2**octave) + 2
        grid = rng.standard_normal((n_cells, n_cells), dtype=np.float32)
        total = _resize(total, n_cells) + np.float32(0.5**octave) * grid
    total = _resize(total, canvas.side_px)
    mean, spread = cv2.meanStdDev(total)
    return (total - np.float32(mean.item())) * np.float32(1 / spread.item())


def honeycomb(canvas: Canvas, rng: np.random.Generator, *, period: float, disorder: float) -> Map:
    """Return a warped hexagonal lattice in [0, 1]: 1 in the middle of cells, 0 where three meet.

    Cells lie `period` apart; `disorder` 0 is a perfect lattice, 1 hardly a lattice any more.
    """
    xs, ys = (
        grid + np.float32(0.8 * disorder * period) * clouds(canvas, rng, scale=4 * period)
        for grid in (canvas.xs, canvas.ys)
    )
    wave = 2 * pi / (period * 0.75**0.5)
    turn, phase_x, phase_y = rng.random(3).tolist()
    total = np.zeros_like(xs)
    for third in range(3):
        angle = pi * (turn + 2 * third / 3)
        along = np.float32(wave * np.cos(angle)) * xs + np.float32(wave * np.sin(angle)) * ys
        phase = 2 * pi * (phase_x * np.cos(angle) + phase_y * np.sin(angle))
        total += np.cos(along + np.float32(phase))
    return np.asarray((total + np.float32(1.5)) / np.float32(4.5), dtype=np.float32)


def places_within(
    canvas: Canvas, rng: np.random.Generator, *, within: NDArray[np.bool_], n: int
) -> NDArray[np.float64]:
    """Draw up to `n` places (n, 2) x, y in units, uniformly where `within` holds."""
    tries = (rng.random((40 * n + 200, 2)) - 0.5) * canvas.extent
    columns, rows = to_px(canvas, tries).astype(np.int64).T
    return np.asarray(tries[within[rows, columns]][:n])


def to_px(canvas: Canvas, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn places in units into pixel coordinates (…, 2) in [0, S)."""
    return (places / canvas.extent + 0.5) * (canvas.side_px - 1e-3)


def discs(canvas: Canvas, places: NDArray[np.float64], radii: NDArray[np.float64]) -> Map:
    """Return 1 inside discs of `radii (n,)` units around `places (n, 2)`, 0 elsewhere."""
    plate = np.zeros(canvas.xs.shape, dtype=np.uint8)
    centres = np.round(to_px(canvas, places) * 2**_SHIFT).astype(int)
    sizes = np.round(radii * canvas.unit_px * 2**_SHIFT).astype(int)
    for centre, size in zip(centres.tolist(), sizes.tolist(), strict=True):
        cv2.circle(plate, centre, size, 255, -1, cv2.LINE_AA, _SHIFT)
    return np.asarray(plate, dtype=np.float32) / np.float32(255)


def lines(canvas: Canvas, paths: Sequence[NDArray[np.float64]], widths: Sequence[float]) -> Map:
    """Return 1 on polylines, each `(points, 2)` and as wide as stated, in units."""
    plate = np.zeros(canvas.xs.shape, dtype=np.uint8)
    for path, width in zip(paths, widths, strict=True):
        points = np.round(to_px(canvas, path) * 2**_SHIFT).astype(np.int32)
        width_px = width * canvas.unit_px
        ink = min(255, round(255 * width_px))  # thinner than a pixel: fainter, not thinner
        cv2.polylines(plate, [points], False, ink, max(1, round(width_px)), cv2.LINE_AA, _SHIFT)
    return np.asarray(plate, dtype=np.float32) / np.float32(255)


def wander(
    rng: np.random.Generator,
    *,
    start: NDArray[np.float64],
    heading: float,
    length: float,
    bend: float,
) -> NDArray[np.float64]:
    """Return a path (12, 2) of `length` units whose heading drifts by `bend` radians a step."""
    headings = heading + np.cumsum(rng.normal(0, bend, 11))
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * length / 11
    return np.concatenate([start[None], start + np.cumsum(steps, axis=0)])


def tree(
    rng: np.random.Generator,
    *,
    start: NDArray[np.float64],
    heading: float,
    length: float,
    depth: int = 2,
) -> list[tuple[NDArray[np.float64], int]]:
    """Return a branching vessel as (path, order) pairs; order 0 is the trunk."""
    trunk = wander(rng, start=start, heading=heading, length=length, bend=0.30)
    found = [(trunk, 0)]
    if depth == 0:
        return found
    for _ in range(3):
        knot = trunk[rng.integers(3, 11)]
        turn = heading + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
        shorter = length * rng.uniform(0.35, 0.65)
        limb = tree(rng, start=knot, heading=turn, length=shorter, depth=depth - 1)
        found += [(path, order + 1) for path, order in limb]
    return found


def _resize(values: Map, side: int) -> Map:
    return np.asarray(cv2.resize(values, (side, side), interpolation=cv2.INTER_CUBIC))
