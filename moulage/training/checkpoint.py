"""The state of a training that may be killed at any moment, and its file.

In:  where the run stands and every tensor that the next step reads.
Out: one safetensors file, written whole or not at all; reading it back gives the same bits, and
where the disk has changed some, one sentence.
Why not torch.save: a pickle can run code.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from moulage.errors import RunError
from moulage.networks.tensors import lay_out_tensors
from moulage.seal import BLANK, NOT_AS_WRITTEN, is_sound_file

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"
Tensors = dict[str, Tensor]
_PLAIN = (
    "phase",
    "epoch",
    "step",
    "best_loss",
    "best_phase",
    "stale",
    "sums",
    "history",
    "seconds",
    "memory_mib",
)


@dataclass(slots=True, kw_only=True)
class State:
    """Where a run stands: the next step to take is (phase, epoch, step).

    best_loss: lowest validation loss of all phases; best_phase: where it was found; stale:
    epochs since. sums: of this epoch's row (loss, right decisions, images). seconds and
    memory_mib: a number a phase. best, average: tensors above the phase's boundary; both are
    empty where the phase's start is still the best, or nothing is averaged.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    best_loss: float = float("inf")
    best_phase: int = -1
    stale: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)
    live: Tensors = field(default_factory=dict)
    best: Tensors = field(default_factory=dict)
    average: Tensors = field(default_factory=dict)
    optimizer: Tensors = field(default_factory=dict)

    def begin_phase(self, index: int) -> None:
        """Stand before the first step of a phase."""
        self.phase, self.epoch, self.step, self.stale = index, 0, 0, 0
        self.sums = [0.0, 0.0, 0.0]
        self.live, self.best, self.average, self.optimizer = {}, {}, {}, {}
        if len(self.seconds) == index:
            self.seconds.append(0.0)
            self.memory_mib.append(0.0)


class Keeper:
    """Keeps one state after the other in a file, while the training goes on.

    A state is laid out before `keep` returns. Sealing it, waiting for the disk and moving the file
    are a thread's, so that a kill finds this state or the one before it, whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hand = ThreadPoolExecutor(max_workers=1)
        self._moved: Future[None] | None = None
        self._kept_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hand.shutdown()
        if error is None:
            self.finish()
        elif self._moved is not None and (fault := self._moved.exception()) is not None:
            logger.warning("%s", fault)

    @property
    def age(self) -> float:
        """Seconds since a state was kept, or since the keeper was made."""
        return time.monotonic() - self._kept_at

    def keep(self, state: State) -> None:
        """Keep a state; raises RunError where the disk is full, perhaps for the one before."""
        self.finish()
        self._moved = self._hand.submit(lay_out_state(state, self._path))
        self._kept_at = time.monotonic()

    def finish(self) -> None:
        """Return when the last state has its place; raises RunError where it got none."""
        moved, self._moved = self._moved, None
        if moved is not None:
            moved.result()


def lay_out_state(state: State, path: Path) -> Callable[[], None]:
    """Write the state beside `path`; to call what is returned moves it there.

    Raises RunError, then or there, where the disk is full; the old file is intact.
    """
    groups = {
        "live": state.live,
        "best": state.best,
        "average": state.average,
        "optimizer": state.optimizer,
    }
    tensors = {
        f"{group}/{name}": tensor
        for group, named in groups.items()
        for name, tensor in named.items()
    }
    plain = {name: getattr(state, name) for name in _PLAIN}
    return lay_out_tensors(path, tensors, state=json.dumps({"seal": BLANK, **plain}))


def read_state(path: Path) -> State:
    """Read what a `Keeper` kept; raises RunError as `as_written` does."""
    with as_written(path), safe_open(path, framework="pt") as file:
        plain = json.loads(file.metadata()["state"])
        state = State(**{name: plain[name] for name in _PLAIN})
        for key in file.keys():  # noqa: SIM118 - the handle is no dict
            group, name = key.split("/", 1)
            getattr(state, group)[name] = file.get_tensor(key)
    return state


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """Raise RunError unless a file of an unfinished run is as it was written and can be read."""
    try:
        if not is_sound_file(path):
            raise ValueError(NOT_AS_WRITTEN)
        yield
    except FileNotFoundError as error:
        raise _refusal(path, "no such file") from error
    except (SafetensorError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise _refusal(path, str(error).partition("\n")[0].rstrip(":")) from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """Return an optimizer's memory, a tensor a name."""
    return {
        f"{index}/{name}": value
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Put back what `optimizer_tensors` returned, each laid out in memory as its parameter.

    Files know no channels-last: a fused optimizer walks raw memory and would pair the wrong
    numbers.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    memory: dict[int, Tensors] = {}
    for key, value in tensors.items():
        index, name = key.split("/", 1)
        parameter = parameters[int(index)]
        is_alike = value.shape == parameter.shape
        laid_out = laid_out_as(parameter, value) if is_alike else value
        memory.setdefault(int(index), {})[name] = laid_out
    optimizer.load_state_dict({**optimizer.state_dict(), "state": memory})


def _refusal(path: Path, found: str) -> RunError:
    return RunError(
        f"`{path}` must be as this run wrote it; got '{found}'. Delete "
        f"`{path.with_name(CHECKPOINT)}` and run the same command again: the run starts over, and "
        "ends in the same bytes."
    )


def laid_out_as(model: Tensor, values: Tensor) -> Tensor:
    """Return values of the same shape in the memory layout of `model`, on its device."""
    return torch.empty_like(model, dtype=values.dtype, requires_grad=False).copy_(values)
