"""What is planted lies where it says, and nowhere else."""

import numpy as np
import pytest
from numpy.typing import NDArray

from moulage.casts.planting import (
    MOST_RULER_AREA,
    DarkCorners,
    Hair,
    NearDuplicates,
    Ruler,
    Spot,
    Tube,
    WrongLabels,
    add_dark_corners,
    add_hair,
    add_ruler,
    draw_tube,
    ruler_spot,
)
from moulage.errors import ConfigError
from moulage.seeding import generator


@pytest.fixture
def skin() -> NDArray[np.uint8]:
    return np.full((75, 100, 3), 190, dtype=np.uint8)


def disc(radius: float, shape: tuple[int, int] = (75, 100)) -> NDArray[np.bool_]:
    ys, xs = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(xs - shape[1] / 2, ys - shape[0] / 2) < radius


@pytest.mark.parametrize("seed", range(20))
def test_a_ruler_lies_outside_what_is_forbidden_and_covers_three_percent_at_most(
    skin: NDArray[np.uint8], seed: int
) -> None:
    forbidden = disc(10 + 1.2 * seed)
    rng = generator("test", seed)
    spot = ruler_spot(forbidden, rng=rng)
    assert spot is not None
    marked = add_ruler(skin, spot=spot, rng=rng)
    changed = (marked != skin).any(axis=2)
    assert spot.width * spot.height <= MOST_RULER_AREA * forbidden.size
    assert 0 < changed.sum() == changed[spot.covers(forbidden.shape)].sum()
    assert not (changed & forbidden).any()


def test_rulers_lie_all_over_the_image() -> None:
    spots = [ruler_spot(disc(18), rng=generator("test", seed)) for seed in range(60)]
    centres = np.array([(s.x + s.width / 2, s.y + s.height / 2) for s in spots if s])
    assert len(centres) == 60
    assert (centres.std(axis=0) > 15).all()
    assert {s.width > s.height for s in spots if s} == {True, False}


def test_no_room_gives_no_ruler() -> None:
    assert ruler_spot(np.ones((75, 100), dtype=bool), rng=generator("test")) is None


def test_an_image_too_small_for_marks_gets_none() -> None:
    assert ruler_spot(np.zeros((10, 10), dtype=bool), rng=generator("test")) is None


def test_a_narrow_strip_is_room_enough() -> None:
    forbidden = np.ones((75, 100), dtype=bool)
    forbidden[70:, 10:90] = False
    spot = ruler_spot(forbidden, rng=generator("test"))
    assert spot is not None
    assert not forbidden[spot.covers(forbidden.shape)].any()


def test_a_ruler_has_many_ticks(skin: NDArray[np.uint8]) -> None:
    marked = add_ruler(skin, spot=Spot(x=5, y=60, width=60, height=4), rng=generator("test"))
    row = (marked[60, :, 0] < 120).astype(int)
    assert (np.diff(row) == 1).sum() >= 8


def test_hairs_are_thin_and_dark_and_more_of_them_cover_more(skin: NDArray[np.uint8]) -> None:
    few, many = (add_hair(skin, n_hairs=n, rng=generator("test")) for n in (3, 25))
    few_changed, many_changed = ((image != skin).any(axis=2).mean() for image in (few, many))
    assert 0 < few_changed < many_changed < 0.6
    assert many.max() <= 190
    assert many.min() < 120


def test_dark_corners_leave_the_middle_untouched(skin: NDArray[np.uint8]) -> None:
    tube = Tube(radius=0.9, softness=0.05, shift=(0.0, 0.0))
    dark = add_dark_corners(skin, tube)
    assert dark[[0, 0, -1, -1], [0, -1, 0, -1]].max() <= 6
    assert np.array_equal(dark[disc(30)], skin[disc(30)])
    assert tube.covers((75, 100))[0, 0]
    assert not tube.covers((75, 100))[37, 50]


def test_light_through_a_tube_falls_by_half_at_its_radius() -> None:
    tube = Tube(radius=0.5, softness=0.1, shift=(0.0, 0.0))
    light = tube.light((101, 101))
    assert light[50, 50] == 1
    assert light[50, 50 + 25] == pytest.approx(0.5, abs=0.06)
    assert light[50, -1] == 0


def test_drawn_tubes_always_show_the_middle_and_hide_a_corner() -> None:
    for seed in range(30):
        hidden = draw_tube(generator("test", seed)).covers((75, 100))
        assert not hidden[disc(25)].any()
        assert hidden[[0, 0, -1, -1], [0, -1, 0, -1]].any()


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_shares_beyond_zero_and_one_are_refused(share: float) -> None:
    for planting in (Hair, DarkCorners, WrongLabels):
        with pytest.raises(ConfigError, match=r"`share` of \w+ must lie in \[0, 1\]; got"):
            planting(share=share)
    with pytest.raises(ConfigError, match="`share_elsewhere` of Ruler must lie"):
        Ruler(diagnosis="mel", share=0.5, share_elsewhere=share)


def test_no_near_duplicates_are_refused() -> None:
    with pytest.raises(ConfigError, match="`n_each` must be at least 1"):
        NearDuplicates(n_each=0)
    with pytest.raises(ConfigError, match="of at least one kind; got 3 of 0"):
        NearDuplicates(n_each=3, kinds=())
