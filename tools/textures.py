"""Textures from formulas: an alphabet of fields, each a function of its wavelength.

In:  a random generator, a plane of pixel coordinates (turned and warped), a wavelength in pixels.
Out: one field (H, W) float32 in [0, 1] a call.
Knows nothing of colours, figures or lesions.
Why: a network that can tell these apart, and measure them, has learned edges, dots, nets, lines
and blotches at many scales without having seen a photograph.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Formula = Callable[[np.random.Generator, "Plane", float], Field]

_TILE = 64
_OCTAVES = ((1.0, 0.6), (0.5, 0.3), (0.25, 0.1))
_JULIA_STEPS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """Coordinates x, y (H, W) float32 in pixels from the centre, after a turn and a warp."""

    x: Field
    y: Field

    @property
    def size(self) -> int:
        """The side of the square, in pixels."""
        return len(self.x)


def plane_of(size: int, *, angle: float = 0.0, warp: float = 0.0, seed: int = 0) -> Plane:
    """Lay a plane of size × size pixels, turned by `angle` and pushed about by `warp` pixels."""
    x, y = _axes(size)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    turned = Plane(x=cosine * x + sine * y, y=cosine * y - sine * x)
    if warp == 0.0:
        return turned
    rng = np.random.default_rng(seed)
    return Plane(
        x=turned.x + np.float32(2 * warp) * (noise(rng, turned, size / 3) - np.float32(0.5)),
        y=turned.y + np.float32(2 * warp) * (noise(rng, turned, size / 3) - np.float32(0.5)),
    )


def noise(rng: np.random.Generator, plane: Plane, wavelength: float, stretch: float = 1.0) -> Field:
    """Sample smooth noise in [0, 1]; `stretch` > 1 draws it out along x."""
    tile = rng.random((_TILE, _TILE), dtype=np.float32)
    x = plane.x / np.float32(wavelength * stretch * 0.5) + np.float32(_TILE / 2)
    y = plane.y / np.float32(wavelength * 0.5) + np.float32(_TILE / 2)
    return np.asarray(cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))


def sharpen(field: Field, sharpness: float) -> Field:
    """Push a field towards 0 and 1; a sharpness near 0 leaves it as it is."""
    steep = np.float32(max(sharpness, 1e-3))
    pushed = np.tanh(steep * (2 * field - 1)) / np.tanh(steep)
    return np.asarray(np.float32(0.5) + np.float32(0.5) * pushed, dtype=np.float32)


def _plain(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    return np.zeros_like(plane.x)


def _gradient(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    return np.asarray(np.clip(np.float32(0.5) + plane.x / np.float32(plane.size), 0, 1))


def _clouds(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    octaves = [
        np.float32(weight) * noise(rng, plane, 3 * wavelength * scale) for scale, weight in _OCTAVES
    ]
    return np.asarray(sum(octaves), dtype=np.float32)


def _fibres(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    return noise(rng, plane, wavelength, stretch=6.0)


def _blotches(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    return sharpen(noise(rng, plane, 2 * wavelength), 6.0)


def _stripes(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    return _wave(plane.x / np.float32(wavelength) + np.float32(rng.random()))


def _checks(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    period = np.float32(wavelength)
    across, along = _wave(plane.x / period), _wave(plane.y / period)
    return across * along + (1 - across) * (1 - along)


def _network(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    """Thin lines in two or three directions: meshes of squares or of triangles."""
    n_directions = int(rng.integers(2, 4))
    lines = np.zeros_like(plane.x)
    for k in range(n_directions):
        turn = np.pi * k / n_directions
        along = np.float32(np.cos(turn)) * plane.x + np.float32(np.sin(turn)) * plane.y
        lines = np.maximum(
            lines, _wave(np.asarray(along / np.float32(wavelength), dtype=np.float32)) ** 4
        )
    return lines


def _rings(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    x, y = _off_centre(rng, plane)
    return _wave(cv2.magnitude(x, y) / np.float32(wavelength))


def _streaks(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    x, y = _off_centre(rng, plane)
    n_rays = max(3, round(plane.size / wavelength))
    return _wave(cv2.phase(x, y) * np.float32(n_rays / (2 * np.pi))) ** 2


def _dots(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    distances, _ = _nearest_point(rng, plane.size, 1.6 * wavelength)
    radius = np.float32(rng.uniform(0.2, 0.45) * wavelength)
    return np.asarray(np.clip(radius + np.float32(0.5) - distances, 0, 1))


def _cells(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    """Walls between the cells of random points, as in a honeycomb or cracked mud."""
    _, labels = _nearest_point(rng, plane.size, 1.6 * wavelength)
    is_wall = (labels != np.roll(labels, 1, axis=0)) | (labels != np.roll(labels, 1, axis=1))
    walls = cv2.GaussianBlur(is_wall.astype(np.float32), (0, 0), 0.5 + 0.05 * wavelength)
    return np.asarray(np.clip(np.float32(1.5) * walls, 0, 1))


def _mosaic(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    _, labels = _nearest_point(rng, plane.size, 1.6 * wavelength)
    return rng.random(int(labels.max()) + 1, dtype=np.float32)[labels]


def _polygons(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    canvas = np.zeros_like(plane.x)
    n_shapes = int(np.clip(0.3 * (plane.size / wavelength) ** 2, 3, 60))
    centres = rng.uniform(0, plane.size, (n_shapes, 1, 2))
    corners = centres + rng.normal(0, 0.8 * wavelength, (n_shapes, int(rng.integers(3, 6)), 2))
    for shape, value in zip(corners.astype(np.int32), rng.random(n_shapes), strict=True):
        cv2.fillConvexPoly(canvas, cv2.convexHull(shape), float(value), cv2.LINE_AA)
    return canvas


def _hairs(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    canvas = np.zeros_like(plane.x)
    for _ in range(max(4, round(0.5 * plane.size / wavelength))):
        start = rng.uniform(0, plane.size, 2)
        path = _walk(rng, start, rng.uniform(0, 2 * np.pi), 0.7 * plane.size, bend=0.08)
        _draw(canvas, path, width=1)
    return canvas


def _branches(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    """Wandering trunks that thin out into twigs: vessels, roots, rivers."""
    canvas = np.zeros_like(plane.x)
    length = min(4 * wavelength, 0.8 * plane.size)
    for _ in range(max(3, round(0.25 * plane.size / wavelength))):
        heading = rng.uniform(0, 2 * np.pi)
        trunk = _walk(rng, rng.uniform(0, plane.size, 2), heading, length, bend=0.3)
        _draw(canvas, trunk, width=1 + int(wavelength > 6))
        for joint in trunk[2::4]:
            side = heading + rng.choice([-0.9, 0.9])
            _draw(canvas, _walk(rng, joint, side, 0.4 * length, bend=0.3), width=1)
    return canvas


def _fractal(rng: np.random.Generator, plane: Plane, wavelength: float) -> Field:
    """Time of escape of a Julia set whose constant lies near the Mandelbrot set's edge."""
    turn = np.exp(1j * rng.uniform(0, 2 * np.pi))
    constant = np.complex64((turn / 2 - turn**2 / 4) * rng.uniform(1.0, 1.1))
    point = (plane.x + 1j * plane.y).astype(np.complex64)
    point *= np.float32(rng.uniform(1.0, 3.0) / plane.size)
    stayed = np.zeros_like(plane.x)
    for _ in range(_JULIA_STEPS):
        point = point * point + constant
        np.clip(point.real, -4, 4, out=point.real)
        np.clip(point.imag, -4, 4, out=point.imag)
        stayed += point.real**2 + point.imag**2 < 4
    return stayed / np.float32(_JULIA_STEPS)


FORMULAS: dict[str, Formula] = {
    "plain": _plain,
    "gradient": _gradient,
    "clouds": _clouds,
    "fibres": _fibres,
    "blotches": _blotches,
    "stripes": _stripes,
    "checks": _checks,
    "network": _network,
    "rings": _rings,
    "streaks": _streaks,
    "dots": _dots,
    "cells": _cells,
    "mosaic": _mosaic,
    "polygons": _polygons,
    "hairs": _hairs,
    "branches": _branches,
    "fractal": _fractal,
}


@cache
def _axes(size: int) -> tuple[Field, Field]:
    y, x = np.mgrid[:size, :size].astype(np.float32) - np.float32((size - 1) / 2)
    return x, y


def _wave(cycles: Field) -> Field:
    return np.asarray(np.float32(0.5) + np.float32(0.5) * np.sin(np.float32(2 * np.pi) * cycles))


def _off_centre(rng: np.random.Generator, plane: Plane) -> tuple[Field, Field]:
    shift = rng.normal(0, 0.2 * plane.size, 2).astype(np.float32)
    return plane.x + shift[0], plane.y + shift[1]


def _nearest_point(
    rng: np.random.Generator, size: int, spacing: float
) -> tuple[Field, NDArray[np.int32]]:
    """Scatter points about `spacing` apart; return each pixel's distance to the nearest, and it."""
    n_points = int(np.clip((size / spacing) ** 2, 3, size**2 // 9))
    canvas = np.ones((size, size), dtype=np.uint8)
    canvas[rng.integers(0, size, n_points), rng.integers(0, size, n_points)] = 0
    distances, labels = cv2.distanceTransformWithLabels(
        canvas, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    return np.asarray(distances, dtype=np.float32), np.asarray(labels, dtype=np.int32)


def _walk(
    rng: np.random.Generator,
    start: NDArray[np.float64],
    heading: float,
    length: float,
    *,
    bend: float,
) -> NDArray[np.float64]:
    """Return a path (12, 2) of equal steps whose heading drifts by `bend` radians a step."""
    headings = heading + np.cumsum(rng.normal(0, bend, 12))
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return np.asarray(start + np.cumsum(steps, axis=0) * length / 12)


def _draw(canvas: Field, path: NDArray[np.float64], *, width: int) -> None:
    corners = np.round(path * 16).astype(np.int32)[:, None]
    cv2.polylines(canvas, [corners], False, 1.0, width, cv2.LINE_AA, shift=4)
