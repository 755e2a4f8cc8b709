"""The state of this machine: versions, threads, precision, weights, caches, what is missing.

Out: a frozen record of plain values.   Asks no network.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from moulage import files
from moulage.networks.inventory import Stocked, inventory
from moulage.networks.machine import Machine, resolve_machine
from moulage.runs.experiment import versions
from moulage.runs.holdings import list_holdings

_LITTLE_SPACE = 2 * 10**9
_BENCH = ("tensorflow", "keras", "fastai", "onnx", "onnxruntime", "lime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something that is not here, what it is needed for, and how it is had."""

    what: str
    needed_for: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWeights:
    """A backbone and where its weights were found; source is empty where they are not here."""

    backbone: str
    source: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What a run on this machine would meet; sizes in bytes."""

    versions: Mapping[str, str]
    device: str
    threads: int
    precision: str
    precision_reason: str
    weights: tuple[FoundWeights, ...]
    cache_folder: str
    cache_bytes: int
    data_folder: str
    free_bytes: int
    missing: tuple[Missing, ...]


def examine() -> Checkup:
    """Look the machine over."""
    machine = resolve_machine()
    weights = tuple(_found(stocked) for stocked in inventory())
    free = _free_bytes(files.cache_folder())
    return Checkup(
        versions=versions(),
        device=machine.device,
        threads=machine.threads,
        precision=machine.precision,
        precision_reason=reason_for(machine),
        weights=weights,
        cache_folder=str(files.cache_folder()),
        cache_bytes=sum(row.size_bytes for row in list_holdings()),
        data_folder=str(files.data_folder()),
        free_bytes=free,
        missing=(*_missing_weights(weights), *_missing_extra(), *_missing_space(free)),
    )


def reason_for(machine: Machine) -> str:
    """Say why "auto" chose this precision."""
    kind = machine.device.split(":")[0]
    place = "processor" if kind == "cpu" else f"{kind} device"
    if machine.precision == "bfloat16":
        return f"the {place} has units for bfloat16, which halve time and memory"
    return f"the {place} has no units for bfloat16, which would be slower without"


def _found(stocked: Stocked) -> FoundWeights:
    source = stocked.weights.source if stocked.weights else ""
    return FoundWeights(backbone=stocked.backbone.title, source=source, fault=stocked.fault)


def _free_bytes(folder: Path) -> int:
    """Return the room on the disk of a folder that may not exist yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _missing_weights(weights: tuple[FoundWeights, ...]) -> Iterator[Missing]:
    absent = [found.backbone for found in weights if not found.source]
    if absent:
        yield Missing(
            what=f"ImageNet weights of {', '.join(absent)}",
            needed_for='weights = "imagenet" where the hub cannot be reached',
            cure="`moulage weights fetch --to DIR` where it can, then MOULAGE_WEIGHTS=DIR here",
        )


def _missing_extra() -> Iterator[Missing]:
    absent = [name for name in _BENCH if find_spec(name) is None]
    if absent:
        yield Missing(
            what=", ".join(absent),
            needed_for="comparisons with other packages",
            cure="`pip install 'moulage[bench]'`",
        )


def _missing_space(free_bytes: int) -> Iterator[Missing]:
    if free_bytes < _LITTLE_SPACE:
        yield Missing(
            what=f"room on the cache's disk: {free_bytes / 1e9:.1f} GB are free",
            needed_for="pixels and activations of a data set of ten thousand images",
            cure="`moulage cache prune --keep 1GB`, or MOULAGE_CACHE on another disk",
        )
