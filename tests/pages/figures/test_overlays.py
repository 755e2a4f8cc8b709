import cv2
import numpy as np

from moulage.pages.figures import overlays
from moulage.pages.figures.overlays import SIDE_PX

PIXELS = np.full((64, 64, 3), 128, dtype=np.uint8)
SEGMENTS = np.repeat(np.arange(4), 16)[None].repeat(64, axis=0)
MIDDLES = [32, 96, 160, 224]


def test_weights_above_zero_are_orange_and_below_blue() -> None:
    picture = overlays.draw_weights(PIXELS, SEGMENTS, np.array([0.4, -0.4, 0.0, 0.2])).astype(int)
    first, second, third, fourth = (picture[20, x] for x in MIDDLES)
    assert first[0] > first[2] + 80  # red over blue
    assert second[2] > second[0] + 80
    assert third.tolist() == [128, 128, 128]
    assert 128 < fourth[0] < first[0]


def test_weights_of_zero_colour_nothing() -> None:
    picture = overlays.draw_weights(PIXELS, SEGMENTS, np.zeros(4))
    assert picture[20, MIDDLES].reshape(-1).tolist() == [128] * 12


def test_only_the_top_stays_as_it_is() -> None:
    red = np.zeros_like(PIXELS)
    red[..., 0] = 200
    picture = overlays.draw_top(red, SEGMENTS, np.array([2]))
    assert picture[20, MIDDLES[2]].tolist() == [200, 0, 0]
    assert np.ptp(picture[20, MIDDLES[0]]) == 0


def test_superpixels_are_outlined_and_pictures_have_one_size() -> None:
    picture = overlays.draw_segments(PIXELS, SEGMENTS)
    assert picture.shape == (SIDE_PX, SIDE_PX, 3)
    assert (picture[20] == 255).all(axis=1).sum() == 3
    assert overlays.draw_heat(PIXELS, np.ones((4, 4))).shape == (SIDE_PX, SIDE_PX, 3)


def test_a_lesion_is_outlined_where_it_is_known() -> None:
    picture = overlays.enlarged(PIXELS)
    assert overlays.draw_lesion(picture, None) is picture
    lesion = np.zeros((64, 64), dtype=bool)
    lesion[20:40, 20:40] = True
    changed = (overlays.draw_lesion(picture, lesion) != picture).any(axis=2)
    assert changed[80, 80]
    assert not changed[120, 120]


def test_a_picture_comes_back_from_its_png() -> None:
    picture = np.random.default_rng(42).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    raw = np.frombuffer(overlays.as_png(picture), dtype=np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(raw, cv2.IMREAD_COLOR)[..., ::-1], picture)
