"""One thin function a verb: the only place where rooms are joined.

The public door (`import moulage`) hands these on, the command line calls them. Rooms that load
torch are imported inside the functions that need them, so that listing runs stays quick.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moulage.runs.folder import RunFolder, find_runs, open_run

if TYPE_CHECKING:
    import pandas as pd

    from moulage.runs.schedule import Outcome

Progress = Callable[[str, int, int], None]


def _silently(what: str, done: int, total: int) -> None:
    """Report progress to nobody."""


def train(
    study: str | Path,
    *,
    data: str | Path | None = None,
    out: str | Path = "runs",
    only: Sequence[str] = (),
    changes: Sequence[str] = (),
    fresh: bool = False,
    progress: Progress = _silently,
) -> "Outcome":
    """Run a study file, or go on with it; write each run's page and the study's.

    data: in place of the file's `dataset.path`. only: names of experiments. changes:
    `key=value`. fresh: start over where a run with another recipe stands. Raises MoulageError.
    """
    from moulage.runs.config import read_study
    from moulage.runs.schedule import run_study

    config = read_study(Path(study), changes=changes, data=Path(data) if data else None)
    outcome = run_study(config, out=Path(out), only=tuple(only), fresh=fresh, progress=progress)
    return outcome


def runs(root: str | Path = "runs") -> list[RunFolder]:
    """List the runs below a folder, finished or not."""
    return find_runs(Path(root))
