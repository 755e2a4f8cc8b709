"""Paint the signs that dermatologists look for, each as pigment in or matter on the skin.

In:  a site (the lesion's place on its canvas) and a sign's strength in [0, 1].
Out: nothing; the site's layers are painted upon.
Knows nothing of diagnoses or colours: `recipes` says how much, `lesion` turns layers into RGB.
"""

from collections.abc import Callable, Mapping

import numpy as np

from moulage.casts import fields
from moulage.casts.fields import Map, smoothstep
from moulage.casts.site import Site, patches, sector


def paint_network(site: Site, strength: float) -> None:
    """A brown mesh; holes are as pale as the ground."""
    rng = site.rng("network")
    cells = fields.honeycomb(
        site.canvas, rng, period=rng.uniform(0.024, 0.035), disorder=min(site.disorder, 1)
    )
    mesh = smoothstep(cells, 0.65, 0.05)
    extent = smoothstep(fields.clouds(site.canvas, rng, scale=0.4 * site.radius, octaves=3), -1, 1)
    site.layers.melanin[:] += 0.60 * strength * site.body * extent * mesh
    site.layers.melanin[:] *= 1 - 0.30 * strength * extent * (1 - mesh)


def paint_globules(site: Site, strength: float) -> None:
    """Round brown clods."""
    rng = site.rng("globules")
    site.layers.melanin[:] += (
        0.8 * strength * _dots(site, rng, n=round(60 * strength), lo=0.05, radius=0.010)
    )


def paint_dark_centre(site: Site, strength: float) -> None:
    """More pigment in the middle: the ordinary mole."""
    wave = 0.10 * fields.clouds(site.canvas, site.rng("centre"), scale=0.6 * site.radius)
    site.layers.melanin[:] += 0.7 * strength * smoothstep(site.depth + wave, 0.25, 0.85)


def paint_blotches(site: Site, strength: float) -> None:
    """Black and dark brown areas without structure, off the centre."""
    rng = site.rng("blotches")
    side = sector(site, rng, width=0.7)
    where = patches(site, rng, scale=0.55, share=0.30 + 0.2 * strength)
    site.layers.melanin[:] += 2.4 * strength * where * (0.35 + 0.65 * side) * site.body


def paint_streaks(site: Site, strength: float) -> None:
    """Radial lines that run over the border on one side."""
    rng = site.rng("streaks")
    starts = fields.places_within(
        site.canvas, rng, within=site.ring(0.04, 0.20), n=round(80 * strength)
    )
    middle = rng.uniform(-np.pi, np.pi)
    angles = np.arctan2(starts[:, 1], starts[:, 0])
    near = np.cos(angles - middle) > 0.1
    paths = [
        fields.wander(
            rng, start=start, heading=angle, length=site.radius * rng.uniform(0.12, 0.34), bend=0.10
        )
        for start, angle in zip(starts[near], angles[near], strict=True)
    ]
    tapering = [*paths, *(path[:7] for path in paths)]
    ink = fields.lines(site.canvas, tapering, [0.007] * len(paths) + [0.014] * len(paths))
    site.layers.melanin[:] += 1.1 * strength * fields.blur(ink, site.canvas, 0.004)


def paint_veil(site: Site, strength: float) -> None:
    """A blue-white haze over pigment that lies deep."""
    rng = site.rng("veil")
    where = patches(site, rng, scale=0.7, share=0.30) * smoothstep(site.depth, 0.10, 0.35)
    site.layers.deep[:] += 0.7 * strength * where
    site.layers.haze[:] += 0.45 * strength * where


def paint_regression(site: Site, strength: float) -> None:
    """White scar-like areas with grey pepper."""
    rng = site.rng("regression")
    where = patches(site, rng, scale=0.5, share=0.22) * smoothstep(site.depth, 0.02, 0.25)
    site.layers.melanin[:] *= 1 - 0.85 * strength * where
    site.layers.white[:] += 0.40 * strength * where
    pepper = _dots(site, rng, n=round(50 * strength), lo=0.05, radius=0.005)
    site.layers.deep[:] += 0.8 * strength * where * pepper


def paint_cysts(site: Site, strength: float) -> None:
    """Milia-like cysts: small round white-yellow grains."""
    rng = site.rng("cysts")
    grains = _dots(site, rng, n=round(26 * strength), lo=0.10, radius=0.011)
    site.layers.white[:] += 0.75 * strength * fields.blur(grains, site.canvas, 0.004)


def paint_plugs(site: Site, strength: float) -> None:
    """Comedo-like openings: round brown-black plugs."""
    rng = site.rng("plugs")
    grains = _dots(site, rng, n=round(18 * strength), lo=0.08, radius=0.014)
    site.layers.melanin[:] += 1.5 * strength * fields.blur(grains, site.canvas, 0.004)


def paint_furrows(site: Site, strength: float) -> None:
    """Fissures and ridges, like the surface of a brain."""
    rng = site.rng("furrows")
    noise = fields.clouds(site.canvas, rng, scale=rng.uniform(0.05, 0.08), octaves=2)
    grooves = smoothstep(np.abs(noise), 0.75, 0.0) * smoothstep(site.depth, 0.0, 0.15)
    site.layers.melanin[:] += 0.40 * strength * grooves
    site.layers.keratin[:] += 0.18 * strength * site.body * (1 - grooves)


def paint_wax(site: Site, strength: float) -> None:
    """A dull greyish-yellow cover with a sharp edge: stuck on, like wax."""
    rng = site.rng("wax")
    edge = smoothstep(site.depth, -0.01, 0.05)
    grain = 0.75 + 0.25 * fields.clouds(site.canvas, rng, scale=0.04)
    site.layers.keratin[:] += np.clip(0.42 * strength * edge * grain, 0, 1)
    site.layers.melanin[:] += 0.25 * strength * edge * smoothstep(site.depth, 0.16, 0.0)


def paint_vessels(site: Site, strength: float) -> None:
    """Sharp arborising vessels: bright red trunks that branch ever finer."""
    rng = site.rng("vessels")
    n_trees = 1 + round(3 * strength)
    starts = fields.places_within(site.canvas, rng, within=site.ring(-0.10, 0.30), n=n_trees)
    limbs = []
    for start in starts:
        inward = np.arctan2(-start[1], -start[0]) + rng.normal(0, 0.5)
        length = site.radius * rng.uniform(0.7, 1.4)
        limbs += fields.tree(rng, start=start, heading=inward, length=length)
    widths = [0.0085 * 0.6**order for _, order in limbs]
    ink = fields.lines(site.canvas, [path for path, _ in limbs], widths)
    site.layers.blood[:] += 1.2 * strength * fields.blur(ink, site.canvas, 0.0025)


def paint_nests(site: Site, strength: float) -> None:
    """Blue-grey ovoid nests and globules."""
    rng = site.rng("nests")
    clods = _dots(site, rng, n=round(14 * strength), lo=0.02, radius=0.024)
    ragged = 0.25 * fields.clouds(site.canvas, rng, scale=0.05)
    soft = smoothstep(fields.blur(clods, site.canvas, 0.012) * (1 + ragged), 0.1, 1.0)
    site.layers.deep[:] += 1.1 * strength * soft
    site.layers.melanin[:] += 0.3 * strength * soft
    site.layers.haze[:] += 0.15 * strength * soft


def paint_shine(site: Site, strength: float) -> None:
    """A pearly gloss and short white lines that cross at right angles."""
    rng = site.rng("shine")
    gloss = patches(site, rng, scale=0.6, share=0.30) * smoothstep(site.depth, 0.0, 0.4)
    site.layers.white[:] += 0.28 * strength * gloss
    starts = fields.places_within(
        site.canvas, rng, within=site.ring(0.15, 1.0), n=round(14 * strength)
    )
    turn = rng.uniform(0, np.pi)
    headings = turn + np.pi / 2 * rng.integers(0, 2, len(starts))
    paths = [
        fields.wander(rng, start=start, heading=heading, length=0.07, bend=0.02)
        for start, heading in zip(starts, headings, strict=True)
    ]
    ink = fields.lines(site.canvas, paths, [0.008] * len(paths))
    site.layers.white[:] += 0.6 * strength * fields.blur(ink, site.canvas, 0.003)


def paint_ulcer(site: Site, strength: float) -> None:
    """A raw red-brown spot with a crust."""
    if strength < 0.3:
        return
    rng = site.rng("ulcer")
    centres = fields.places_within(site.canvas, rng, within=site.ring(0.2, 1.0), n=2)
    spot = fields.discs(site.canvas, centres, site.radius * rng.uniform(0.10, 0.22, len(centres)))
    ragged = 0.4 * fields.clouds(site.canvas, rng, scale=0.05)
    where = smoothstep(fields.blur(spot, site.canvas, 0.02) + ragged * spot, 0.25, 0.75)
    site.layers.blood[:] += 1.4 * strength * where
    site.layers.melanin[:] += 0.7 * strength * where


def paint_scale(site: Site, strength: float) -> None:
    """Dry white-yellow flakes on the surface."""
    rng = site.rng("scale")
    flakes = fields.clouds(site.canvas, rng, scale=0.035, octaves=2)
    where = patches(site, rng, scale=0.45, share=0.45) * site.body
    crust = where * smoothstep(flakes, 0.3, 1.8)
    site.layers.white[:] += 0.60 * strength * crust
    site.layers.keratin[:] += 0.25 * strength * where


def paint_strawberry(site: Site, strength: float) -> None:
    """A red net around pale follicles, like the skin of a strawberry."""
    rng = site.rng("strawberry")
    cells = fields.honeycomb(site.canvas, rng, period=0.046, disorder=0.8)
    pores = smoothstep(cells, 0.60, 1.0)
    extent = smoothstep(fields.clouds(site.canvas, rng, scale=0.6 * site.radius, octaves=3), -1, 1)
    site.layers.blood[:] += 0.40 * strength * site.body * (1 - pores) * (0.5 + 0.5 * extent)
    site.layers.white[:] += 0.30 * strength * site.body * pores * extent


def paint_scar(site: Site, strength: float) -> None:
    """A white patch in the middle, with fine shiny lines."""
    rng = site.rng("scar")
    wave = 0.14 * fields.clouds(site.canvas, rng, scale=0.5 * site.radius)
    where = smoothstep(site.depth + wave, 0.38, 0.75)
    fibres = fields.clouds(site.canvas, rng, scale=0.03)
    site.layers.melanin[:] *= 1 - 0.9 * strength * where
    site.layers.white[:] += strength * where * np.clip(0.52 + 0.12 * fibres, 0, 1)


def paint_halo(site: Site, strength: float) -> None:
    """A delicate brown ring of fine network around a paler middle."""
    rng = site.rng("halo")
    ring = smoothstep(site.depth, -0.05, 0.15) * smoothstep(site.depth, 0.60, 0.30)
    cells = fields.honeycomb(site.canvas, rng, period=0.032, disorder=0.2)
    site.layers.melanin[:] += strength * ring * (0.12 + 0.35 * smoothstep(cells, 0.6, 0.1))


def paint_lacunes(site: Site, strength: float) -> None:
    """Sharply bounded red, purple and blue lagoons with pale walls between them."""
    rng = site.rng("lacunes")
    period = rng.uniform(0.22, 0.50) * site.radius + 0.03
    cells = fields.honeycomb(site.canvas, rng, period=period, disorder=0.42)
    inside = smoothstep(site.depth, 0.0, 0.10)
    lagoons = smoothstep(cells, 0.10, 0.40) * inside
    blue = patches(site, rng, scale=0.7, share=rng.uniform(0.02, 0.5))
    site.layers.blood[:] += strength * (0.35 * inside + 0.75 * lagoons)
    site.layers.deep[:] += 0.8 * strength * lagoons * blue
    site.layers.haze[:] += 0.12 * strength * inside * (1 - lagoons)


PAINTERS: Mapping[str, Callable[[Site, float], None]] = {
    "dark_centre": paint_dark_centre,
    "network": paint_network,
    "globules": paint_globules,
    "blotches": paint_blotches,
    "streaks": paint_streaks,
    "regression": paint_regression,
    "veil": paint_veil,
    "furrows": paint_furrows,
    "wax": paint_wax,
    "plugs": paint_plugs,
    "cysts": paint_cysts,
    "strawberry": paint_strawberry,
    "scale": paint_scale,
    "nests": paint_nests,
    "vessels": paint_vessels,
    "ulcer": paint_ulcer,
    "shine": paint_shine,
    "halo": paint_halo,
    "scar": paint_scar,
    "lacunes": paint_lacunes,
}


def _dots(site: Site, rng: np.random.Generator, *, n: int, lo: float, radius: float) -> Map:
    places = fields.places_within(site.canvas, rng, within=site.ring(lo, 2.0), n=n)
    radii = radius * np.exp(rng.normal(0, 0.35, len(places)))
    return fields.discs(site.canvas, places, radii)
