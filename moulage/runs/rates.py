"""The learning-rate range test of one cell: of a run that stands, or of a study file.

In:  a run folder or a study file, a phase's name.   Out: the range test; no file is kept.
Phases before the one that is tested are trained first, since it would start from their weights.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from moulage.errors import ConfigError, examples, nearest
from moulage.networks.machine import resolve_machine
from moulage.runs.config import StudyConfig
from moulage.runs.experiment import build, job_of
from moulage.runs.folder import STUDY, RunFolder
from moulage.runs.material import prepare, read_images
from moulage.runs.progress import Progress
from moulage.runs.study import Cell, cells_of
from moulage.runs.studyfile import parse_study, read_study
from moulage.training.loop import run_phases
from moulage.training.phases import Phase
from moulage.training.range_test import RangeTest, run_range_test


def cell_of(source: Path, *, experiment: str | None, data: Path | None) -> Cell:
    """Return a run's cell, or the first of a study file (or of one of its experiments)."""
    if (source / STUDY).is_file():
        if experiment is not None:
            raise ConfigError(
                f"`experiment` must go with a study file; got {experiment!r} for the run {source}, "
                "which is of one. Leave it out."
            )
        return _cell_of_run(RunFolder(path=source), data)
    only = () if experiment is None else (experiment,)
    return cells_of(read_study(source, data=data), only=only)[0]


def climb_rates(
    cell: Cell, *, phase: str | None, highest: float, n_steps: int, progress: Progress
) -> RangeTest:
    """Run the range test of a cell's phase, by default its first."""
    phases = tuple(Phase(**config.model_dump()) for config in cell.experiment.phases)
    index = _index_of(phase, phases)
    material = prepare(cell, read_images(cell.study, progress))
    machine = resolve_machine(**cell.study.machine.model_dump())
    classifier, _ = build(cell, material)
    classifier.to(machine.device)
    with TemporaryDirectory() as folder:
        whole = job_of(cell, material, classifier, machine, Path(folder), progress)
        job = replace(whole, on_phase_end=lambda *_: None)
        run_phases(job, phases[:index])
        return run_range_test(job, phases[index], highest=highest, n_steps=n_steps)


def _cell_of_run(run: RunFolder, data: Path | None) -> Cell:
    """Read a run's resolved file back into the cell it came from."""
    content = run.study()
    if members := content.get("ensemble", {}).get("of"):
        raise ConfigError(
            f"A range test must be of a run that was trained; got the ensemble {run.path}. Name "
            f"one of its members: {examples(members, 9)}."
        )
    fold = content["split"].pop("fold", None)
    study = _without_findings(content)
    if data is not None:
        study["dataset"]["path"] = str(data)
    config: StudyConfig = parse_study(study, where=str(run.path / STUDY))
    experiment = config.experiments[0]
    return Cell(
        study=config,
        experiment=experiment,
        seed=experiment.seeds[0],
        split_seed=config.split.seeds[0],
        fold=fold,
    )


def _without_findings(content: dict[str, Any]) -> dict[str, Any]:
    """Take away what a run wrote down about itself, which no study file may say."""
    study = {name: value for name, value in content.items() if name != "resolved"}
    for table in ("split", "images", "dataset"):
        study[table] = {key: value for key, value in study[table].items() if key != "digest"}
    return study


def _index_of(name: str | None, phases: tuple[Phase, ...]) -> int:
    names = [phase.name for phase in phases]
    if name is None:
        return 0
    if name not in names:
        raise ConfigError(
            f"`--phase` must be one of {', '.join(names)}; got {name!r}."
            f"{nearest(name, names)} Choose one of them."
        )
    return names.index(name)
