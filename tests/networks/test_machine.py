import os
import platform

import pytest
import torch
from torch import nn

from moulage.errors import ConfigError
from moulage.networks import machine as machines
from moulage.networks.machine import generator_restored, resolve_answering, resolve_machine


def test_everything_automatic_is_resolved() -> None:
    machine = resolve_machine()
    assert machine.device in {"cpu", "cuda", "mps"}
    assert machine.precision in {"float32", "bfloat16"}
    assert machine.threads == torch.get_num_threads() >= 1


def test_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert resolve_machine(device="cpu", threads=2).threads == 2
    assert torch.get_num_threads() == 2


def test_far_more_threads_than_can_run_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    torch.set_num_threads(1)
    with pytest.raises(ConfigError, match=r"at most 16, 8 a processor of this machine; got 17\."):
        resolve_machine(device="cpu", threads=17)
    assert torch.get_num_threads() == 1
    assert resolve_machine(device="cpu", threads=3).threads == 3
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("device", "words"),
    [("tpu", "got 'tpu'"), ("", "got ''"), ("cpu:x", "got 'cpu:x'"), ("cuda:99", "got 'cuda:99'")],
)
def test_a_device_that_is_not_here_is_refused(device: str, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"`device` must be one of this machine's .*{words}"):
        resolve_machine(device=device)


def test_of_restored_generators_that_overlap_the_last_puts_back_what_was_before_the_first() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, second = generator_restored("cpu"), generator_restored("cpu")
    first.__enter__()
    torch.manual_seed(1)
    second.__enter__()
    torch.manual_seed(2)
    first.__exit__(None, None, None)
    assert torch.initial_seed() == 2, "the second still draws"
    second.__exit__(None, None, None)
    assert torch.equal(torch.get_rng_state(), before)


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


def test_memory_that_the_system_does_not_tell_is_nought(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machines.private_memory_mib() > 1
    monkeypatch.setattr(machines, "resource", None)
    assert machines.private_memory_mib() == 0
