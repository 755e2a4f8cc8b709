import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from moulage.seeding import generator
from moulage.surveying.alignment import align, approach, coarse_contrast, make_level, zoom

SIDE = 64


def clouds(seed: int) -> NDArray[np.float32]:
    """Smooth noise, larger than a thumbnail so that a window can move over it."""
    noise = generator("clouds", seed).normal(0, 1, (192, 192)).astype(np.float32)
    mixed = sum(k * cv2.GaussianBlur(noise, (0, 0), k) for k in (1.5, 4, 10))
    return np.asarray(128 + 40 * mixed / mixed.std(), dtype=np.float32)


def seen(scene: NDArray[np.float32], motion: tuple[float, ...]) -> NDArray[np.uint8]:
    """The scene through a window: (x, y) of the thumbnail, in [-1, 1], lies at `motion` of it."""
    line = ((np.arange(SIDE) + 0.5) * 2 / SIDE - 1).astype(np.float32)
    xs, ys = np.meshgrid(line, line)
    a, b, x, c, d, y = motion
    columns = ((a * xs + b * ys + x) * SIDE + len(scene) - 1) / 2
    rows = ((c * xs + d * ys + y) * SIDE + len(scene) - 1) / 2
    found = cv2.remap(scene, columns.astype("f4"), rows.astype("f4"), cv2.INTER_CUBIC)
    return np.clip(found, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_a_known_motion_is_found_again(seed: int) -> None:
    draw = generator("motion", seed).uniform(-0.05, 0.05, 6)
    truth = (0.92 + draw[0], draw[1], draw[2], draw[3], 0.92 + draw[4], draw[5])
    moving, fixed = seen(clouds(seed), zoom(1.0)), seen(clouds(seed), truth)
    level = make_level(coarse_contrast(fixed))
    found = align(fixed, moving, found=approach(level, coarse_contrast(moving), start=zoom(0.92)))
    # contrast is local to boxes of so many pixels, so it changes a little with the zoom itself:
    # a third of a pixel at the edge
    np.testing.assert_allclose(found.motion, truth, atol=0.35 * 2 / SIDE)
    assert found.agreement > 0.95
    assert found.texture > 0.9


def test_a_stranger_is_given_up() -> None:
    fixed, moving = seen(clouds(1), zoom(1.0)), seen(clouds(2), zoom(1.0))
    level = make_level(coarse_contrast(fixed))
    found = align(fixed, moving, found=approach(level, coarse_contrast(moving), start=zoom(1.0)))
    assert found.agreement < 0.5
    assert found.texture == 0


def test_a_blank_thumbnail_agrees_with_nothing() -> None:
    blank = np.full((SIDE, SIDE), 90, np.uint8)
    level = make_level(coarse_contrast(blank))
    assert approach(level, coarse_contrast(blank), start=zoom(1.0)).agreement == 0
