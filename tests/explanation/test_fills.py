import numpy as np
import pytest

from moulage.errors import ConfigError, ShapeError
from moulage.explanation.fills import check_segments, cover, perturbed

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
SEGMENTS = np.array([[0, 0, 1, 1], [0, 0, 1, 2]])


def test_the_mean_colour_by_pencil_is_cut_to_whole_numbers() -> None:
    covered = cover(PIXELS, SEGMENTS, fill="mean")
    assert covered[0, 0].tolist() == [(0 + 3 + 12 + 15) // 4, 8, 9]  # 7.5, 8.5, 9.5
    assert covered[1, 2].tolist() == [(6 + 9 + 18) // 3, 12, 13]
    assert covered[1, 3].tolist() == PIXELS[1, 3].tolist()


def test_black_and_the_colour_of_the_data_set_cover_everything_alike() -> None:
    assert not cover(PIXELS, SEGMENTS, fill="black").any()
    covered = cover(PIXELS, SEGMENTS, fill="dataset", colour=(194.6, 139, 145.2))
    assert (covered == (195, 139, 145)).all()


def test_a_blur_keeps_the_mean_and_loses_the_detail() -> None:
    board = (np.indices((40, 60)).sum(axis=0) % 2 * 200)[..., None].repeat(3, axis=2)
    covered = cover(board.astype(np.uint8), np.zeros((40, 60), np.int64), fill="blur")
    assert np.ptp(covered) <= 30
    assert covered.mean() == pytest.approx(100, abs=2)


@pytest.mark.parametrize("fill", ["mean", "black", "blur"])
def test_an_even_image_is_covered_by_its_own_colour_or_black(fill: str) -> None:
    even = np.full((6, 8, 3), 77, np.uint8)
    covered = cover(even, np.zeros((6, 8), np.int64), fill=fill)
    assert (covered == (0 if fill == "black" else 77)).all()


def test_a_copy_takes_kept_superpixels_from_the_image() -> None:
    masks = np.array([[True, True, True], [False, True, False], [False, False, False]])
    covered = cover(PIXELS, SEGMENTS, fill="black")
    copies = perturbed(PIXELS, covered, segments=SEGMENTS, masks=masks)
    assert copies.dtype == np.uint8
    assert np.array_equal(copies[0], PIXELS)
    assert np.array_equal(copies[1], np.where((SEGMENTS == 1)[..., None], PIXELS, 0))
    assert not copies[2].any()


def test_faulty_fills_and_segments_are_refused() -> None:
    with pytest.raises(ConfigError, match="`fill` must be one of mean, dataset, blur, black"):
        cover(PIXELS, SEGMENTS, fill="white")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="`colour` must be three numbers"):
        cover(PIXELS, SEGMENTS, fill="dataset")
    with pytest.raises(ConfigError, match=r"got \(0, 0, 300\)"):
        cover(PIXELS, SEGMENTS, fill="dataset", colour=(0, 0, 300))
    with pytest.raises(ShapeError, match=r"`segments` must have shape \(H, W\) = \(2, 4\)"):
        check_segments(PIXELS, SEGMENTS.T)
    with pytest.raises(ShapeError, match="without a gap; got numbers from 0 to 4"):
        check_segments(PIXELS, SEGMENTS * 2)
