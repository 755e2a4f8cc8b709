import copy
import platform

import pytest
import torch
from torch import Tensor, nn

from moulage.errors import ConfigError
from moulage.networks import machine as machines
from moulage.networks.machine import (
    Machine,
    resolve_answering,
    resolve_machine,
    spare_slow_gradients,
)


def test_everything_automatic_is_resolved() -> None:
    machine = resolve_machine()
    assert machine.device in {"cpu", "cuda", "mps"}
    assert machine.precision in {"float32", "bfloat16"}
    assert machine.threads == torch.get_num_threads() >= 1


def test_threads_are_set() -> None:
    assert resolve_machine(device="cpu", threads=2).threads == 2
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("device", "words"),
    [("tpu", "got 'tpu'"), ("", "got ''")],
)
def test_a_device_that_is_not_here_is_refused(device: str, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"`device` must be one of this machine's .*{words}"):
        resolve_machine(device=device)


def test_a_precision_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be auto, float32 or bfloat16; got 'float16'"):
        resolve_machine(device="cpu", precision="float16")


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        ({}, "float32"),
        ({"avx512_bf16": False, "amx_bf16": False}, "float32"),
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
    ],
)
def test_automatic_precision_follows_the_processors_units(
    monkeypatch: pytest.MonkeyPatch, abilities: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert resolve_machine(device="cpu").precision == expected


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_computing_runs_dense_layers_in_the_stated_precision(precision: str) -> None:
    machine = resolve_machine(device="cpu", precision=precision)
    with machine.computing():
        computed = nn.Linear(4, 4)(torch.ones(1, 4)).dtype
    assert computed == getattr(torch, precision)


@pytest.mark.parametrize(
    ("has_units", "precision", "answers_in"),
    [
        (True, "bfloat16", "bfloat16"),
        (False, "bfloat16", "float32"),
        (True, "float32", "float32"),
        (False, "float32", "float32"),
    ],
)
def test_a_finished_run_answers_at_its_precision_where_there_are_units_for_it(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    has_units: bool,
    precision: str,
    answers_in: str,
) -> None:
    monkeypatch.setattr(machines, "_has_bfloat16_units", lambda device: has_units)
    assert resolve_answering(precision).precision == answers_in
    assert ("float32 answers" in caplog.text) == (precision != answers_in)


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise AssertionError("no library may be opened")

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(machines.ctypes, "CDLL", refuse)
    machines.keep_freed_memory()


def depthwise(seed: int = 0) -> nn.Sequential:
    """A strided depthwise convolution, as MobileNets have, and one that is left as it is."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False),
        nn.Conv2d(8, 4, 1, bias=False),
    )


def gradients(network: nn.Module, maps: Tensor, precision: str) -> tuple[Tensor, list[Tensor]]:
    """Return the outputs and every gradient of the mean square of the outputs."""
    machine = Machine(device="cpu", precision=precision, threads=1)  # type: ignore[arg-type]
    network.zero_grad()
    with machine.computing():
        outputs = network(maps)
    outputs.float().square().mean().backward()
    return outputs.detach(), [p.grad.clone() for p in network.parameters() if p.grad is not None]


def test_sparing_changes_no_bit_in_float32() -> None:
    plain, spared = depthwise(), depthwise()
    spare_slow_gradients(spared)
    maps = torch.rand(2, 8, 16, 16, generator=torch.Generator().manual_seed(42))
    expected, expected_gradients = gradients(plain, maps, "float32")
    outputs, found = gradients(spared, maps, "float32")
    assert torch.equal(outputs, expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected_gradients, strict=True))


def test_images_in_several_chunks_have_the_gradients_of_all_at_once() -> None:
    plain, spared = depthwise(), depthwise()
    spare_slow_gradients(spared)
    maps = torch.rand(37, 8, 16, 16, generator=torch.Generator().manual_seed(42))
    expected, expected_gradients = gradients(plain, maps, "float32")
    outputs, found = gradients(spared, maps, "float32")
    assert torch.equal(outputs, expected)
    for gradient, reference in zip(found, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-6)


def test_spared_gradients_agree_with_float32_up_to_bfloat16() -> None:
    plain, spared = depthwise(), depthwise()
    spare_slow_gradients(spared)
    maps = torch.rand(2, 8, 16, 16, generator=torch.Generator().manual_seed(42))
    _, expected = gradients(plain, maps, "float32")
    _, found = gradients(spared, maps, "bfloat16")
    for gradient, reference in zip(found, expected, strict=True):
        error = (gradient - reference).norm() / reference.norm()
        assert float(error) < 2**-7  # bfloat16 keeps 8 bits


def test_spared_layers_hand_on_the_precision_around_them() -> None:
    spared = depthwise()
    spare_slow_gradients(spared)
    maps = torch.rand(2, 8, 16, 16, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert spared[0](maps).dtype == torch.bfloat16


def test_a_copy_of_spared_layers_is_independent() -> None:
    original = depthwise()
    spare_slow_gradients(original)
    copied = copy.deepcopy(original)
    maps = torch.rand(1, 8, 8, 8, generator=torch.Generator().manual_seed(42))
    with torch.no_grad():
        copied[0].weight.zero_()
    assert not copied(maps).any()
    assert original(maps).any()
    gradients(copied, maps, "bfloat16")
    assert original[0].weight.grad is None
