import math
import os
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from moulage.errors import RunError
from moulage.training.checkpoint import (
    Keeper,
    State,
    laid_out_as,
    optimizer_tensors,
    read_state,
    restore_optimizer,
)


def keep(state: State, path: Path) -> None:
    with Keeper(path) as keeper:
        keeper.keep(state)


def full_state() -> State:
    generator = torch.Generator().manual_seed(42)
    weights = torch.randn(4, 3, 3, 3, generator=generator)
    return State(
        phase=1,
        epoch=2,
        step=3,
        best_loss=0.1 + 0.2,
        best_phase=0,
        stale=1,
        sums=[1 / 3, 7.0, 11.0],
        history=[{"phase": "frozen", "epoch": 1, "train_loss": 1e-17, "seconds": 0.1}],
        seconds=[1.5, 2.5],
        memory_mib=[100.25, 0.0],
        live={"a/b.weight": weights, "n": torch.tensor(7)},
        best={"half": torch.randn(3, generator=generator).bfloat16()},
        average={"zero": torch.tensor([-0.0, 5e-324], dtype=torch.float64)},
        optimizer={"0/step": torch.tensor(3.0), "0/exp_avg": torch.full((2,), 1e-40)},
    )


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    state = full_state()
    keep(state, tmp_path / "state")
    found = read_state(tmp_path / "state")
    for group in ("live", "best", "average", "optimizer"):
        kept, back = getattr(state, group), getattr(found, group)
        assert kept.keys() == back.keys()
        for name, tensor in kept.items():
            assert back[name].dtype == tensor.dtype
            assert back[name].shape == tensor.shape
            ours, theirs = (
                t.reshape(-1).contiguous().view(torch.uint8) for t in (tensor, back[name])
            )
            assert torch.equal(ours, theirs)
    for name in ("phase", "epoch", "step", "best_loss", "best_phase", "stale", "sums", "history"):
        assert getattr(found, name) == getattr(state, name)
    assert (found.seconds, found.memory_mib) == (state.seconds, state.memory_mib)


def test_a_state_without_tensors_and_with_no_best_comes_back(tmp_path: Path) -> None:
    state = State()
    state.begin_phase(0)
    keep(state, tmp_path / "state")
    found = read_state(tmp_path / "state")
    assert math.isinf(found.best_loss)
    assert found == state


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        keep(full_state(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    keep(full_state(), path)
    before = path.read_bytes()

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(RunError, match="got 'No space left on device'"):
        keep(State(epoch=9), path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["state"]


def test_a_state_is_kept_as_it_was_and_the_training_goes_on(tmp_path: Path) -> None:
    state, asked = full_state(), full_state()
    with Keeper(tmp_path / "state") as keeper:
        for epoch in range(5):
            state.epoch = epoch
            keeper.keep(state)
            for tensor in (*state.live.values(), *state.optimizer.values()):
                tensor.add_(1)
    found = read_state(tmp_path / "state")
    assert found.epoch == 4
    for name, tensor in asked.live.items():
        assert torch.equal(found.live[name], sum([1] * 4, start=tensor))
    assert [found.name for found in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize("then", ["keep", "finish", "leave"])
def test_a_disk_that_fails_later_is_told_at_the_next_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    path = tmp_path / "state"
    keep(State(epoch=7), path)

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    def live() -> None:
        with Keeper(path) as keeper:
            with monkeypatch.context() as patch:
                patch.setattr("os.fsync", fail)
                keeper.keep(full_state())
                if then == "finish":
                    keeper.finish()
                wait([keeper._moved] if keeper._moved else [])
            if then == "keep":
                keeper.keep(State(epoch=9))

    with pytest.raises(RunError, match="got 'No space left on device'"):
        live()
    assert read_state(path).epoch == 7
    assert [found.name for found in tmp_path.iterdir()] == ["state"]


def test_what_stops_a_training_is_not_hidden_by_the_disk_nor_the_disk_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)

    def live() -> None:
        with Keeper(tmp_path / "state") as keeper:
            keeper.keep(full_state())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live()
    assert "No space left on device" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("moulage.networks.tensors.save_file", fail)
    with pytest.raises(RunError, match="No space left on device"):
        keep(full_state(), tmp_path / "state")
    assert not list(tmp_path.iterdir())


def test_a_new_phase_forgets_the_tensors_and_keeps_the_record() -> None:
    state = full_state()
    state.begin_phase(2)
    assert (state.phase, state.epoch, state.step, state.stale) == (2, 0, 0, 0)
    assert [state.live, state.best, state.average, state.optimizer] == [{}, {}, {}, {}]
    assert state.best_loss == full_state().best_loss
    assert state.seconds == [1.5, 2.5, 0.0]


def test_values_take_the_layout_of_their_model() -> None:
    model = torch.zeros(4, 3, 2, 2).to(memory_format=torch.channels_last)
    values = torch.arange(48.0).reshape(4, 3, 2, 2)
    laid_out = laid_out_as(model, values)
    assert laid_out.stride() == model.stride()
    assert torch.equal(laid_out, values)


def test_an_optimizer_goes_on_with_the_same_bits_on_channels_last_weights() -> None:
    def fresh() -> tuple[torch.nn.Conv2d, torch.optim.Optimizer]:
        torch.manual_seed(0)
        conv = torch.nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
        return conv, torch.optim.AdamW(conv.parameters(), lr=0.1, fused=True)

    def step(conv: torch.nn.Conv2d, optimizer: torch.optim.Optimizer, seed: int) -> None:
        torch.manual_seed(seed)
        optimizer.zero_grad()
        conv(torch.randn(2, 3, 8, 8)).square().mean().backward()
        optimizer.step()

    whole, optimizer = fresh()
    for seed in range(4):
        step(whole, optimizer, seed)
    first, memory = fresh()
    for seed in range(2):
        step(first, memory, seed)
    kept = {k: v.detach().clone().contiguous() for k, v in optimizer_tensors(memory).items()}
    again, resumed = fresh()
    again.load_state_dict(first.state_dict())
    restore_optimizer(resumed, kept)
    for seed in range(2, 4):
        step(again, resumed, seed)
    assert torch.equal(again.weight, whole.weight)


TEARS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda b: b"", "header too small"),
    "cut": (lambda b: b[: len(b) // 2], "other bytes than were written"),
    "zeroed": (lambda b: bytes(len(b)), "invalid JSON in header"),
    "place": (
        lambda b: b.replace(b'epoch\\": 2', b'epoch\\": 3', 1),
        "other bytes than were written",
    ),
    "weight": (lambda b: b[:-3] + bytes([b[-3] ^ 2]) + b[-2:], "other bytes than were written"),
    "length": (lambda b: bytes([b[0] ^ 1]) + b[1:], "other bytes than were written"),
}


@pytest.mark.parametrize("tear", TEARS)
def test_a_state_with_other_bytes_is_refused_in_one_sentence(tmp_path: Path, tear: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    keep(full_state(), path)
    spoil, told = TEARS[tear]
    before = path.read_bytes()
    path.write_bytes(spoil(before))
    assert path.read_bytes() != before
    with pytest.raises(RunError, match=told) as caught:
        read_state(path)
    said = str(caught.value)
    assert said.startswith(f"`{path}` must be as this run wrote it; got '")
    assert f"Delete `{path}` and run the same command again" in said
    assert "\n" not in said


def test_a_state_of_before_seals_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state"
    keep(full_state(), path)
    plain = path.read_bytes().replace(b"moulage crc32", b"another thing")
    path.write_bytes(plain)
    assert read_state(path).history == full_state().history


def test_a_state_has_the_rights_of_other_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        keep(full_state(), tmp_path / "state")
        (tmp_path / "other").touch()
    finally:
        os.umask(before)
    rights = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert rights == {0o640}
