from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from moulage.casts.disguise import KINDS, apply_disguise, plan_near_duplicates
from moulage.casts.lesion import paint_lesion
from moulage.casts.photograph import photograph
from moulage.errors import ShapeError
from moulage.seeding import generator
from moulage.surveying.duplicates import Gallery, find_near_duplicates, pairs_table

DIAGNOSES = ("nv", "mel", "bkl", "bcc")


def shown(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def gallery_of(pictures: list[NDArray[np.uint8]], prefix: str = "image") -> Gallery:
    names = np.array([f"{prefix}-{row:03d}" for row in range(len(pictures))])
    return Gallery(
        thumbnails=np.stack([shown(picture) for picture in pictures]),
        image_ids=names,
        lesion_ids=names,
        read=lambda row: cv2.imencode(".png", pictures[row])[1].tobytes(),
    )


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    size = (200, 150)
    scenes = [
        paint_lesion(diagnosis=DIAGNOSES[number % 4], seed=42, number=number, size=size)
        for number in range(40)
    ]
    return [
        photograph(scene, size=size, rng=generator("photograph", number)).pixels
        for number, scene in enumerate(scenes)
    ]


def test_copies_of_every_kind_are_found_and_nothing_else(
    pictures: list[NDArray[np.uint8]],
) -> None:
    plan = plan_near_duplicates(len(pictures), n_each=4, rng=generator("copies"))
    assert {how.kind for _, how in plan} == set(KINDS)
    copies = [apply_disguise(pictures[source], how) for source, how in plan]
    pairs = find_near_duplicates(gallery_of([*pictures, *copies]))
    true = {(source, len(pictures) + place) for place, (source, _) in enumerate(plan)}
    assert {(pair.row, pair.other_row) for pair in pairs} == true


def test_photographs_of_one_lesion_id_are_no_pair(pictures: list[NDArray[np.uint8]]) -> None:
    gallery = gallery_of([pictures[0], *pictures[:5]])
    ids = gallery.lesion_ids.copy()
    ids[1] = ids[0]
    assert find_near_duplicates(replace(gallery, lesion_ids=ids)) == ()
    assert len(find_near_duplicates(gallery)) == 1


def test_the_same_file_is_told_from_the_same_pixels(pictures: list[NDArray[np.uint8]]) -> None:
    gallery = gallery_of([*pictures[:3], pictures[0], pictures[1]])
    read = gallery.read
    assert read is not None
    loosely = cv2.imencode(".png", pictures[1], [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
    pairs = find_near_duplicates(
        replace(gallery, read=lambda row: loosely if row == 4 else read(row))
    )
    assert [(pair.row, pair.evidence) for pair in pairs] == [(0, "same bytes"), (1, "same pixels")]
    assert pairs_table(pairs)["confirmed"].tolist() == ["yes", "yes"]


def test_two_galleries_are_compared_whatever_their_ids(pictures: list[NDArray[np.uint8]]) -> None:
    first, second = gallery_of(pictures[:20]), gallery_of([pictures[3][::-1], *pictures[20:]])
    (pair,) = find_near_duplicates(first, second)
    assert (pair.row, pair.other_row, pair.evidence) == (3, 0, "same lesion")
    assert find_near_duplicates(second, first)[0].other_row == 3


def test_blank_files_are_paired_once_though_nothing_can_be_aligned() -> None:
    gallery = gallery_of([np.full((150, 200, 3), 200, np.uint8)] * 9)
    pairs = find_near_duplicates(gallery)
    assert [(pair.row, pair.other_row) for pair in pairs] == [(0, other) for other in range(1, 9)]
    assert {(pair.evidence, pair.certainty) for pair in pairs} == {("same bytes", 1.0)}
    assert find_near_duplicates(replace(gallery, read=None)) == ()


def test_thumbnails_that_are_no_squares_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"shape \(N, 64, 64, 3\)"):
        Gallery(
            thumbnails=np.zeros((1, 64, 48, 3), np.uint8),
            image_ids=np.array(["a"]),
            lesion_ids=np.array(["a"]),
        )
