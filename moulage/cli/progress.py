"""Progress in a terminal as bars that rich draws, elsewhere as plain lines now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from moulage.runs.progress import Progress

_EVERY_S = 30.0


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Yield a function `(what, done, total)` that shows how far each task has come."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bars:
        task = bars.add_task("")

        def show(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total)

        yield show


class _Lines:
    """Prints a line when a task has run for a while, so that a log stays readable."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        if time.monotonic() - self._said < _EVERY_S:
            return
        self._said = time.monotonic()
        print(f"{what}: {done:,} of {total:,}", file=sys.stderr)
