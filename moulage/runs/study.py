"""A study laid out: experiments × seeds × splits, a cell each.

In:  a study's configuration.   Out: its cells in order, and what a cell's run folder is called.
Knows nothing of training.
"""

from dataclasses import dataclass
from typing import Any

from moulage.errors import ConfigError, examples, nearest
from moulage.runs.config import ExperimentConfig, StudyConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One experiment with one seed on one split (and one fold of it, where there are folds)."""

    study: StudyConfig
    experiment: ExperimentConfig
    seed: int
    split_seed: int
    fold: int | None = None

    @property
    def split_name(self) -> str:
        """What tells this cell's split from the study's others."""
        fold = "" if self.fold is None else f"-fold{self.fold}"
        return f"split{self.split_seed}{fold}"

    @property
    def name(self) -> str:
        """The run folder's name: `exp1-seed0`; other splits than the first are named too."""
        is_plain = self.split_seed == 0 and self.fold is None
        place = "" if is_plain else f"{self.split_name}-"
        return f"{self.experiment.name}-{place}seed{self.seed}"

    def resolved(self) -> dict[str, Any]:
        """Return what this run's outcome depends on, as plain values without nulls."""
        content = self.study.model_dump(mode="json", exclude={"experiments", "description"})
        content["split"]["seeds"] = [self.split_seed]
        if self.fold is not None:
            content["split"]["fold"] = self.fold
        experiment = self.experiment.model_dump(mode="json")
        experiment["seeds"] = [self.seed]
        resolved: dict[str, Any] = _without_nulls({**content, "experiment": [experiment]})
        return resolved


def cells_of(study: StudyConfig, *, only: tuple[str, ...] = ()) -> tuple[Cell, ...]:
    """Lay a study out, splits outermost, so that what shares a split stands together."""
    names = [experiment.name for experiment in study.experiments]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise ConfigError(
            f"`--only` must name experiments of the study ({examples(names, 9)}); got "
            f"{examples(unknown)}. {nearest(unknown[0], names)}"
        )
    folds: list[int | None] = list(range(study.split.folds)) if study.split.folds else [None]
    return tuple(
        Cell(study=study, experiment=experiment, seed=seed, split_seed=split_seed, fold=fold)
        for split_seed in study.split.seeds
        for fold in folds
        for experiment in study.experiments
        if not only or experiment.name in only
        for seed in experiment.seeds
    )


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value]
    return value
