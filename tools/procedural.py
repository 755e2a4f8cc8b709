"""Compose pictures from formulas, each with the list of what was drawn into it.

In:  a random generator and a side in pixels.
Out: a picture: a textured ground, up to three figures on it, a layer of lines or dots above,
     light, blur and grain; beside it the formulas' names and measured quantities.
Knows nothing of skin: no photograph and no cast enters, and nothing of moulage's is imported.
Why: pictures whose every property is known teach a network to see colour, border, texture and
shape without a data set; they also serve as pictures of something that is certainly not skin.
"""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.textures import FORMULAS, Field, noise, plane_of, sharpen

Colour = NDArray[np.float32]

SURFACES = tuple(FORMULAS)
SCALELESS = ("plain", "gradient", "fractal")
LAYERS = ("none", "network", "dots", "cells", "streaks", "hairs", "branches", "stripes")
KINDS = {"ground": SURFACES, "figure": ("none", *SURFACES), "layer": LAYERS}
FACTORS = (
    *(f"ground_{statistic}_{channel}" for statistic in ("mean", "std") for channel in "rgb"),
    *(f"figure_{statistic}_{channel}" for statistic in ("mean", "std") for channel in "rgb"),
    *("ground_octave", "ground_contrast", "figure_octave", "figure_contrast"),
    *("layer_octave", "layer_opacity", "is_layer_inside"),
    *("n_figures", "area", "softness", "raggedness", "elongation", "off_centre"),
    *("n_tones", "tone_spread", "blur", "grain"),
)

_SHORTEST_PX, _LONGEST_PX = 2.5, 20.0
_HARMONICS = np.arange(2, 9, dtype=np.float32)
_N_DIRECTIONS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """pixels (H, W, C) uint8, RGB; kinds: a formula's name a slot of `KINDS`; factors by name.

    A factor that has no meaning in this picture (the figure's area where there is none) is left
    out.
    """

    pixels: NDArray[np.uint8]
    kinds: dict[str, str]
    factors: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surface:
    """A texture between two colours: `image (H, W, C)` in [0, 1] and how it came about."""

    kind: str
    image: Field
    octave: float
    contrast: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """The character of a border: how blurred, how ragged, how long and in which direction."""

    softness_px: float
    raggedness: float
    stretch: float
    direction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """Where the figures are: `share (H, W)` in [0, 1], and their common factors."""

    share: Field
    factors: dict[str, float]


def draw_picture(rng: np.random.Generator, size: int) -> Picture:
    """Draw one picture of size × size pixels."""
    tone = _draw_colour(rng)
    ground = _draw_surface(rng, size, tone)
    figures = _draw_figures(rng, size)
    figure, tones = _draw_figure_surface(rng, size, tone)
    scene = _mix(ground.image, figure.image, figures.share)
    layer_kind, scene, layer = _draw_layer(rng, scene, figures.share)
    image, camera = _photograph(rng, scene)
    pixels = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    has_figure = figures.factors["n_figures"] > 0
    factors = layer | camera | _describe("ground", ground, pixels, 1 - figures.share)
    if has_figure:
        factors |= tones | _describe("figure", figure, pixels, figures.share)
    return Picture(
        pixels=pixels,
        kinds={
            "ground": ground.kind,
            "figure": figure.kind if has_figure else "none",
            "layer": layer_kind,
        },
        factors=factors | (figures.factors if has_figure else {"n_figures": 0.0}),
    )


def _draw_colour(rng: np.random.Generator) -> Colour:
    """Draw any colour, or three times as often one between pink, orange, tan and brown."""
    if rng.random() < 0.25:
        return rng.random(3, dtype=np.float32)
    hue, saturation, value = rng.uniform([-0.08, 0.1, 0.15], [0.12, 0.8, 1.0])
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value), dtype=np.float32)


def _vary(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """Move a colour in lightness and, less, in hue."""
    lightness = rng.normal(0, spread)
    shift = lightness + rng.normal(0, 0.5 * spread, 3)
    return np.clip(colour + shift.astype(np.float32), 0, 1)


def _other_colour(rng: np.random.Generator, colour: Colour) -> Colour:
    return _draw_colour(rng) if rng.random() < 0.5 else _vary(rng, colour, 0.3)


def _draw_field(rng: np.random.Generator, kind: str, size: int) -> tuple[Field, float]:
    """Draw a texture at a random angle, warp and wavelength; return it and log2 of the last."""
    octave = rng.uniform(np.log2(_SHORTEST_PX), np.log2(_LONGEST_PX))
    warp = rng.choice([0.0, 1.0]) * rng.uniform(0, 0.12) * size
    plane = plane_of(
        size, angle=rng.uniform(0, 2 * np.pi), warp=warp, seed=int(rng.integers(2**31))
    )
    field = FORMULAS[kind](rng, plane, float(2**octave))
    return (1 - field if rng.random() < 0.5 else field), octave


def _draw_surface(rng: np.random.Generator, size: int, tone: Colour) -> _Surface:
    kind = SURFACES[rng.integers(len(SURFACES))]
    field, octave = _draw_field(rng, kind, size)
    field = sharpen(field, rng.uniform(0, 4))
    contrast = 0.0 if kind == "plain" else float(rng.uniform(0.3, 1.0))
    first, second = tone, _other_colour(rng, tone)
    image = first + (np.float32(contrast) * field)[..., None] * (second - first)
    return _Surface(kind=kind, image=image, octave=octave, contrast=contrast)


def _draw_figure_surface(
    rng: np.random.Generator, size: int, ground_tone: Colour
) -> tuple[_Surface, dict[str, float]]:
    """Draw a texture over one to four tones that lie in patches."""
    surface = _draw_surface(rng, size, _other_colour(rng, ground_tone))
    n_tones, spread = int(rng.integers(1, 5)), float(rng.uniform(0.05, 0.3))
    image = surface.image
    for _ in range(n_tones - 1):
        patches = noise(rng, plane_of(size), rng.uniform(0.3, 0.8) * size)
        share = sharpen(patches, 8.0)
        image = _mix(image, _vary(rng, image, spread), share)
    tones = {"n_tones": float(n_tones), "tone_spread": spread if n_tones > 1 else 0.0}
    return (
        _Surface(kind=surface.kind, image=image, octave=surface.octave, contrast=surface.contrast),
        tones,
    )


def _draw_figures(rng: np.random.Generator, size: int) -> _Figures:
    """Draw blobs that share an outline's character; one figure is the usual number."""
    n_figures = int(rng.choice([0, 1, 1, 1, 1, 2, 3]))
    outline = _draw_outline(rng)
    centres = rng.normal(0, 0.12 * size * max(n_figures, 1), (n_figures, 2))
    share = np.zeros((size, size), dtype=np.float32)
    for centre in centres:
        radius = rng.uniform(0.15, 0.45) * size / np.sqrt(n_figures)
        border = _distance_outside(rng, size, outline, centre=centre, radius=radius)
        inside = 1 / (1 + np.exp(np.clip(border / outline.softness_px, -30, 30)))
        share = np.maximum(share, inside)
    factors = {
        "n_figures": float(n_figures),
        "area": float(share.mean()),
        "softness": float(np.log2(outline.softness_px)),
        "raggedness": outline.raggedness,
        "elongation": outline.stretch,
        "off_centre": float(np.hypot(*centres.T).mean() / size) if n_figures else 0.0,
    }
    return _Figures(share=share.astype(np.float32), factors=factors)


def _draw_outline(rng: np.random.Generator) -> _Outline:
    return _Outline(
        softness_px=float(2 ** rng.uniform(-1.5, 3.0)),
        raggedness=float(rng.uniform(0, 0.5) ** 1.5),
        stretch=float(rng.uniform(0, 0.7)),
        direction=float(rng.uniform(0, np.pi)),
    )


def _distance_outside(
    rng: np.random.Generator,
    size: int,
    outline: _Outline,
    *,
    centre: NDArray[np.float64],
    radius: float,
) -> Field:
    """Return about how many pixels each pixel lies outside of the border (inside: negative)."""
    x, y = np.mgrid[:size, :size][::-1].astype(np.float32) - np.float32((size - 1) / 2)
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    cosine, sine = np.float32(np.cos(outline.direction)), np.float32(np.sin(outline.direction))
    squeeze = np.float32(np.sqrt(1 - outline.stretch))
    along, across = (cosine * x + sine * y) * squeeze, (cosine * y - sine * x) / squeeze
    reach = _draw_reach(rng, outline.raggedness)
    steps = cv2.phase(along, across) * np.float32(_N_DIRECTIONS / (2 * np.pi))
    border = np.float32(radius) * reach[steps.astype(np.int32)]
    return np.asarray(cv2.magnitude(along, across) - border)


def _draw_reach(rng: np.random.Generator, raggedness: float) -> Field:
    """Draw how far a border reaches in each direction, as a share of the radius."""
    amplitudes = raggedness * rng.normal(0, 1, len(_HARMONICS)).astype(np.float32)
    amplitudes /= np.sqrt(_HARMONICS)
    phases = rng.uniform(0, 2 * np.pi, len(_HARMONICS)).astype(np.float32)
    turns = np.linspace(0, 2 * np.pi, _N_DIRECTIONS + 1, dtype=np.float32)
    waves = np.cos(_HARMONICS[:, None] * turns + phases[:, None])
    return np.asarray(np.clip(1 + amplitudes @ waves, 0.3, 1.8))


def _draw_layer(
    rng: np.random.Generator, image: Field, share: Field
) -> tuple[str, Field, dict[str, float]]:
    """Lay lines or dots of one colour over everything or over the figures alone."""
    kind = LAYERS[rng.integers(len(LAYERS))] if rng.random() < 0.6 else "none"
    if kind == "none":
        return kind, image, {}
    field, octave = _draw_field(rng, kind, len(image))
    is_inside = bool(share.max() > 0.5 and rng.random() < 0.5)
    opacity = float(rng.uniform(0.3, 1.0))
    colour = _vary(rng, image.mean(axis=(0, 1)), 0.35)
    if float(field.mean()) > 0.5:
        field = 1 - field
    cover = np.float32(opacity) * field * (share if is_inside else np.float32(1))
    factors = {
        "layer_octave": octave,
        "layer_opacity": opacity,
        "is_layer_inside": float(is_inside),
    }
    return kind, _mix(image, np.broadcast_to(colour, image.shape), cover), factors


def _photograph(rng: np.random.Generator, image: Field) -> tuple[Field, dict[str, float]]:
    """Light the scene from one side, tint it, put it a little out of focus, add grain."""
    size = len(image)
    plane = plane_of(size, angle=rng.uniform(0, 2 * np.pi))
    slope = rng.normal(0, 0.12)
    light = 1 + np.float32(slope * 2 / size) * plane.x
    if rng.random() < 0.2:
        corner = cv2.magnitude(plane.x, plane.y) - np.float32(rng.uniform(0.5, 0.65) * size)
        light = light * np.clip(np.float32(0.5) - corner / np.float32(0.06 * size), 0, 1)
    tint = rng.normal(1, 0.05, 3).astype(np.float32)
    image = image * light[..., None] * tint
    blur, grain = float(rng.uniform(0, 1.2)), float(rng.uniform(0, 0.02))
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    image = image + np.float32(grain) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(image), {"blur": blur, "grain": grain}


def _describe(
    name: str, surface: _Surface, pixels: NDArray[np.uint8], share: Field
) -> dict[str, float]:
    """Return a surface's factors and the colours that are seen of it, weighted by its share."""
    weights = (share / (share.sum() + np.float32(1e-6))).reshape(-1)
    colours = pixels.reshape(-1, 3).astype(np.float32) / np.float32(255)
    means = weights @ colours
    spreads = np.sqrt(weights @ (colours - means) ** 2)
    colours_seen = {
        f"{name}_{statistic}_{channel}": float(value)
        for statistic, values in (("mean", means), ("std", spreads))
        for channel, value in zip("rgb", values, strict=True)
    }
    scale = {} if surface.kind in SCALELESS else {f"{name}_octave": surface.octave}
    return colours_seen | scale | {f"{name}_contrast": surface.contrast}


def _mix(below: Field, above: Field, share: Field) -> Field:
    return below + share[..., None] * (above - below)
