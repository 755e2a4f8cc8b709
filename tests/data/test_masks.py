"""Masks are found beside the images and laid out as they are."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from moulage.data.dataset import read_dataset
from moulage.data.masks import find_masks, read_mask


def half_mask(path: Path) -> None:
    mask = np.zeros((15, 20), dtype=np.uint8)
    mask[:, 10:] = 255
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), mask)


def test_masks_are_found_by_image_id_zipped_or_not(
    ham: Path, zip_folder: Callable[[Path], Path]
) -> None:
    half_mask(ham / "masks/ISIC_00_segmentation.png")
    half_mask(ham / "masks/ISIC_99_segmentation.png")
    half_mask(ham / "more/ISIC_01_segmentation.png")
    zip_folder(ham / "more")
    assert find_masks(read_dataset(ham)) == {
        "ISIC_00": "masks/ISIC_00_segmentation.png",
        "ISIC_01": "more.zip!/ISIC_01_segmentation.png",
    }


def test_a_mask_is_laid_out_as_its_image_is(ham: Path) -> None:
    half_mask(ham / "masks/ISIC_00_segmentation.png")
    path = "masks/ISIC_00_segmentation.png"
    squashed = read_mask(ham, path, size_px=8, resize="squash")
    np.testing.assert_array_equal(squashed, np.tile([False] * 4 + [True] * 4, (8, 1)))
    padded = read_mask(ham, path, size_px=20, resize="pad")
    assert not padded[:2].any()
    assert padded.sum() == 15 * 10


def test_a_mask_of_0_and_1_is_read_as_one_of_0_and_255(ham: Path) -> None:
    path = ham / "masks/ISIC_00_segmentation.png"
    half_mask(path)
    white = read_mask(ham, str(path.relative_to(ham)), size_px=8, resize="pad")
    cv2.imwrite(str(path), cv2.imread(str(path)) // 255)
    ones = read_mask(ham, str(path.relative_to(ham)), size_px=8, resize="pad")
    np.testing.assert_array_equal(ones, white)
    assert ones.any()
