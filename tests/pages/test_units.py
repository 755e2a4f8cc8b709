import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from moulage.data.diagnoses import on_dark
from moulage.explanation.layers import HiddenLayer, Images, describe_layer
from moulage.pages.figures.maps import draw_map
from moulage.pages.units import Maps, draw_maps, units_page
from moulage.pages.words import WHY_NO_BOUNDS

COLOURS = ("#784463", "#0566CF")


def part(n_images: int, seed: int) -> Images:
    labels = np.arange(n_images) % 2
    activations = np.random.default_rng(seed).random((n_images, 3)) + labels[:, None] * [1, 0, 0]
    activations[:, 2] = 0.5
    names = np.array([f"{seed}-{number}" for number in range(n_images)])
    return Images(image_ids=names, lesion_ids=names, labels=labels, activations=activations)


@pytest.fixture(scope="module")
def layer() -> HiddenLayer:
    test = part(20, 3)
    decided = test.labels.copy()
    decided[:3] = 1 - decided[:3]
    return describe_layer(
        run="a run",
        study="a study",
        origin="the head’s last hidden layer",
        diagnoses=("mel", "nv"),
        train=part(30, 1),
        validation=part(40, 2),
        test=test,
        decided=decided,
        asked=np.array([0]),
    )


@pytest.fixture(scope="module")
def maps(layer: HiddenLayer) -> Maps:
    return draw_maps(layer, COLOURS)


@pytest.fixture(scope="module")
def page(layer: HiddenLayer, maps: Maps) -> str:
    pictures = {name: np.zeros((8, 8, 3), np.uint8) for name in layer.shown(2)}
    return units_page(layer, maps, pictures)


def test_the_page_tells_best_units_idle_ones_and_cases_alike(page: str) -> None:
    assert "3 units: the head’s last hidden layer. Here is what each tells" in page
    assert "mel: unit 0" in page
    assert "the unit is silent for mel" in page
    assert "1 unit dead: 2." in page
    assert "3-0: truth mel, decided nv" in page
    assert page.count("decided nv: the test image") == 1
    assert "it is a little too good" in page


def test_what_holds_of_the_run_is_said_before_the_first_section(
    layer: HiddenLayer, maps: Maps
) -> None:
    pictures = {name: np.zeros((8, 8, 3), np.uint8) for name in layer.shown(2)}
    page = units_page(layer, maps, pictures, first=("Its split leaks.",))
    assert "<strong>Note.</strong> Its split leaks.</p>" in page.split("<h2>")[0]


def test_maps_count_and_mark_what_is_decided_wrongly(maps: Maps, page: str) -> None:
    assert [drawing.caption.split(" of ")[0] for drawing in maps.drawings] == [
        "Principal components",
        "t-SNE",
    ]
    assert "20 images, 3 of them decided wrongly." in page
    assert page.count("mel (10)") == 2
    for colour in COLOURS:
        assert f"--shade-{colour[1:].lower()}: {colour.lower()};" in page
        assert f"--shade-{colour[1:].lower()}: {on_dark(colour).lower()};" in page
        assert f"fill: var(--shade-{colour[1:].lower()})" in page
    assert "fill-opacity: 0.7" not in page


def test_a_legend_of_long_names_lies_inside_its_picture(layer: HiddenLayer) -> None:
    names = (f"{kind} of the skin, with a name of its own" for kind in ("melanoma", "naevus"))
    for png in draw_maps(replace(layer, diagnoses=tuple(names)), COLOURS).files.values():
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert (picture[:, [0, -1]] == 255).all()


def test_maps_are_pictures_of_their_own_too(maps: Maps) -> None:
    for png in maps.files.values():
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture[0, 0].tolist() == [255, 255, 255]


def test_a_unit_that_never_varies_says_that_it_has_no_bounds(page: str) -> None:
    assert page.count("<small>no bounds</small>") >= 2, "unit 2 is 0.5 for every image"
    assert f"No bounds: {WHY_NO_BOUNDS}." in page


def test_points_are_larger_where_they_are_few() -> None:
    def reach(n_images: int) -> float:
        svg, _ = draw_map(
            np.random.default_rng(0).random((n_images, 2)),
            labels=np.zeros(n_images, np.int64),
            is_wrong=np.zeros(n_images, bool),
            diagnoses=[("mel", COLOURS[0])],
            name="map",
            title="A map",
        )
        found = re.search(r'PathCollection_1">\s*<defs>\s*<path[^>]* d="M 0 ([\d.]+)', svg)
        assert found is not None
        return float(found.group(1))

    assert reach(100) > 1.5 * reach(600)
