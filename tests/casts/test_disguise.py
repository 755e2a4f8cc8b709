"""Disguises change a picture's bytes and not what it shows."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from moulage.casts.disguise import (
    KINDS,
    MOST_CROPPED,
    Disguise,
    Kind,
    apply_disguise,
    apply_disguise_to_mask,
    draw_disguise,
    plan_near_duplicates,
)
from moulage.errors import ConfigError, ShapeError
from moulage.seeding import generator
from moulage.views import apply_view


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """A smooth picture (60, 80, 3) that no flip or turn maps onto itself."""
    grid = generator("test").uniform(40, 215, (6, 8, 3)).astype(np.float32)
    return cv2.resize(grid, (80, 60), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def correlation(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawn_disguise_changes_the_pixels_and_says_what_it_did(
    kind: Kind, picture: NDArray[np.uint8]
) -> None:
    for number in range(10):
        how = draw_disguise(kind, rng=generator("test", number))
        changed = apply_disguise(picture, how)
        assert changed.dtype == np.uint8
        assert not np.array_equal(changed, picture)
        assert "=" in str(how)
        assert how.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_undone_a_disguise_shows_the_same_picture(kind: Kind, picture: NDArray[np.uint8]) -> None:
    height, width = picture.shape[:2]
    for number in range(10):
        how = draw_disguise(kind, rng=generator("test", number))
        back = how.view if how.view >= 4 else -how.view % 4  # mirrored views undo themselves
        undone = apply_view(apply_disguise(picture, how), back)
        top, right, bottom, left = how.crop
        window = picture[
            int(top * height) : height - int(bottom * height),
            int(left * width) : width - int(right * width),
        ]
        fitted = cv2.resize(undone, window.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert correlation(fitted, window) > 0.98


def test_crops_take_at_most_a_tenth_of_a_side(picture: NDArray[np.uint8]) -> None:
    for number in range(30):
        how = draw_disguise("cropped", rng=generator("test", number))
        assert 0 < max(how.crop) <= MOST_CROPPED
        height, width = apply_disguise(picture, how).shape[:2]
        assert 0.8 * 60 <= height < 60
        assert 0.8 * 80 <= width < 80


def test_by_pencil_a_flip_swaps_columns_and_a_half_turn_swaps_both() -> None:
    mask = np.array([[True, False, False], [False, False, False]])
    flipped = apply_disguise_to_mask(mask, Disguise(kind="flipped", view=4))
    turned = apply_disguise_to_mask(mask, Disguise(kind="turned", view=2))
    quarter = apply_disguise_to_mask(mask, Disguise(kind="turned", view=1))
    assert flipped.tolist() == [[False, False, True], [False, False, False]]
    assert turned.tolist() == [[False, False, False], [False, False, True]]
    assert quarter.tolist() == [[False, False], [False, False], [True, False]]


def test_brightness_by_pencil() -> None:
    grey = np.full((16, 16, 3), 100, dtype=np.uint8)
    how = Disguise(kind="brightened", gain=1.2, offset=10, quality=100)
    assert np.abs(apply_disguise(grey, how).astype(int) - 130).max() <= 1
    white = np.full((16, 16, 3), 250, dtype=np.uint8)
    assert apply_disguise(white, how).min() >= 254


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_has_its_pictures_shape(kind: Kind, picture: NDArray[np.uint8]) -> None:
    mask = np.zeros(picture.shape[:2], dtype=bool)
    mask[20:40, 30:50] = True
    for number in range(5):
        how = draw_disguise(kind, rng=generator("test", number))
        moved = apply_disguise_to_mask(mask, how)
        assert moved.shape == apply_disguise(picture, how).shape[:2]
        assert moved.dtype == np.bool_
        assert moved.sum() == pytest.approx(mask.sum() * how.scale**2, rel=0.1)


def test_near_duplicates_come_in_equal_numbers_from_different_images() -> None:
    plan = plan_near_duplicates(14, n_each=2, rng=generator("test"))
    assert [how.kind for _, how in plan] == [kind for kind in KINDS for _ in range(2)]
    assert len({source for source, _ in plan} & set(range(14))) == 12


def test_some_kinds_can_be_left_out() -> None:
    plan = plan_near_duplicates(3, n_each=3, rng=generator("test"), kinds=("turned",))
    assert {how.kind for _, how in plan} == {"turned"}
    assert sorted(source for source, _ in plan) == [0, 1, 2]


def test_more_copies_than_images_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"must not outnumber the 5 images.*got 1 of each of 6"):
        plan_near_duplicates(5, n_each=1, rng=generator("test"))


def test_an_unknown_kind_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'cropped'"):
        draw_disguise("croped", rng=generator("test"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="Choose one of them"):
        draw_disguise("zzz", rng=generator("test"))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (3, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"must have shape \(H, W, 3\) and type uint8"):
        apply_disguise(np.zeros(shape, dtype=np.uint8), Disguise(kind="reencoded"))


def test_float_pixels_are_refused() -> None:
    with pytest.raises(ShapeError, match="of float64"):
        apply_disguise(np.zeros((8, 8, 3)), Disguise(kind="reencoded"))  # type: ignore[arg-type]
