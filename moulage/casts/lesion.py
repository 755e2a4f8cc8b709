"""Paint one lesion on its skin, as a scene larger than any photograph of it.

In:  a diagnosis, a seed, the lesion's number, the photographs' size.
Out: a scene: RGB reflectance and the lesion's depth, both on the canvas.
Knows nothing of cameras, files or metadata.
Why: pigments darken the skin by absorption, so their colours mix as they do in skin: a little
melanin is tan, more is brown, much is black; the same melanin lying deep is blue.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.casts import fields
from moulage.casts.fields import Canvas, Map, canvas_for, smoothstep
from moulage.casts.recipes import FAINTEST, Recipe, draw_recipe
from moulage.casts.signs import PAINTERS
from moulage.casts.site import Layers, Site, blank_layers, sector
from moulage.seeding import generator

# Absorption of a unit of pigment in red, green and blue.
_MELANIN = np.array([0.45, 0.84, 1.14], dtype=np.float32)
_BLOOD = np.array([0.33, 1.00, 0.62], dtype=np.float32)
_DEEP = np.array([1.00, 0.80, 0.42], dtype=np.float32)
# Reflectance of what lies on top.
_WHITE = np.array([0.95, 0.88, 0.87], dtype=np.float32)
_KERATIN = np.array([0.72, 0.60, 0.44], dtype=np.float32)
_HAZE = np.array([0.56, 0.58, 0.70], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """One lesion and the skin around it.

    reflectance (S, S, 3) float32 in [0, 1], RGB; depth (S, S) float32, positive in the lesion.
    """

    canvas: Canvas
    reflectance: NDArray[np.float32]
    depth: Map


def paint_lesion(*, diagnosis: str, seed: int, number: int, size: tuple[int, int]) -> Scene:
    """Return the scene of lesion `number`, a function of these arguments alone."""
    keys: tuple[int | str, ...] = ("casts", seed, "lesion", number)
    recipe = draw_recipe(diagnosis, generator(*keys, "recipe"))
    canvas = canvas_for(size)
    site = _clear_site(canvas, recipe, keys)
    _paint_ground(site, recipe)
    for sign, paint in PAINTERS.items():
        if (strength := getattr(recipe, sign)) >= FAINTEST:
            paint(site, strength)
    layers = _skin(canvas, recipe.sun, generator(*keys, "skin"))
    _lay_on(layers, site.layers, canvas)
    tone = _skin_tone(generator(*keys, "tone"))
    depth = fields.paste(canvas, site.depth, outside=-1)
    return Scene(canvas=canvas, reflectance=_reflect(tone, layers), depth=depth)


def outline(canvas: Canvas, recipe: Recipe, rng: np.random.Generator) -> Map:
    """Return the depth (S, S): 1 at the centre, 0 on a wavy oval border, negative outside."""
    turn = rng.uniform(0, np.pi)
    stretch = np.exp(recipe.elongation * rng.uniform(0.2, 1.0) / 2)
    xs = _turned(canvas.xs, canvas.ys, turn) / np.float32(stretch)
    ys = _turned(canvas.ys, -canvas.xs, turn) * np.float32(stretch)
    angles = np.arctan2(ys, xs)
    reach = np.ones_like(canvas.xs)
    for lobes in range(2, 6):
        swing = np.clip(rng.normal(0, 1.4), -2, 2) * recipe.irregularity / lobes
        reach += np.float32(swing) * np.cos(lobes * angles + np.float32(rng.uniform(0, 2 * np.pi)))
    border = np.clip(reach, 0.6, 1.35) * np.float32(recipe.radius)
    distance: Map = np.asarray(np.hypot(xs, ys) / border, dtype=np.float32)
    fray = fields.clouds(canvas, rng, scale=0.45 * recipe.radius, octaves=3)
    swings = np.float32(0.8 * recipe.irregularity) * fray * smoothstep(distance, 0.1, 0.8)
    edge: Map = np.maximum(np.abs(canvas.xs), np.abs(canvas.ys)) * np.float32(2 / canvas.extent)
    return np.asarray(1 - distance + swings - 2 * smoothstep(edge, 0.85, 1.0), dtype=np.float32)


def _turned(xs: Map, ys: Map, angle: float) -> Map:
    return np.float32(np.cos(angle)) * xs + np.float32(np.sin(angle)) * ys


def _clear_site(canvas: Canvas, recipe: Recipe, keys: tuple[int | str, ...]) -> Site:
    """Only the middle of the canvas is painted with signs, which saves most of the time."""
    middle = fields.window(canvas, 1.7 * recipe.radius + 0.10)
    depth = outline(middle, recipe, generator(*keys, "outline"))
    return Site(
        canvas=middle,
        depth=depth,
        body=smoothstep(depth, -recipe.softness, recipe.softness),
        layers=blank_layers(middle),
        radius=recipe.radius,
        disorder=recipe.disorder,
        keys=keys,
    )


def _paint_ground(site: Site, recipe: Recipe) -> None:
    """The lesion's even colour, mottled, and stronger on one side where it is asymmetric."""
    rng = site.rng("ground")
    mottle = 1 + recipe.mottle * fields.clouds(site.canvas, rng, scale=0.5 * site.radius, octaves=4)
    lopsided = 1 + recipe.asymmetry * (2 * sector(site, rng, width=0.9) - 1)
    inward = 0.65 + 0.35 * smoothstep(site.depth, 0.0, 0.7)
    even = recipe.melanin * mottle * lopsided * inward
    site.layers.melanin[:] += np.clip(even, 0, None) * site.body
    flush = smoothstep(site.depth, -0.30, 0.35)
    site.layers.blood[:] += np.clip(recipe.blood * mottle, 0, None) * flush


def _skin(canvas: Canvas, sun: float, rng: np.random.Generator) -> Layers:
    """Mottling, skin lines and what years in the sun leave: freckles and fine vessels."""
    layers = blank_layers(canvas)
    mottle = fields.clouds(canvas, rng, scale=0.30, octaves=5)
    flush = fields.clouds(canvas, rng, scale=0.22, octaves=4)
    creases = fields.honeycomb(canvas, rng, period=rng.uniform(0.035, 0.06), disorder=0.9)
    lines = rng.uniform(0.01, 0.05) * smoothstep(creases, 0.35, 0.05)
    layers.melanin[:] = np.clip(0.04 + rng.uniform(0.01, 0.03) * mottle, 0, None) + lines
    layers.blood[:] = np.clip(0.04 + rng.uniform(0.015, 0.04) * flush, 0, None)
    layers.white[:] = np.clip(0.02 * fields.clouds(canvas, rng, scale=0.02), 0, 1)
    if sun >= FAINTEST:
        freckles = smoothstep(fields.clouds(canvas, rng, scale=0.20, octaves=4), 0.4, 2.2)
        layers.melanin[:] += 0.45 * sun * freckles
        layers.blood[:] += 0.22 * sun * _fine_vessels(canvas, rng, n=round(16 * sun))
    return layers


def _lay_on(skin: Layers, lesion: Layers, canvas: Canvas) -> None:
    for name in Layers.__dataclass_fields__:
        below: Map = getattr(skin, name)
        below += fields.paste(canvas, getattr(lesion, name))


def _fine_vessels(canvas: Canvas, rng: np.random.Generator, *, n: int) -> Map:
    starts = (rng.random((n, 2)) - 0.5) * canvas.extent
    paths = [
        fields.wander(rng, start=start, heading=rng.uniform(0, 7), length=0.25, bend=0.40)
        for start in starts
    ]
    return fields.blur(fields.lines(canvas, paths, [0.006] * n), canvas, 0.004)


def _skin_tone(rng: np.random.Generator) -> NDArray[np.float32]:
    """(3,) RGB reflectance: rosy to pale lilac, as dermatoscopes see fair skin."""
    red = rng.normal(0.88, 0.05)
    green = red * rng.normal(0.82, 0.045)
    blue = green * rng.normal(1.03, 0.07)
    return np.clip(np.array([red, green, blue], dtype=np.float32), 0.3, 0.98)


def _reflect(tone: NDArray[np.float32], layers: Layers) -> NDArray[np.float32]:
    """Return what comes back through the pigments and off the covers, (S, S, 3)."""
    covers = [
        (np.clip(cover, 0, 0.9), colour)
        for cover, colour in (
            (layers.haze, _HAZE),
            (layers.keratin, _KERATIN),
            (layers.white, _WHITE),
        )
    ]
    channels = []
    for c in range(3):
        thickness = layers.melanin * _MELANIN[c] + layers.blood * _BLOOD[c] + layers.deep * _DEEP[c]
        seen = tone[c] * np.exp(-thickness)
        for opacity, colour in covers:
            seen = seen + opacity * (colour[c] - seen)
        channels.append(seen)
    return np.asarray(cv2.merge(channels), dtype=np.float32)
