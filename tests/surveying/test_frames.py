import cv2
import numpy as np

from moulage.seeding import generator
from moulage.surveying.contrast import local_contrast
from moulage.surveying.frames import lit, trim_bars


def skin(seed: int = 42) -> np.ndarray:
    return generator("skin", seed).integers(150, 220, (64, 64)).astype(np.uint8)


def test_the_dark_of_a_tube_is_no_skin() -> None:
    tube = np.zeros((64, 64), np.uint8)
    cv2.circle(tube, (32, 32), 26, 1, -1)
    inside = lit(skin() * tube)
    assert not inside[tube == 0].any()
    assert inside[20:44, 20:44].all()


def test_a_dark_lesion_amid_skin_is_lit() -> None:
    picture = skin()
    picture[20:40, 20:40] = 30
    assert lit(picture).all()


def test_a_picture_that_is_dark_all_over_is_a_picture() -> None:
    assert lit(np.full((64, 64), 5, np.uint8)).all()


def test_bars_are_cut_off_and_nothing_else() -> None:
    picture = skin()
    assert trim_bars(picture) is picture
    framed = picture.copy()
    framed[:8] = 0
    framed[-8:] = 255
    expected = cv2.resize(picture[8:-8], (64, 64), interpolation=cv2.INTER_LINEAR)
    assert (trim_bars(framed) == expected).all()


def test_skin_that_is_blown_out_at_one_end_is_no_bar() -> None:
    picture = skin()
    picture[:12] = 255
    assert trim_bars(picture) is picture


def test_contrast_knows_neither_brightness_nor_gain() -> None:
    picture, everywhere = skin().astype(np.float32), np.ones((64, 64), np.bool_)
    plain = local_contrast(picture, everywhere, surround=13)
    other = local_contrast(0.7 * picture + 20, everywhere, surround=13)
    # faint contrast is damped a little more where there is less light
    np.testing.assert_allclose(plain, other, rtol=0.05, atol=0.01)


def test_contrast_beside_the_dark_is_that_of_the_skin() -> None:
    picture, inside = skin().astype(np.float32), np.ones((64, 64), np.bool_)
    inside[:, :10] = False
    dark = np.where(inside, picture, np.float32(0))
    assert (local_contrast(dark, inside, surround=13)[:, :10] == 0).all()
    np.testing.assert_allclose(
        local_contrast(dark, inside, surround=13)[:, 30:],
        local_contrast(picture, np.ones_like(inside), surround=13)[:, 30:],
        atol=1e-4,
    )
