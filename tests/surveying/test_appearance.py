"""Measures of pixels on images that are known, and who stands out."""

import cv2
import numpy as np
import pandas as pd
import pytest

from moulage.surveying.appearance import (
    border_masks,
    find_outliers,
    measure_pixels,
    robust_deviations,
)


def squares(*colours: tuple[int, int, int], side: int = 32) -> np.ndarray:
    return np.stack([np.full((side, side, 3), colour, dtype=np.uint8) for colour in colours])


def test_a_plain_image_has_its_colour_and_neither_contrast_nor_edges() -> None:
    looks = measure_pixels(squares((200, 100, 50)))
    one = looks.iloc[0]
    assert (one["red"], one["green"], one["blue"]) == (200, 100, 50)
    assert (one["border_red"], one["border_green"], one["border_blue"]) == (200, 100, 50)
    assert one["brightness"] == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 50, abs=1)
    assert (one["contrast"], one["sharpness"], one["saturation"]) == (0, 0, 150)


def test_blur_takes_sharpness_and_darkness_takes_brightness() -> None:
    noise = np.random.default_rng(42).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    looks = measure_pixels(np.stack([noise, blurred, noise // 3]))
    sharp, soft, dark = (looks.iloc[row] for row in range(3))
    assert sharp["sharpness"] > soft["sharpness"] + 5
    assert dark["brightness"] == pytest.approx(sharp["brightness"] / 3, abs=1)


def test_border_and_corners_are_seen_apart_from_the_middle() -> None:
    image = squares((100, 100, 100))[0]
    frame, corners = border_masks(32)
    image[corners > 0] = 0
    looks = measure_pixels(image[None]).iloc[0]
    assert looks["corners"] == 0
    assert 0 < looks["border_red"] < 100
    assert frame.mean() / 255 == pytest.approx(1 - (28 / 32) ** 2)


def test_outliers_are_told_once_by_their_worst_measure_furthest_first() -> None:
    rng = np.random.default_rng(42)
    looks = pd.DataFrame(
        {"brightness": rng.normal(150, 10, 200), "contrast": rng.normal(30, 3, 200)}
    )
    looks.loc[7, ["brightness", "contrast"]] = [10.0, 90.0]
    looks.loc[9, "brightness"] = 250.0
    found = find_outliers(looks, measures=("brightness", "contrast"))
    assert [(one.row, one.measure) for one in found] == [(7, "contrast"), (9, "brightness")]
    assert found[0].deviations > found[1].deviations > 6


def test_deviations_are_those_of_a_normal_distribution_and_none_without_spread() -> None:
    values = np.random.default_rng(0).normal(5, 2, 20_000)
    assert robust_deviations(values).std() == pytest.approx(1, abs=0.03)
    assert robust_deviations(np.full(9, 3.0)).tolist() == [0.0] * 9
    assert robust_deviations(np.array([])).tolist() == []
