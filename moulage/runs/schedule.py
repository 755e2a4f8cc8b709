"""Every cell of a study in turn: what can run runs, what cannot is named with its reason.

In:  a study and the folder for its runs.   Out: finished run folders, and the cells not run.
Knows nothing of pages.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from moulage.errors import MissingWeightsError, RunError
from moulage.runs.config import StudyConfig
from moulage.runs.ensemble import keep_ensembles
from moulage.runs.experiment import keep_cell_baselines, run_cell
from moulage.runs.folder import Layout, RunFolder, keep_layout
from moulage.runs.material import Images, Material, Progress, prepare, read_images
from moulage.runs.pooled import keep_pooled
from moulage.runs.study import Cell, cells_of

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


def run_study(
    study: StudyConfig, *, out: Path, only: tuple[str, ...], fresh: bool, progress: Progress
) -> Outcome:
    """Run each cell that is not finished yet; experiments without weights are left out.

    Raises RunError where no cell at all could run.
    """
    cells = cells_of(study, only=only)
    images = read_images(study, progress)
    folder = out / study.name
    finished: list[RunFolder] = []
    not_run: dict[str, str] = {}
    materials = _Materials(images)
    for cell in cells:
        if cell.experiment.name in not_run:
            continue
        logger.info("%s: %s", study.name, cell.name)
        try:
            material = materials.of(cell)
            path = folder / cell.name
            finished.append(run_cell(cell, material, path, fresh=fresh, progress=progress))
            keep_cell_baselines(cell, material, folder, progress=progress)
        except MissingWeightsError as error:
            not_run[cell.experiment.name] = str(error)
            logger.warning("%s is not run: %s", cell.experiment.name, error)
    if not finished:
        raise RunError("; ".join(not_run.values()))
    keep_layout(
        Layout(
            description=study.description,
            experiments=(
                *(experiment.name for experiment in study.experiments),
                *(ensemble.name for ensemble in study.ensembles),
            ),
            not_run=tuple(not_run.items()),
        ),
        folder,
    )
    return Outcome(
        folder=folder,
        finished=(*finished, *keep_ensembles(cells, folder)),
        not_run=tuple(not_run.items()),
        pooled=keep_pooled(cells, folder),
    )


class _Materials:
    """Keeps the material of the split at hand; cells of one split stand together."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._made: tuple[str, Material] | None = None

    def of(self, cell: Cell) -> Material:
        if self._made is None or self._made[0] != cell.split_name:
            self._made = (cell.split_name, prepare(cell, self._images))
        return self._made[1]
