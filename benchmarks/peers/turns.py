"""Turns: sides that answer one after the other in the same run, and the ratios of their times.

In:  modules of this room, each run as a process of its own that reads a task a line.
Out: a row of a table for each quantity: minimum, median and maximum of repeated pairs.
Knows nothing of what a task does.
Why in turn: a machine is never quiet. What slows one side slows the other a moment later, so
that ratios of neighbours are worth more than either time. Where more wants to run than there are
processors, even that fails: then the ratio of processor times, which counts waiting on neither
side, says more, and stands beside it.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

N_THREADS = 2
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE = "GOMP_SPINCOUNT"
HEAD = (
    "| quantity | unit | moulage | peer | least | median | most | by processor time | aim |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What something took: seconds by the clock, and of all threads of its processes.

    Sums and multiples are those of both.
    """

    seconds: float
    processor: float

    def __add__(self, other: "Took") -> "Took":
        return Took(
            seconds=self.seconds + other.seconds, processor=self.processor + other.processor
        )

    def __mul__(self, times: float) -> "Took":
        return Took(seconds=self.seconds * times, processor=self.processor * times)


class Stopwatch:
    """Measures the body of a `with`; `took` is there afterwards.

    Where a peer's own loop hides what is to be measured, `start` and `note` do it by hand.
    """

    took: dict[str, float]

    def start(self) -> None:
        """Begin at nought."""
        self._started, self._busy = time.perf_counter(), _busy()

    def note(self) -> None:
        """Keep what it took up to now."""
        self.took = {
            "seconds": time.perf_counter() - self._started,
            "processor": _busy() - self._busy,
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.note()


def _busy() -> float:
    """Return processor seconds of all threads, and of the processes that have ended."""
    return sum(os.times()[:4])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One row: what both sides took or did in each pair, and how much better ours was.

    n_images: 0 shows seconds, else images a second. aim: the least ratio hoped for.
    """

    quantity: str
    ours: tuple[Took, ...]
    theirs: tuple[Took, ...]
    n_images: int = 0
    aim: float | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """The ratio of each pair's seconds; above 1 ours is better."""
        return tuple(b.seconds / a.seconds for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def by_processor(self) -> float:
        """The median ratio of processor times."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(b.processor / a.processor for a, b in pairs)

    def row(self) -> str:
        """Return the row in Markdown."""
        medians = (
            statistics.median(one.seconds for one in side) for side in (self.ours, self.theirs)
        )
        ours, theirs = (
            f"{self.n_images / median if self.n_images else median:,.4g}" for median in medians
        )
        unit = "images/s" if self.n_images else "s"
        low, middle, high = min(self.values), statistics.median(self.values), max(self.values)
        aim = "" if self.aim is None else f"{self.aim:g}×"
        spread = " | ".join(f"{value:.2f}×" for value in (low, middle, high))
        cells = (self.quantity, unit, ours, theirs, spread, f"{self.by_processor:.2f}×", aim)
        return f"| {' | '.join(cells)} |"


class Side:
    """A process of its own that stays and answers one task after the other."""

    def __init__(self, module: str, *, is_peer: bool = False, **setup: Any) -> None:
        threads = dict.fromkeys(_THREADS, str(N_THREADS))
        # How long a thread looks before it sleeps is what `import moulage` asks of a torch that
        # is not loaded yet: sides of ours inherit it, whatever they import first; peers must not.
        inherited = {k: v for k, v in os.environ.items() if not (is_peer and k == _PATIENCE)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.peers.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**inherited, **threads},
            text=True,
        )
        self.ask("begin", **setup)

    def took(self, task: str, **words: Any) -> Took:
        """Return what a task took."""
        return took_of(self.ask(task, **words))

    def ask(self, task: str, **words: Any) -> dict[str, float]:
        """Return a task's numbers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"task": task, "words": words}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{task} ended its process; what it said stands above.")
        return dict(json.loads(answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def took_of(answer: Mapping[str, float], until: str = "") -> Took:
    """Return what an answer tells of a whole task, or of the task until a place in it."""
    return Took(seconds=answer[f"{until}seconds"], processor=answer[f"{until}processor"])


def serve(tasks: Mapping[str, Callable[..., dict[str, float]]]) -> None:
    """Answer tasks until none comes; whatever a task prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps(tasks[asked["task"]](**asked["words"])) + "\n")
        answers.flush()


def print_table(title: str, rows: Sequence[Ratio]) -> None:
    """Print one table."""
    print("\n".join((f"\n{title}\n", *HEAD, *(row.row() for row in rows))), flush=True)
