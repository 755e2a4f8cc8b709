"""Simulated cameras change what they say they change, and keep pixels' shape and kind."""

import numpy as np
import pytest

from benchmarks.cameras import CAMERAS, mean_of_others, seen

RNG = np.random.default_rng(42)
PIXELS = RNG.integers(30, 200, (3, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", list(CAMERAS))
def test_a_camera_keeps_shape_and_kind_and_all_but_ones_own_change_pixels(name: str) -> None:
    before = PIXELS.copy()
    shown = seen(PIXELS, CAMERAS[name])
    assert (shown.shape, shown.dtype) == (PIXELS.shape, np.uint8)
    assert np.array_equal(shown, PIXELS) == (name == "its own")
    assert np.array_equal(PIXELS, before)


def test_cameras_do_what_their_names_say() -> None:
    shown = {name: seen(PIXELS, camera).astype(float) for name, camera in CAMERAS.items()}
    own = shown["its own"]
    assert shown["dark, 0.7"].mean() == pytest.approx(0.7 * own.mean(), rel=0.01)
    assert shown["warm light"][..., 0].mean() == pytest.approx(1.1 * own[..., 0].mean(), rel=0.01)
    assert shown["cool light"][..., 2].mean() == pytest.approx(1.12 * own[..., 2].mean(), rel=0.01)
    assert (shown["noise of 10 in 255"] - own).std() == pytest.approx(10, rel=0.05)
    for soft in ("half the pixels", "out of focus, 1.5 px"):
        assert shown[soft].std() < 0.6 * own.std()
    spread = own.max(axis=-1) - own.min(axis=-1)
    pale = shown["pale, saturation 0.6"]
    assert (pale.max(axis=-1) - pale.min(axis=-1)).mean() < 0.7 * spread.mean()


def test_the_mean_leaves_ones_own_camera_out() -> None:
    scores = {"its own": (1.0, 1.0, 1.0), "a": (0.2, 0.4, 0.6), "b": (0.4, 0.6, 0.8)}
    assert mean_of_others(scores) == pytest.approx((0.3, 0.5, 0.7))
