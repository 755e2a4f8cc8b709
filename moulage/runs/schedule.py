"""Every cell of a study, in turn or side by side: what can run runs, the rest gets its reason.

In:  a study and the folder for its runs.   Out: finished run folders, and the cells not run.
Knows nothing of pages.
"""

import logging
import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from moulage.errors import ConfigError, MissingWeightsError, RunError
from moulage.networks.machine import share_of_threads, threads_restored
from moulage.runs.config import StudyConfig
from moulage.runs.ensemble import keep_ensembles
from moulage.runs.experiment import (
    count_images,
    fill_caches,
    keep_cell_baselines,
    refuse_early,
    run_cell,
    starting_weights,
)
from moulage.runs.folder import Layout, RunFolder, keep_layout, read_layout
from moulage.runs.material import Images, Material, prepare, read_images
from moulage.runs.pooled import keep_pooled
from moulage.runs.progress import Progress, named, silently
from moulage.runs.study import Cell, cells_of
from moulage.runs.workers import side_by_side

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a study: finished runs, and (experiment, reason) of what did not run.

    pooled: a folder for each cross-validation, its predictions pooled out of fold.
    """

    folder: Path
    finished: tuple[RunFolder, ...]
    not_run: tuple[tuple[str, str], ...]
    pooled: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        n_finished, n_not_run = len(self.finished), len(self.not_run)
        return f"Outcome(folder={self.folder!r}, n_finished={n_finished}, n_not_run={n_not_run})"


@threads_restored()
def run_study(
    study: StudyConfig,
    *,
    out: Path,
    only: tuple[str, ...],
    fresh: bool,
    progress: Progress,
    n_jobs: int = 1,
) -> Outcome:
    """Run each cell that is not finished yet; experiments without weights are left out.

    n_jobs: see `run_cells`. Raises RunError where no cell at all could run.
    """
    cells = cells_of(sharing_threads(study, n_jobs), only=only)
    folder = out / study.name
    before = read_layout(folder)
    materials = Materials(read_images(study, progress))
    finished, not_run = run_cells(
        cells,
        materials,
        folder,
        n_jobs=n_jobs,
        threads=study.machine.threads,
        fresh=fresh,
        progress=progress,
    )
    if not finished:
        raise RunError("; ".join(not_run.values()))
    splits = {cell.split_name for cell in cells if cell.experiment.name not in not_run}
    for cell in _leaders(cells_of(cells[0].study), splits):
        keep_cell_baselines(cell, materials.of(cell), folder, progress=progress)
    keep_layout(
        Layout(
            description=study.description,
            experiments=(
                *(experiment.name for experiment in study.experiments),
                *(ensemble.name for ensemble in study.ensembles),
            ),
            not_run=tuple((_not_run_before(cells, before) | not_run).items()),
        ),
        folder,
    )
    return Outcome(
        folder=folder,
        finished=(*finished, *keep_ensembles(cells, folder, fresh=fresh)),
        not_run=tuple(not_run.items()),
        pooled=keep_pooled(cells, folder),
    )


def _not_run_before(cells: Sequence[Cell], before: Layout) -> dict[str, str]:
    """Return why experiments of the study that nobody asked for now were not run before."""
    asked = {cell.experiment.name for cell in cells}
    known = {experiment.name for experiment in cells[0].study.experiments} - asked
    return {name: reason for name, reason in before.not_run if name in known}


def _leaders(cells: Sequence[Cell], splits: set[str]) -> Sequence[Cell]:
    """Return each split's first cell of the study whose weights are here, named or not.

    Baselines begin from its backbone, so that they do not depend on which command was first.
    """
    leaders: dict[str, Cell] = {}
    for cell in cells:
        if cell.split_name in splits - leaders.keys():
            with suppress(MissingWeightsError):
                starting_weights(cell)
                leaders[cell.split_name] = cell
    return tuple(leaders.values())


def sharing_threads(study: StudyConfig, n_jobs: int) -> StudyConfig:
    """Return the study with the threads that each of several cells at once has.

    A run's file says how many: one thread and two give other bits.
    """
    if n_jobs < 1:
        raise ConfigError(f"`jobs` must be at least 1; got {n_jobs}. Write 1 for one at a time.")
    if n_jobs == 1:
        return study
    threads = share_of_threads(study.machine.threads, n_jobs)
    machine = study.machine.model_copy(update={"threads": threads})
    return study.model_copy(update={"machine": machine})


def run_cells(
    cells: Sequence[Cell],
    materials: "Materials",
    folder: Path,
    *,
    n_jobs: int,
    threads: int,
    fresh: bool,
    progress: Progress,
) -> tuple[list[RunFolder], dict[str, str]]:
    """Return the runs that are finished now, and why experiments without weights are not.

    n_jobs: how many at once, each in a process of its own. What can be refused is refused before
    the first begins; what they read of activations is computed beforehand, with the threads of
    all (0: all there are). The longest begin first, so that none ends long after all others.
    """
    runs: dict[str, RunFolder] = {}
    later: list[tuple[int, str, Callable[[], RunFolder]]] = []
    filled: set[tuple[str, str, int | None]] = set()

    def run_now(cell: Cell) -> None:
        logger.info("%s: %s", cell.study.name, cell.name)
        material, path = materials.of(cell), folder / cell.name
        runs[cell.name] = run_cell(cell, material, path, fresh=fresh, progress=progress)

    def run_later(cell: Cell) -> None:
        seed = cell.seed if cell.experiment.weights == "random" else None
        reads = (cell.split_name, cell.experiment.name, seed)
        if reads not in filled:
            fill_caches(cell, materials.of(cell), threads=threads, progress=progress)
            filled.add(reads)
        pickled = pickle.dumps(cell.study)
        call = partial(_run_apart, pickled, cell, folder / cell.name, fresh=fresh)
        later.append((count_images(cell, materials.of(cell)), cell.name, call))

    def start(cell: Cell) -> None:
        is_there = RunFolder(path=folder / cell.name).is_finished and not fresh
        (run_now if n_jobs == 1 or is_there else run_later)(cell)

    if n_jobs > 1 and not fresh:
        for cell in cells:
            refuse_early(cell, materials.of(cell), folder / cell.name)
    not_run = _each(cells, start)
    if later:
        longest_first = sorted(later, key=lambda one: one[0], reverse=True)
        ended = side_by_side(
            [(name, call) for _, name, call in longest_first],
            n_jobs=n_jobs,
            threads=cells[0].study.machine.threads,
            told=named("runs", progress),
        )
        runs |= {run.path.name: run for run in ended}
    return [runs[cell.name] for cell in cells if cell.name in runs], not_run


def _each(cells: Sequence[Cell], do: Callable[[Cell], None]) -> dict[str, str]:
    """Do something with each cell; return which experiments lacked weights, and why."""
    not_run: dict[str, str] = {}
    for cell in cells:
        if cell.experiment.name in not_run:
            continue
        try:
            do(cell)
        except MissingWeightsError as error:
            not_run[cell.experiment.name] = str(error)
            logger.warning("%s is not run: %s", cell.experiment.name, error)
    return not_run


def _run_apart(pickled: bytes, cell: Cell, path: Path, *, fresh: bool) -> RunFolder:
    """Run a cell in a worker; its progress is told to nobody, since runs are counted."""
    return run_cell(cell, _opened(pickled).of(cell), path, fresh=fresh, progress=silently)


@lru_cache(maxsize=1)
def _opened(pickled: bytes) -> "Materials":
    """Read a study's images, once a worker."""
    return Materials(read_images(pickle.loads(pickled), silently))


class Materials:
    """Keeps the material of the split at hand; cells of one split stand together."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._made: tuple[str, Material] | None = None

    def of(self, cell: Cell) -> Material:
        if self._made is None or self._made[0] != cell.split_name:
            self._made = (cell.split_name, prepare(cell, self._images))
        return self._made[1]
