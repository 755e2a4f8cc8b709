"""Paint one lesion on its skin, as a scene larger than any photograph of it.

In:  a diagnosis, a seed, the lesion's number, the photographs' size.
Out: a scene: RGB reflectance and the lesion's depth, both on the canvas.
Knows nothing of cameras, files or metadata.
Why: pigments darken the skin by absorption, so their colours mix as they do in skin: a little
melanin is tan, more is brown, much is black; the same melanin lying deep is blue.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.casts import fields
from moulage.casts.fields import Canvas, Map, canvas_for, smoothstep
from moulage.casts.recipes import Recipe, draw_recipe
from moulage.casts.signs import PAINTERS, Layers, Site, blank_layers, patches, sector
from moulage.seeding import generator

# Absorption of a unit of pigment in red, green and blue.
_MELANIN = np.array([0.42, 0.92, 1.06], dtype=np.float32)
_BLOOD = np.array([0.22, 1.00, 0.68], dtype=np.float32)
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
    canvas = canvas_for(size)
    recipe = draw_recipe(diagnosis, generator(*keys, "recipe"))
    depth = outline(canvas, recipe, generator(*keys, "outline"))
    site = Site(
        canvas=canvas,
        depth=depth,
        body=smoothstep(depth, -recipe.softness, recipe.softness),
        layers=blank_layers(canvas),
        radius=recipe.radius,
        disorder=recipe.disorder,
        keys=keys,
    )
    _paint_ground(site, recipe)
    for sign, paint in PAINTERS.items():
        paint(site, getattr(recipe, sign))
    _paint_skin(site, recipe.sun)
    tone = _skin_tone(generator(*keys, "tone"))
    return Scene(canvas=canvas, reflectance=_reflect(tone, site.layers), depth=depth)


def outline(canvas: Canvas, recipe: Recipe, rng: np.random.Generator) -> Map:
    """Return the depth (S, S): 1 at the centre, 0 on a wavy oval border, negative outside."""
    turn = rng.uniform(0, np.pi)
    stretch = np.exp(recipe.elongation * rng.uniform(0.3, 1.2) / 2)
    xs = (canvas.xs * np.cos(turn) + canvas.ys * np.sin(turn)) / stretch
    ys = (canvas.ys * np.cos(turn) - canvas.xs * np.sin(turn)) * stretch
    angles = np.arctan2(ys, xs)
    reach = np.ones_like(canvas.xs)
    for lobes in range(2, 7):
        swing = recipe.irregularity * rng.normal(0, 1.3) / np.sqrt(lobes)
        reach += np.float32(swing) * np.cos(lobes * angles + rng.uniform(0, 2 * np.pi))
    reach = np.clip(reach, 0.45, 1.6) * recipe.radius
    fray = fields.clouds(canvas, rng, scale=0.3 * recipe.radius)
    distance = np.hypot(xs, ys) / reach
    near_border = smoothstep(distance, 0.2, 0.8)
    depth = 1 - distance + 0.6 * recipe.irregularity * fray * near_border
    return np.asarray(depth, dtype=np.float32)


def _paint_ground(site: Site, recipe: Recipe) -> None:
    """The lesion's even colour, mottled, and stronger on one side where it is asymmetric."""
    rng = site.rng("ground")
    mottle = 1 + recipe.mottle * fields.clouds(site.canvas, rng, scale=0.35 * site.radius)
    lopsided = 1 + recipe.asymmetry * (2 * sector(site, rng, width=0.9) - 1)
    site.layers.melanin[:] += np.clip(recipe.melanin * mottle * lopsided, 0, None) * site.body
    flush = smoothstep(site.depth, -0.25, 0.3)
    site.layers.blood[:] += np.clip(recipe.blood * mottle, 0, None) * flush


def _paint_skin(site: Site, sun: float) -> None:
    """Mottling, skin lines and what years in the sun leave: freckles and fine vessels."""
    rng = site.rng("skin")
    canvas, layers = site.canvas, site.layers
    layers.melanin[:] += np.clip(0.05 + 0.03 * fields.clouds(canvas, rng, scale=0.25), 0, None)
    layers.blood[:] += np.clip(0.06 + 0.04 * fields.clouds(canvas, rng, scale=0.18), 0, None)
    creases = fields.honeycomb(canvas, rng, period=rng.uniform(0.035, 0.06), disorder=0.9)
    layers.melanin[:] += rng.uniform(0.02, 0.07) * smoothstep(creases, 0.35, 0.05)
    layers.white[:] += np.clip(0.02 * fields.clouds(canvas, rng, scale=0.015), 0, 1)
    freckles = patches(site, rng, scale=0.35, share=0.20)
    layers.melanin[:] += 0.28 * sun * freckles
    layers.blood[:] += 0.30 * sun * _fine_vessels(canvas, rng, n=round(16 * sun))


def _fine_vessels(canvas: Canvas, rng: np.random.Generator, *, n: int) -> Map:
    starts = (rng.random((n, 2)) - 0.5) * canvas.extent
    paths = [
        fields.wander(rng, start=start, heading=rng.uniform(0, 7), length=0.3, bend=0.35)
        for start in starts
    ]
    return fields.blur(fields.lines(canvas, paths, [0.009] * n), canvas, 0.004)


def _skin_tone(rng: np.random.Generator) -> NDArray[np.float32]:
    """(3,) RGB reflectance: rosy to pale lilac, as dermatoscopes see fair skin."""
    red = rng.normal(0.86, 0.05)
    green = red * rng.normal(0.80, 0.035)
    blue = green * rng.normal(1.04, 0.06)
    return np.clip(np.array([red, green, blue], dtype=np.float32), 0.3, 0.98)


def _reflect(tone: NDArray[np.float32], layers: Layers) -> NDArray[np.float32]:
    optical_depth = (
        layers.melanin[..., None] * _MELANIN
        + layers.blood[..., None] * _BLOOD
        + layers.deep[..., None] * _DEEP
    )
    colours = tone * np.exp(-optical_depth)
    for cover, colour in ((layers.haze, _HAZE), (layers.keratin, _KERATIN), (layers.white, _WHITE)):
        opacity = np.clip(cover, 0, 0.9)[..., None]
        colours = colours * (1 - opacity) + colour * opacity
    return np.asarray(np.clip(colours, 0, 1), dtype=np.float32)
