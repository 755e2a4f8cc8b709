"""Photographs of one lesion are alike but not equal."""

import numpy as np
import pytest

from moulage.casts.lesion import Scene, paint_lesion
from moulage.casts.photograph import photograph
from moulage.seeding import generator

SIZE = (100, 75)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return paint_lesion(diagnosis="nv", seed=0, number=1, size=SIZE)


def test_a_photograph_has_the_size_asked_for(scene: Scene) -> None:
    taken = photograph(scene, size=SIZE, rng=generator("test"))
    assert taken.pixels.shape == (75, 100, 3)
    assert taken.pixels.dtype == np.uint8
    assert taken.mask.shape == (75, 100)
    assert taken.mask.dtype == np.bool_


def test_one_generator_state_gives_one_photograph(scene: Scene) -> None:
    one, two = (photograph(scene, size=SIZE, rng=generator("test")) for _ in range(2))
    assert np.array_equal(one.pixels, two.pixels)
    assert np.array_equal(one.mask, two.mask)


def test_two_photographs_of_a_lesion_differ_in_framing_and_light(scene: Scene) -> None:
    first, second = (photograph(scene, size=SIZE, rng=generator("test", k)) for k in range(2))
    assert (first.mask != second.mask).any()
    assert np.abs(first.pixels.astype(float) - second.pixels).mean() > 3
    assert first.pixels.mean() != second.pixels.mean()


def test_the_lesion_stays_in_the_frame_and_is_darker_than_its_skin(scene: Scene) -> None:
    areas = []
    for k in range(20):
        taken = photograph(scene, size=SIZE, rng=generator("test", k))
        areas.append(taken.mask.mean())
        assert taken.pixels[taken.mask].mean() < taken.pixels[~taken.mask].mean() - 15
    assert min(areas) > 0.5 * max(areas) > 0


def test_exposure_keeps_most_of_the_picture_below_white(scene: Scene) -> None:
    white = [
        (photograph(scene, size=SIZE, rng=generator("test", k)).pixels == 255).mean()
        for k in range(20)
    ]
    assert np.mean(white) < 0.1
