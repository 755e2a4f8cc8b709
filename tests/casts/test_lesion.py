"""A painted lesion shows its signs, the same way every time."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from moulage.casts.cohort import DIAGNOSES
from moulage.casts.fields import canvas_for, smoothstep
from moulage.casts.lesion import outline, paint_lesion
from moulage.casts.recipes import RECIPES, Recipe
from moulage.casts.signs import PAINTERS
from moulage.casts.site import Layers, Site, blank_layers, patches, sector
from moulage.seeding import generator

SIZE = (100, 75)


@pytest.fixture
def site() -> Site:
    canvas = canvas_for(SIZE)
    depth = outline(canvas, Recipe(radius=0.3, irregularity=0.0, elongation=0.0), generator("t"))
    return Site(
        canvas=canvas,
        depth=depth,
        body=smoothstep(depth, -0.1, 0.1),
        layers=blank_layers(canvas),
        radius=0.3,
        disorder=0.3,
        keys=("test",),
    )


def amounts(layers: Layers) -> dict[str, float]:
    return {layer.name: float(getattr(layers, layer.name).sum()) for layer in fields(layers)}


def test_a_regular_outline_is_a_circle_of_its_radius(site: Site) -> None:
    distance = np.hypot(site.canvas.xs, site.canvas.ys)
    inside = site.depth > 0
    assert distance[inside].max() < 0.31
    assert distance[~inside].min() > 0.29
    assert site.depth.max() == pytest.approx(1, abs=0.05)


def test_irregular_outlines_differ_from_each_other_and_stay_off_the_border() -> None:
    canvas = canvas_for(SIZE)
    jagged = replace(RECIPES["mel"], radius=0.45, irregularity=0.3)
    first, second = (outline(canvas, jagged, generator("test", k)) > 0 for k in range(2))
    assert (first != second).mean() > 0.02
    rim = np.concatenate([first[0], first[-1], first[:, 0], first[:, -1]])
    assert not rim.any()


@pytest.mark.parametrize(
    ("sign", "layer"),
    [
        ("network", "melanin"),
        ("globules", "melanin"),
        ("dark_centre", "melanin"),
        ("blotches", "melanin"),
        ("streaks", "melanin"),
        ("veil", "haze"),
        ("regression", "white"),
        ("cysts", "white"),
        ("plugs", "melanin"),
        ("furrows", "melanin"),
        ("wax", "keratin"),
        ("vessels", "blood"),
        ("nests", "deep"),
        ("shine", "white"),
        ("ulcer", "blood"),
        ("scale", "white"),
        ("strawberry", "blood"),
        ("scar", "white"),
        ("halo", "melanin"),
        ("lacunes", "blood"),
    ],
)
def test_a_sign_adds_its_own_matter_and_more_of_it_when_stronger(
    site: Site, sign: str, layer: str
) -> None:
    weaker = replace(site, layers=blank_layers(site.canvas))
    PAINTERS[sign](weaker, 0.4)
    PAINTERS[sign](site, 0.9)
    assert 0 < amounts(weaker.layers)[layer] < amounts(site.layers)[layer]


@pytest.mark.parametrize("sign", sorted(PAINTERS))
def test_signs_stay_near_the_lesion(site: Site, sign: str) -> None:
    PAINTERS[sign](site, 0.9)
    far = np.hypot(site.canvas.xs, site.canvas.ys) > 0.72
    total = sum(np.abs(getattr(site.layers, layer.name)) for layer in fields(Layers))
    assert total[far].sum() <= 0.01 * total.sum()


def test_a_scar_takes_pigment_from_the_middle(site: Site) -> None:
    site.layers.melanin[:] = 1
    PAINTERS["scar"](site, 1.0)
    assert site.layers.melanin[site.depth > 0.9].max() < 0.3
    assert site.layers.melanin[site.depth < 0].min() == 1


def test_a_weak_ulcer_is_none(site: Site) -> None:
    PAINTERS["ulcer"](site, 0.2)
    assert sum(amounts(site.layers).values()) == 0


def test_a_sector_covers_one_side_and_patches_about_their_share(site: Site) -> None:
    side = sector(site, generator("test"), width=0.3)
    assert 0.3 < side.mean() < 0.7
    assert np.corrcoef(side.ravel(), side[::-1, ::-1].ravel())[0, 1] < -0.5
    few, many = (
        patches(site, generator("test"), scale=0.5, share=share).mean() for share in (0.1, 0.6)
    )
    assert few < 0.2 < 0.4 < many


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_scenes_are_reproducible_and_in_range(diagnosis: str) -> None:
    scene, again = (
        paint_lesion(diagnosis=diagnosis, seed=3, number=5, size=SIZE) for _ in range(2)
    )
    assert scene.reflectance.shape == (*scene.depth.shape, 3)
    assert np.array_equal(scene.reflectance, again.reflectance)
    assert np.array_equal(scene.depth, again.depth)
    assert 0 <= scene.reflectance.min() <= scene.reflectance.max() <= 1
    assert scene.depth.max() > 0


def test_other_lesions_and_seeds_look_different() -> None:
    def reflectance(seed: int, number: int) -> NDArray[np.float32]:
        return paint_lesion(diagnosis="nv", seed=seed, number=number, size=SIZE).reflectance

    base = reflectance(0, 1)
    assert np.abs(base - reflectance(0, 2)).mean() > 0.02
    assert np.abs(base - reflectance(1, 1)).mean() > 0.02


def test_diagnoses_have_their_colours() -> None:
    """Averages over lesions: melanoma is dark, angioma is red, a carcinoma's blue is no mole's."""

    def mean_colour(diagnosis: str) -> NDArray[np.float32]:
        scenes = [
            paint_lesion(diagnosis=diagnosis, seed=1, number=number, size=SIZE)
            for number in range(12)
        ]
        return np.mean([s.reflectance[s.depth > 0].mean(axis=0) for s in scenes], axis=0)

    colours = {code: mean_colour(code) for code in DIAGNOSES}
    assert colours["mel"].mean() < min(colours[code].mean() for code in ("df", "bkl", "akiec"))
    redness = {code: colour[0] / colour[1] for code, colour in colours.items()}
    assert redness["vasc"] == max(redness.values())
    yellowness = {code: colour[1] / colour[2] for code, colour in colours.items()}
    assert yellowness["bkl"] > yellowness["bcc"] > yellowness["vasc"]
