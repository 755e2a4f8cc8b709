"""A study laid out: experiments × seeds × splits, a cell each.

In:  a study's configuration.   Out: its cells in order, and what a cell's run folder is called.
Knows nothing of training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moulage.errors import ConfigError, examples, nearest
from moulage.runs.config import ExperimentConfig, StudyConfig

DISHONEST = ("image", "leaky")  # kinds of split whose parts share lesions, on purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One experiment with one seed on one split (and one fold of it, where there are folds)."""

    study: StudyConfig
    experiment: ExperimentConfig
    seed: int
    split_seed: int
    fold: int | None = None

    @property
    def split_kind(self) -> str:
        """How images are assigned to parts: as the experiment says, else as the study does."""
        return self.experiment.split or self.study.split.kind

    @property
    def split_name(self) -> str:
        """What tells this cell's split from the study's others."""
        return split_name(self.split_kind, self.split_seed, self.fold)

    @property
    def name(self) -> str:
        """The run folder's name: `exp1-seed0`; other splits than the first are named too."""
        is_plain = self.split_seed == 0 and self.fold is None
        place = "" if is_plain else f"{_place(self.split_seed, self.fold)}-"
        return f"{self.experiment.name}-{place}seed{self.seed}"

    def recipe(self) -> dict[str, Any]:
        """Return what makes another classifier of the same images and split."""
        resolved = self.resolved()
        return {
            "experiment": resolved["experiment"],
            "images": resolved["images"],
            "classes": resolved["dataset"]["classes"],
        }

    def resolved(self) -> dict[str, Any]:
        """Return what this run's outcome depends on, as plain values without nulls."""
        content = self.study.model_dump(
            mode="json", exclude={"experiments", "ensembles", "description"}
        )
        content["split"] |= {"kind": self.split_kind, "seeds": [self.split_seed]}
        if self.fold is not None:
            content["split"]["fold"] = self.fold
        experiment = self.experiment.model_dump(mode="json", exclude={"split"})
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
            f"{examples(unknown)}." + (nearest(unknown[0], names) or " Choose one of them.")
        )
    folds: list[int | None] = list(range(study.split.folds)) if study.split.folds else [None]
    cells = tuple(
        Cell(study=study, experiment=experiment, seed=seed, split_seed=split_seed, fold=fold)
        for split_seed in study.split.seeds
        for fold in folds
        for experiment in study.experiments
        for seed in experiment.seeds
    )
    _refuse_namesakes(cells)
    return tuple(cell for cell in cells if not only or cell.experiment.name in only)


def _refuse_namesakes(cells: Sequence[Cell]) -> None:
    by_name: dict[str, Cell] = {}
    for cell in cells:
        other = by_name.setdefault(cell.name, cell)
        if other is not cell:
            raise ConfigError(
                f"Every run of a study must have a folder of its own; got {cell.name} for "
                f"`{other.experiment.name}` and for `{cell.experiment.name}`. Give one of them "
                "another name."
            )


def split_name(kind: str, seed: int, fold: int | None) -> str:
    """Return what a split is called in a study's folder: `split0`, `leaky-split1`.

    >>> split_name("grouped", 0, 2), split_name("image", 1, None)
    ('split0-fold2', 'image-split1')
    """
    return f"{f'{kind}-' if kind in DISHONEST else ''}{_place(seed, fold)}"


def _place(seed: int, fold: int | None) -> str:
    return f"split{seed}" + ("" if fold is None else f"-fold{fold}")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value]
    return value
