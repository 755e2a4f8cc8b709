import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from moulage import files, store
from moulage.errors import RunError
from moulage.networks import activations as rooms
from moulage.networks.activations import KIND, Activations, activations_at, impressions_at
from moulage.networks.classifier import Classifier
from moulage.networks.folding import fold
from moulage.networks.impressions import impressions_of, places_of
from moulage.networks.inputs import pixels_to_bytes, pixels_to_images
from moulage.networks.machine import Machine
from moulage.views import N_VIEWS, apply_view

FLOAT = Machine(device="cpu", precision="float32", threads=1)
HALF = Machine(device="cpu", precision="bfloat16", threads=1)
Pixels = NDArray[np.uint8]


def at(classifier: Classifier, pixels: Pixels, **changes: Any) -> Activations:
    """Return activations at the sixth boundary, some arguments changed."""
    given: dict[str, Any] = {"boundary": 6, "pixels_key": "p", "machine": FLOAT} | changes
    boundary = given.pop("boundary")
    return activations_at(classifier, boundary, pixels=pixels, **given)


def rows(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64)


@pytest.fixture
def refuse_forward(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function after whose call nothing may be computed any more."""

    def forbid() -> None:
        def fail(*_: object) -> None:
            raise AssertionError("computed again")

        monkeypatch.setattr(rooms, "_forward", fail)

    return forbid


def test_pixels_become_images_in_the_unit_interval() -> None:
    pixels = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)
    images = pixels_to_images(pixels, "cpu")
    assert images.shape == (2, 3, 2, 3)
    assert images.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(images.permute(0, 2, 3, 1).numpy(), pixels / 255, rtol=1e-6)


def test_some_images_alone_are_computed_and_found_by_their_own_rows(
    classifier: Classifier, pixels: Pixels
) -> None:
    everyone, some = at(classifier, pixels), at(classifier, pixels, rows=rows(1, 4))
    assert len(some) == 2
    torch.testing.assert_close(some.read(rows(4, 1)), everyone.read(rows(4, 1)))
    with pytest.raises(AssertionError, match="left out"):
        some.read(rows(0))


def test_activations_equal_a_direct_forward_pass(classifier: Classifier, pixels: Pixels) -> None:
    for boundary in (1, 6, len(classifier.stages)):
        found = at(classifier, pixels, boundary=boundary)
        with torch.inference_mode():
            images = pixels_to_images(pixels, "cpu")
            expected = classifier.below(images, boundary)
            folded = fold(classifier, FLOAT).below(pixels_to_bytes(pixels, "cpu"), boundary)
        assert len(found) == len(pixels)
        maps = found.read(rows(0, 1, 2, 3, 4))  # folded: other sums of the same numbers
        assert torch.equal(maps, folded)
        torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4)


def test_rows_are_read_in_the_order_asked(classifier: Classifier, pixels: Pixels) -> None:
    found = at(classifier, pixels)
    block = found.read(rows(3, 0, 3))
    assert block.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(block[0], block[2])
    assert torch.equal(block[1], found.read(rows(0))[0])


@pytest.mark.parametrize("row", [-1, 5])
def test_a_row_that_is_not_there_is_never_read(row: int) -> None:
    five = Activations(array=np.zeros((5, 2, 2, 3), np.float32))
    with pytest.raises(AssertionError, match="is asked for"):
        five.read(rows(0, row))


def test_batches_change_nothing_but_the_last_bits(
    classifier: Classifier, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = at(classifier, pixels, pixels_key="whole")
    monkeypatch.setattr(rooms, "_BATCH", 2)
    cut = at(classifier, pixels, pixels_key="cut")
    np.testing.assert_allclose(cut.array, whole.array, rtol=1e-4, atol=1e-5)


def test_a_batch_at_a_time_passes_through(
    classifier: Classifier, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_BATCH", 2)
    sizes: list[int] = []
    turn = rooms.apply_view
    monkeypatch.setattr(rooms, "apply_view", lambda p, v: (sizes.append(len(p)), turn(p, v))[1])
    told: list[tuple[int, int]] = []
    at(classifier, pixels, progress=lambda *step: told.append(step))
    assert max(sizes) == 2
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_the_second_call_reads_the_cache(
    classifier: Classifier, pixels: Pixels, refuse_forward: Any
) -> None:
    first = at(classifier, pixels)
    refuse_forward()
    again = at(classifier, pixels)
    assert np.array_equal(first.array, again.array)
    assert isinstance(again.array, np.memmap)
    assert not again.array.flags.writeable


@pytest.mark.parametrize("name", ["maps.npy", "impressions.npy", "key.json"])
@pytest.mark.parametrize("size", [None, 0, 100])
def test_a_torn_cache_is_told_and_computed_anew(
    classifier: Classifier,
    pixels: Pixels,
    caplog: pytest.LogCaptureFixture,
    name: str,
    size: int | None,
) -> None:
    boundary = len(classifier.stages) - 1
    before = np.array(at(classifier, pixels, boundary=boundary).array)
    (torn,) = (files.cache_folder() / KIND).glob(f"*/{name}")
    if size is None:
        torn.unlink()
    else:
        os.truncate(torn, size)
    found = at(classifier, pixels, boundary=boundary)
    assert np.array_equal(found.array, before)
    assert isinstance(found.array, np.memmap)
    assert [f"{torn.parent} is not whole ({name} " in line for line in caplog.messages] == [True]


@pytest.mark.parametrize("above", [None, -2, 0, 1])
def test_impressions_noted_on_the_way_are_completed_with_what_is_trained_since(
    classifier: Classifier, pixels: Pixels, monkeypatch: pytest.MonkeyPatch, above: int | None
) -> None:
    monkeypatch.setattr(rooms, "_BATCH", 3)  # the last batch is smaller than the first
    first, last = places_of(len(classifier.stages))
    boundary = len(classifier.stages) if above is None else last + above
    assert first < boundary
    at(classifier, pixels, boundary=boundary)
    with torch.no_grad():
        for stage in classifier.stages[boundary:]:
            next(stage.modules[0].parameters()).mul_(1.5)
    whole = impressions_of(classifier, pixels, machine=FLOAT)
    monkeypatch.setattr(rooms, "impressions_of", None)
    given: dict[str, Any] = {"pixels": pixels, "pixels_key": "p", "machine": FLOAT}
    noted = impressions_at(classifier, rows(3, 1), boundaries={0, boundary}, **given)
    np.testing.assert_allclose(noted, whole[[3, 1]], rtol=1e-4, atol=1e-5)
    nobody = impressions_at(classifier, rows(), boundaries={boundary}, **given)
    assert nobody.shape == (0, whole.shape[1])


def test_impressions_are_made_anew_where_none_were_noted_or_weights_have_moved(
    classifier: Classifier, pixels: Pixels, tmp_path: Path
) -> None:
    first, last = places_of(len(classifier.stages))
    at(classifier, pixels, boundary=first)
    assert not list(tmp_path.rglob(rooms._IMPRESSIONS))
    at(classifier, pixels, boundary=last)
    assert list(tmp_path.rglob(rooms._IMPRESSIONS))
    with torch.no_grad():
        next(classifier.stages[first].modules[0].parameters()).mul_(1.5)
    given: dict[str, Any] = {"pixels": pixels, "pixels_key": "p", "machine": FLOAT}
    made = impressions_at(classifier, rows(3, 1), boundaries={first, last}, **given)
    whole = impressions_of(classifier, pixels, machine=FLOAT)
    np.testing.assert_allclose(made, whole[[3, 1]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "changes", [{"boundary": 5}, {"pixels_key": "q"}, {"machine": HALF}, {"view": 1}]
)
def test_another_key_is_computed_anew(
    classifier: Classifier, pixels: Pixels, refuse_forward: Any, changes: dict[str, Any]
) -> None:
    at(classifier, pixels)
    refuse_forward()
    with pytest.raises(AssertionError, match="computed again"):
        at(classifier, pixels, **changes)


def test_weights_above_the_boundary_do_not_matter_and_those_below_do(
    classifier: Classifier, pixels: Pixels, refuse_forward: Any
) -> None:
    at(classifier, pixels)
    refuse_forward()
    with torch.no_grad():
        next(classifier.head.parameters()).add_(1.0)
        next(classifier.stages[6].modules[0].parameters()).add_(1.0)
    at(classifier, pixels)
    with torch.no_grad():
        next(classifier.stages[5].modules[0].parameters()).add_(1.0)
    with pytest.raises(AssertionError, match="computed again"):
        at(classifier, pixels)


@pytest.mark.parametrize("view", range(N_VIEWS))
def test_a_view_equals_turning_the_pixels(
    classifier: Classifier, pixels: Pixels, view: int
) -> None:
    seen = at(classifier, pixels, view=view)
    turned = np.ascontiguousarray(apply_view(pixels, view))
    assert np.array_equal(seen.array, at(classifier, turned, pixels_key="turned").array)


def test_a_mirrored_view_is_a_mirrored_picture(classifier: Classifier, pixels: Pixels) -> None:
    seen = at(classifier, pixels, view=4)
    mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
    assert np.array_equal(seen.array, at(classifier, mirrored, pixels_key="m").array)


def test_bfloat16_is_kept_as_its_bits(classifier: Classifier, pixels: Pixels) -> None:
    found = at(classifier, pixels, machine=HALF)
    assert found.array.dtype == np.uint16
    with torch.inference_mode(), HALF.computing():
        given = pixels_to_bytes(pixels, "cpu")
        expected = fold(classifier, HALF).below(given, 6).to(torch.bfloat16)
    block = found.read(rows(0, 1, 2, 3, 4))
    assert block.dtype == torch.bfloat16
    assert torch.equal(block, expected)


def test_bfloat16_stays_near_float32(classifier: Classifier, pixels: Pixels) -> None:
    half = at(classifier, pixels, machine=HALF).pooled()
    full = at(classifier, pixels).pooled()
    assert np.linalg.norm(half - full) / np.linalg.norm(full) < 2**-5  # six layers of 8 bits


@pytest.mark.parametrize("machine", [FLOAT, HALF], ids=["float32", "bfloat16"])
def test_pooled_is_the_mean_of_each_map(
    classifier: Classifier, pixels: Pixels, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_BATCH", 2)
    found = at(classifier, pixels, machine=machine)
    maps = found.read(rows(0, 1, 2, 3, 4)).double().numpy()
    assert found.pooled().dtype == np.float32
    np.testing.assert_allclose(found.pooled(), maps.mean(axis=(2, 3)), rtol=1e-4, atol=1e-6)


def test_computing_needs_evaluation_mode_and_sees_to_it(
    classifier: Classifier, pixels: Pixels
) -> None:
    expected = at(classifier, pixels).array
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    classifier.train()
    assert np.array_equal(at(classifier, pixels, pixels_key="again").array, expected)
    after = classifier.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_build_that_dies_midway_leaves_nothing_to_read(
    classifier: Classifier, pixels: Pixels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rooms, "_BATCH", 2)

    def die(done: int, _total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        at(classifier, pixels, progress=die)
    assert store.entries() == []
    assert not list((tmp_path / "cache" / KIND).iterdir())
    assert len(at(classifier, pixels)) == 5
    assert [entry.kind for entry in store.entries()] == [KIND]


def test_what_the_disk_refuses_is_raised_and_nothing_is_kept(
    classifier: Classifier, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def append(writer: files.ArrayWriter, maps: NDArray[np.float32]) -> None:
        written.append(len(maps))
        if len(written) == 2:
            raise RunError("the disk is full")

    monkeypatch.setattr(rooms, "_BATCH", 2)
    monkeypatch.setattr(files.ArrayWriter, "append", append)
    with pytest.raises(RunError, match="full"):
        at(classifier, pixels, pixels_key="refused")
    assert written == [2, 2]
    assert not list((files.cache_folder() / KIND).iterdir())
