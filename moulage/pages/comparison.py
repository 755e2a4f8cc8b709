"""The comparison of a study: one row a phase, one for the kept weights, one a baseline.

In:  a study's record.   Out: a data frame, written as `comparison.csv` and read by the page.
Knows nothing of HTML.
Why: what the page prints and what the file holds are the same numbers.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from moulage.pages.records import PhaseRecord, RunRecord, Score, StudyRecord
from moulage.pages.results import Results, results_of
from moulage.predictions import Predictions
from moulage.split import Part

KEPT, BASELINE = "kept", "baseline"
SCORED_PARTS: tuple[Part, ...] = ("train", "validation", "test")
UNKNOWN = Score(accuracy=math.nan, loss=math.nan)
_SPREAD = (
    *(f"{part}_{name}" for part in SCORED_PARTS for name in ("accuracy", "loss")),
    "test_log_loss_calibrated",
    "test_balanced_accuracy",
    "test_macro_auroc",
    "seconds",
    "peak_memory_mib",
)
_WHOLE = ("epochs", "n_trainable", "n_total", "n_runs")
COLUMNS = (
    *("experiment", "phase", "backbone", "hidden", "regularisation", "imbalance", "covariates"),
    *("train_from", "epochs", "learning_rate", "n_trainable", "n_total", "n_runs"),
    *(f"{name}{end}" for name in _SPREAD for end in ("", "_low", "_high")),
)


def comparison_table(study: StudyRecord) -> pd.DataFrame:
    """Return `COLUMNS`: means over an experiment's runs, with the lowest and the highest.

    A row's `phase` is its name, "kept" or "baseline"; its accuracies are those of the natural
    rule, `test_balanced_accuracy` that of the balanced rule. Losses stand before temperature,
    save `test_log_loss_calibrated`. What no run has is missing.
    """
    rows = [row for runs in experiments_of(study).values() for row in _experiment_rows(runs)]
    rows += [_baseline_row(name, each) for name, each in study.baselines.items()]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(_WHOLE, "Int64"))


def experiments_of(study: StudyRecord) -> dict[str, tuple[RunRecord, ...]]:
    """Return the runs of each experiment, in the study's order."""
    names = dict.fromkeys(run.experiment.name for run in study.runs)
    return {name: tuple(run for run in study.runs if run.experiment.name == name) for name in names}


def baselines_of(runs: Iterable[RunRecord]) -> dict[str, tuple[Predictions, ...]]:
    """Return each baseline of these runs once a split; what differs needs names that differ."""
    found: dict[str, dict[str, Predictions]] = {}
    for run in runs:
        for name, predictions in run.baselines.items():
            found.setdefault(name, {}).setdefault(run.split.digest, predictions)
    return {name: tuple(by_split.values()) for name, by_split in found.items()}


def _experiment_rows(runs: Sequence[RunRecord]) -> list[dict[str, object]]:
    """Return a row for each phase that any run has, then one for the kept weights."""
    n_phases = max(len(run.experiment.phases) for run in runs)
    rows = [
        _phase_row(runs, [r.experiment.phases[i] for r in runs if i < len(r.experiment.phases)])
        for i in range(n_phases)
    ]
    return [*rows, _kept_row(runs)]


def _phase_row(runs: Sequence[RunRecord], phases: list[PhaseRecord]) -> dict[str, object]:
    first = phases[0]
    scores = {
        f"{part}_{name}": [getattr(phase.scores.get(part, UNKNOWN), name) for phase in phases]
        for part in SCORED_PARTS
        for name in ("accuracy", "loss")
    }
    memory = [math.nan if p.peak_memory_mib is None else p.peak_memory_mib for p in phases]
    return {
        **_recipe(runs[0]),
        "phase": first.name,
        "train_from": first.train_from,
        "epochs": first.epochs,
        "learning_rate": first.learning_rate,
        "n_trainable": first.n_trainable,
        "n_total": first.n_total,
        "n_runs": len(phases),
        **_spreads(scores),
        **_spreads({"seconds": [p.seconds for p in phases], "peak_memory_mib": memory}),
    }


def _kept_row(runs: Sequence[RunRecord]) -> dict[str, object]:
    phases = [run.experiment.phases for run in runs]
    totals = {"n_total": phases[0][-1].n_total} if phases[0] else {}
    return {
        **_recipe(runs[0]),
        **totals,
        "phase": KEPT,
        "epochs": sum(phase.epochs for phase in phases[0]),
        "n_runs": len(runs),
        **_measured([run.predictions for run in runs]),
        **_spreads({"seconds": [sum(phase.seconds for phase in each) for each in phases]}),
    }


def _baseline_row(name: str, predictions: Sequence[Predictions]) -> dict[str, object]:
    return {
        "experiment": name,
        "phase": BASELINE,
        "n_runs": len(predictions),
        **_measured(predictions),
    }


def _recipe(run: RunRecord) -> dict[str, object]:
    experiment = run.experiment
    return {
        "experiment": experiment.name,
        "backbone": experiment.backbone,
        "hidden": " ".join(map(str, experiment.hidden)),
        "regularisation": experiment.regularisation,
        "imbalance": experiment.imbalance,
        "covariates": " ".join(experiment.covariates),
    }


def _measured(predictions: Sequence[Predictions]) -> dict[str, float]:
    """Measure the same part of several runs and return mean, lowest and highest."""
    by_part = {part: [results_of(each, part) for each in predictions] for part in SCORED_PARTS}
    return _spreads(
        {
            **{f"{part}_accuracy": [r.accuracy for r in each] for part, each in by_part.items()},
            **{f"{part}_loss": [r.log_loss_before for r in each] for part, each in by_part.items()},
            **_test_only(by_part["test"]),
        }
    )


def _test_only(results: list[Results]) -> dict[str, list[float]]:
    return {
        "test_log_loss_calibrated": [result.log_loss for result in results],
        "test_balanced_accuracy": [result.balanced_accuracy for result in results],
        "test_macro_auroc": [result.auroc for result in results],
    }


def _spreads(scores: Mapping[str, list[float]]) -> dict[str, float]:
    """Return mean, `_low` and `_high` of each; NaN where one of the values is."""
    spread: dict[str, float] = {}
    for name, values in scores.items():
        if values and not any(math.isnan(value) for value in values):
            spread[name] = statistics.mean(values)  # exact, so never outside the range
            spread[f"{name}_low"], spread[f"{name}_high"] = min(values), max(values)
    return spread
