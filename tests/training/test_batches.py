from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from moulage.networks.activations import Activations
from moulage.training.augmentation import Augmentation
from moulage.training.batches import (
    ActivationSource,
    PixelSource,
    Place,
    Sample,
    count_batches,
    cut_epoch,
    views_of,
)
from moulage.views import N_VIEWS, apply_view

PLACE = Place(seed=1, phase=0, epoch=3)
TURNING = Augmentation(flips=True, turns=True)


def rows_of(sample: Sample, batch: int, place: Place) -> list[list[int]]:
    return [part.rows.tolist() for part in cut_epoch(sample, batch, place)]


@pytest.mark.parametrize(
    ("n_images", "sizes"),
    [(1, [1]), (4, [4]), (5, [5]), (6, [4, 2]), (8, [4, 4]), (9, [4, 5]), (10, [4, 4, 2])],
)
def test_a_lone_last_image_joins_the_batch_before_it(n_images: int, sizes: list[int]) -> None:
    sample = Sample.once(np.arange(n_images))
    batches = rows_of(sample, 4, PLACE)
    assert [len(batch) for batch in batches] == sizes
    assert sorted(row for batch in batches for row in batch) == list(range(n_images))
    assert count_batches(n_images, 4) == len(sizes)


def test_the_order_is_a_function_of_the_place_alone() -> None:
    sample = Sample.once(np.arange(100, 150))
    first = rows_of(sample, 8, PLACE)
    np.random.seed(7)
    torch.manual_seed(7)
    assert rows_of(sample, 8, PLACE) == first
    for other in (replace(PLACE, seed=2), replace(PLACE, phase=1), replace(PLACE, epoch=4)):
        assert rows_of(sample, 8, other) != first


@pytest.fixture
def pixels() -> Any:
    return np.random.default_rng(42).integers(0, 256, (12, 6, 6, 3), dtype=np.uint8)


def pixel_source(pixels: Any, augmentation: Augmentation) -> PixelSource:
    names = np.array([f"i{row}" for row in range(len(pixels))])
    return PixelSource(pixels=pixels, image_ids=names, augmentation=augmentation, device="cpu")


def test_what_is_drawn_depends_on_the_image_not_on_its_row_or_batch(pixels: Any) -> None:
    augmentation = replace(TURNING, rotation=15.0, brightness=0.2)
    source = pixel_source(pixels, augmentation)
    shuffled = np.random.default_rng(0).permutation(12)
    other = replace(source, pixels=pixels[shuffled], image_ids=source.image_ids[shuffled])
    whole = source.drawn(Sample.once(shuffled), PLACE)
    moved = other.drawn(Sample.once(np.arange(12)), PLACE)
    assert torch.equal(whole, moved)
    alone = source.drawn(Sample.once(shuffled[4:5]), PLACE)
    torch.testing.assert_close(alone[0], whole[4], rtol=1e-5, atol=1e-6)


def test_another_epoch_and_another_copy_draw_anew(pixels: Any) -> None:
    source = pixel_source(pixels, replace(TURNING, brightness=0.5))
    first = Sample.once(np.arange(12))
    again = replace(first, copies=np.ones(12, dtype=np.int64))
    drawn = source.drawn(first, PLACE)
    assert not torch.equal(drawn, source.drawn(first, replace(PLACE, epoch=4)))
    assert not torch.equal(drawn, source.drawn(again, PLACE))


def test_plain_images_are_shares_of_255_channels_first(pixels: Any) -> None:
    plain = pixel_source(pixels, TURNING).plain(np.array([3, 1]))
    expected = torch.from_numpy(pixels[[3, 1]].transpose(0, 3, 1, 2)).float() / 255
    assert torch.equal(plain, expected)
    assert plain.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_drawn_activations_are_each_images_own_view(pixels: Any, kind: Any, tmp_path: Path) -> None:
    views = {
        view: Activations(array=np.ascontiguousarray(apply_view(pixels, view)).astype(kind))
        for view in range(N_VIEWS)
    }
    names = pixel_source(pixels, TURNING).image_ids
    source = ActivationSource(views=views, image_ids=names, augmentation=TURNING, device="cpu")
    order = np.random.default_rng(3).permutation(12)
    maps = source.drawn(Sample.once(order), PLACE)
    drawn = []
    for place, row in enumerate(order.tolist()):
        matches = [v for v in views if torch.equal(maps[place], views[v].read(np.array([row]))[0])]
        assert len(matches) == 1
        drawn += matches
    turned = pixel_source(pixels, TURNING).drawn(Sample.once(order), PLACE)
    for place, view in enumerate(drawn):
        expected = apply_view(pixels[order[place]], view).transpose(2, 0, 1) / 255
        np.testing.assert_allclose(turned[place].numpy(), expected, atol=1e-6)
    assert len(set(drawn)) > 2


def test_a_sample_turned_beforehand_is_read_under_its_views(pixels: Any) -> None:
    source = pixel_source(pixels, Augmentation())
    sample = Sample(rows=np.zeros(8, dtype=np.int64), copies=np.arange(8)).turned()
    maps = source.drawn(sample, PLACE)
    for view in range(8):
        expected = apply_view(pixels[0], view).transpose(2, 0, 1) / 255
        np.testing.assert_allclose(maps[view].numpy(), expected, atol=1e-6)


def test_a_sample_turned_beforehand_is_turned_again_as_augmentation_draws(pixels: Any) -> None:
    source, views = pixel_source(pixels, TURNING), list(range(N_VIEWS))
    sample = Sample(rows=np.zeros(64, dtype=np.int64), copies=np.arange(64))
    drawn = source.drawn(sample, PLACE).numpy()
    both = source.drawn(sample.turned(), PLACE).numpy()
    laid = [apply_view(pixels[0], view).transpose(2, 0, 1) / 255 for view in views]
    seen = set()
    for copy in range(64):
        (then,) = [v for v in views if np.allclose(drawn[copy], laid[v], atol=1e-6)]
        twice = apply_view(apply_view(pixels[0], copy % N_VIEWS), then)
        np.testing.assert_allclose(both[copy], twice.transpose(2, 0, 1) / 255, atol=1e-6)
        seen.add((copy % N_VIEWS, then))
    assert any(first % 2 and then >= 4 for first, then in seen), "a pair that does not commute"


@pytest.mark.parametrize(
    ("augmentation", "views"),
    [
        (Augmentation(), (0,)),
        (Augmentation(flips=True), (0, 4)),
        (Augmentation(turns=True), (0, 1, 2, 3)),
        (TURNING, tuple(range(8))),
        (Augmentation(rotation=90, brightness=0.5, mixup=1), (0,)),
    ],
)
def test_the_views_an_augmentation_can_draw(
    augmentation: Augmentation, views: tuple[int, ...]
) -> None:
    assert views_of(augmentation) == views
