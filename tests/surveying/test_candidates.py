import cv2
import numpy as np
import pytest

from moulage.seeding import generator
from moulage.surveying import candidates
from moulage.surveying.candidates import ZOOMS, choose_candidates, make_coarse
from moulage.views import N_VIEWS, apply_view


def greys(n: int, seed: int = 42) -> np.ndarray:
    coarse = generator("greys", seed).normal(0, 1, (n, 8, 8))
    return np.clip(128 + 40 * coarse.repeat(8, axis=1).repeat(8, axis=2), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("view", range(N_VIEWS))
def test_a_turned_copy_comes_first_and_its_view_is_named(view: int) -> None:
    pictures = greys(30)
    copy = apply_view(pictures[7][..., None], view)[..., 0]
    found = choose_candidates(make_coarse(np.concatenate([pictures, copy[None]])), n_best=1)
    place = found.score.argmax()
    assert (found.first[place], found.second[place], found.view[place]) == (7, 30, view)
    assert found.score[place] > 0.999


@pytest.mark.parametrize("is_crop_first", [False, True])
def test_the_zoom_is_the_side_of_the_first_that_the_second_shows(is_crop_first: bool) -> None:
    pictures = greys(30)
    edge = round(32 * (1 - ZOOMS[2]))
    crop = cv2.resize(pictures[0, edge:-edge, edge:-edge], (64, 64))[None]
    parts = (crop, pictures) if is_crop_first else (pictures, crop)
    found = choose_candidates(make_coarse(np.concatenate(parts)), n_best=1)
    place = found.score.argmax()
    assert (found.first[place], found.second[place]) == (0, 1 if is_crop_first else 30)
    assert found.zoom[place] == (1 / ZOOMS[2] if is_crop_first else ZOOMS[2])


@pytest.mark.parametrize("block", [4, 7, 1024])
def test_the_chosen_are_the_best_of_all_pairs(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_BLOCK", block)
    coarse = make_coarse(greys(25))
    everything = choose_candidates(coarse, n_best=24)
    assert len(everything) == 25 * 24 // 2
    few = choose_candidates(coarse, n_best=3)
    best = {}
    for row in range(25):
        mine = (everything.first == row) | (everything.second == row)
        best[row] = np.sort(everything.score[mine])[-3:]
        of_few = few.score[(few.first == row) | (few.second == row)]
        np.testing.assert_allclose(np.sort(of_few)[-3:], best[row], rtol=1e-4)


def test_images_of_one_group_are_no_candidates() -> None:
    groups = np.arange(20) // 2
    found = choose_candidates(make_coarse(greys(20)), groups=groups, n_best=19)
    assert len(found) == 20 * 19 // 2 - 10
    assert (groups[found.first] != groups[found.second]).all()


def test_a_single_image_has_no_partner() -> None:
    assert len(choose_candidates(make_coarse(greys(1)), n_best=6)) == 0


@pytest.mark.parametrize("block", [4, 1024])
def test_across_two_tables_each_side_finds_its_best(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "_BLOCK", block)
    ours, theirs = make_coarse(greys(11)), make_coarse(greys(14, seed=5))
    everything = choose_candidates(ours, theirs, n_best=14)
    assert len(everything) == 11 * 14
    table = np.empty((11, 14))
    table[everything.first, everything.second] = everything.score
    few = choose_candidates(ours, theirs, n_best=2)
    wanted = {(row, at) for row in range(11) for at in np.argsort(table[row])[-2:]}
    wanted |= {(at, row) for row in range(14) for at in np.argsort(table[:, row])[-2:]}
    assert set(zip(few.first.tolist(), few.second.tolist(), strict=True)) == wanted
