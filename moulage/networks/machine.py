"""The machine a network runs on: device, threads, precision, and how memory is handed out.

Why a room of its own: float32 and bfloat16, one thread and two, give other bits, so what was
resolved here stands in every run's file. Activations depend on the precision alone, and their
cache keys name that.
"""

import ctypes
import logging
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from moulage.errors import ConfigError

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16"]

_CROWD = 8  # threads a processor; of more than that each waits for all others
_LENT: dict[str, tuple[int, Tensor]] = {}  # device: how many bodies, its generator before them
_LENDING = threading.Lock()
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD, _M_MMAP_MAX = -3, -1, -4


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and how to compute, resolved: nothing here is automatic any more."""

    device: str
    precision: Precision
    threads: int

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Run the body under this precision."""
        is_mixed = self.precision == "bfloat16"
        with torch.autocast(self.device.split(":")[0], dtype=torch.bfloat16, enabled=is_mixed):
            yield

    def seed(self, number: int) -> None:
        """Seed torch's own generators, the processor's and this device's; no other is touched."""
        torch.default_generator.manual_seed(number)
        if self.device.startswith("cuda"):
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(number)
        elif self.device == "mps":
            torch.mps.manual_seed(number)

    @contextmanager
    def generators_restored(self) -> Iterator[None]:
        """Leave torch's own generators as they were before the body: they are everybody's."""
        with generator_restored("cpu"), generator_restored(self.device):
            yield


def resolve_machine(*, device: str = "auto", precision: str = "auto", threads: int = 0) -> Machine:
    """Turn "auto" and 0 into what this machine offers, and set torch's threads to it.

    precision "auto" is bfloat16 where the processor has units for it, else float32.
    """
    found = _resolve_device(device)
    _refuse_crowd(threads)
    n_threads = threads or torch.get_num_threads()
    torch.set_num_threads(n_threads)
    keep_freed_memory()
    return Machine(device=found, precision=_resolve_precision(precision, found), threads=n_threads)


@contextmanager
def threads_restored() -> Iterator[None]:
    """Leave torch as many threads as it had before the body, for whoever calls next."""
    n_threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


@contextmanager
def generator_restored(device: str) -> Iterator[None]:
    """Restore one device's generator; of bodies that overlap, in threads, the last does."""
    with _LENDING:
        n_bodies, before = _LENT.get(device) or (0, _generator_state(device))
        _LENT[device] = n_bodies + 1, before
    try:
        yield
    finally:
        with _LENDING:
            n_bodies, before = _LENT.pop(device)
            if n_bodies > 1:
                _LENT[device] = n_bodies - 1, before
            else:
                _set_generator_state(device, before)


def share_of_threads(threads: int, n_jobs: int) -> int:
    """Return the threads of one of several jobs at once; 0 threads are as many as torch finds."""
    return max((threads or torch.get_num_threads()) // n_jobs, 1)


def resolve_answering(precision: str) -> Machine:
    """Return the machine that a finished run's classifier answers on: at the run's precision.

    A processor without units for bfloat16 takes many times as long for it as for float32; then
    float32 answers, and this is said.
    """
    machine = resolve_machine(precision=precision)
    if machine.precision == "float32" or _has_bfloat16_units(machine.device):
        return machine
    logger.warning(
        "The run computed in bfloat16, for which this machine's %s has no units: float32 answers. "
        "Decisions may differ in a few of a hundred images.",
        machine.device,
    )
    return replace(machine, precision="float32")


def keep_freed_memory() -> None:
    """Ask glibc to reuse large blocks instead of returning them after every batch.

    Fresh pages cost a fault each; without them a training step is a fifth to a third faster.
    Other C libraries are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)


def return_freed_memory() -> None:
    """Give back what `keep_freed_memory` kept: the next phase may need far less."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def private_memory_mib() -> float:
    """Return this process' own memory in MiB, 0 where the system does not tell (Windows).

    Pages of mapped files, which the system can take back at any time, are left out where it
    tells them apart (Linux).
    """
    if resource is None:
        return 0.0
    counts = Path("/proc/self/statm")
    if counts.is_file():
        resident, of_files = map(int, counts.read_text().split()[1:3])
        return (resident - of_files) * resource.getpagesize() / 2**20
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage / 2**20 if sys.platform == "darwin" else usage / 1024


def _generator_state(device: str) -> Tensor:
    if device == "cpu":
        return torch.get_rng_state()
    return torch.mps.get_rng_state() if device == "mps" else torch.cuda.get_rng_state(device)


def _set_generator_state(device: str, state: Tensor) -> None:
    if device == "cpu":
        torch.set_rng_state(state)
    elif device == "mps":
        torch.mps.set_rng_state(state)
    else:
        torch.cuda.set_rng_state(state, device)


def _resolve_device(device: str) -> str:
    if device != "auto":
        _refuse_absent(device)
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _refuse_absent(device: str) -> None:
    present = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    present += ["mps"] if torch.backends.mps.is_available() else []
    if device not in present and f"{device}:0" not in present:
        raise ConfigError(
            f"`device` must be one of this machine's ({', '.join(present)}); got {device!r}. "
            'Choose one of those, or "auto".'
        )


def _refuse_crowd(threads: int) -> None:
    """Refuse far more threads than can run at once: they would stall the whole machine.

    Some more only make it slower; a run that began elsewhere may need them to go on.
    """
    most = _CROWD * max(os.cpu_count() or 1, torch.get_num_threads())
    if threads > most:
        raise ConfigError(
            f"`threads` must be 0, as many as torch finds, or at most {most}, {_CROWD} a processor "
            f"of this machine; got {threads}. Write fewer."
        )


def _resolve_precision(precision: str, device: str) -> Precision:
    if precision in ("float32", "bfloat16"):
        return "bfloat16" if precision == "bfloat16" else "float32"
    if precision != "auto":
        raise ConfigError(
            f"`precision` must be auto, float32 or bfloat16; got {precision!r}. Choose one."
        )
    return "bfloat16" if _has_bfloat16_units(device) else "float32"


def _has_bfloat16_units(device: str) -> bool:
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
