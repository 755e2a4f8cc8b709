"""The comparison page of a study.

In:  a study's record.   Out: one HTML file as text.
Knows nothing of run folders; every number comes from `comparison`, `results` or the record.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.pages import prose, tables, words
from moulage.pages.comparison import (
    BASELINE,
    KEPT,
    SCORED_PARTS,
    comparison_table,
    experiments_of,
)
from moulage.pages.composition import leak_of, leak_sentence
from moulage.pages.document import Drawing, render
from moulage.pages.figures.confusion import draw_confusion
from moulage.pages.figures.curves import Measure, draw_curves, shared_limits
from moulage.pages.records import ComparisonRow, RunRecord, StudyRecord
from moulage.pages.results import RULES, PageRule, results_of
from moulage.pages.tables import Cell, Column, Table

Row = dict[str, Any]


def study_page(study: StudyRecord) -> str:
    """Return the comparison page of a study: one file that needs no network."""
    frame = comparison_table(study)
    rows: list[Row] = [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
    experiments = experiments_of(study)
    return render(
        "study.html",
        study=study,
        summary=prose.study_summary(study, n_experiments=len(experiments)),
        notes=_notes(study),
        outcome_table=_outcome_table(rows),
        recipe_table=_recipe_table(frame),
        phase_table=_phase_table(rows),
        comparison_table=_verdict_table(study.comparisons),
        curves=_curves(experiments),
        confusions=[(rule, _confusions(experiments, rule)) for rule in RULES],
        run_table=_run_table(study.runs),
        definitions=prose.DEFINITIONS,
        facts=prose.study_facts(study),
    )


def _notes(study: StudyRecord) -> tuple[str, ...]:
    """Return leaks first, then the runs' own notes, each once with the runs it holds for."""
    said: dict[str, list[str]] = {}
    for run in study.runs:
        leak = leak_of(run.split)
        found = (*((leak_sentence(leak),) if leak.n_lesions else ()), *run.notes)
        for note in found:
            said.setdefault(note, []).append(run.name)
    return tuple(f"{words.listed(runs)}: {note}" for note, runs in said.items())


def _outcome_table(rows: Sequence[Row]) -> Table:
    """Return the kept weights of each experiment beside the baselines, on the test part."""
    shown = [row for row in rows if row["phase"] in (KEPT, BASELINE)]
    return Table(
        caption="The kept weights and the baselines on the test part: means over the runs, below "
        "them the lowest and the highest.",
        columns=(
            Column(name="classifier", is_number=False),
            Column(name="runs"),
            Column(name="accuracy", group="natural rule"),
            Column(name="balanced accuracy", group="balanced rule"),
            Column(name="macro AUROC"),
            Column(name="before", group="log loss, temperature"),
            Column(name="after", group="log loss, temperature"),
        ),
        rows=tuple(
            (
                tables.text(row["experiment"], note=_kind(row)),
                tables.count(row["n_runs"]),
                *(_spread(row, name) for name in _OUTCOMES),
            )
            for row in shown
        ),
    )


_OUTCOMES = (
    "test_accuracy",
    "test_balanced_accuracy",
    "test_macro_auroc",
    "test_loss",
    "test_log_loss_calibrated",
)


def _kind(row: Row) -> str:
    return "baseline" if row["phase"] == BASELINE else str(row["backbone"])


def _spread(row: Row, name: str) -> Cell:
    mean, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return tables.spread(mean=mean, low=low, high=high)


def _recipe_table(frame: pd.DataFrame) -> Table:
    """Return architecture, head, regularisation, epochs and parameters, a row an experiment."""
    phases = frame[~frame["phase"].isin([KEPT, BASELINE])]
    rows = [
        _recipe_row(str(name), group) for name, group in phases.groupby("experiment", sort=False)
    ]
    return Table(
        caption="What was compared; parameters trained in the first phase and in the last.",
        columns=(
            Column(name="experiment", is_number=False),
            Column(name="architecture", is_number=False),
            Column(name="hidden layers", is_number=False),
            Column(name="regularisation", is_number=False),
            Column(name="imbalance", is_number=False),
            Column(name="epochs"),
            Column(name="first", group="parameters"),
            Column(name="last", group="parameters"),
            Column(name="total", group="parameters"),
        ),
        rows=tuple(rows),
    )


def _recipe_row(name: str, phases: pd.DataFrame) -> tuple[Cell, ...]:
    first, last = phases.iloc[0], phases.iloc[-1]
    hidden = tuple(int(size) for size in str(first["hidden"]).split())
    epochs = [int(n) for n in phases["epochs"]]
    return (
        tables.text(name),
        tables.text(str(first["backbone"])),
        tables.text(prose.hidden_layers(hidden)),
        tables.text(str(first["regularisation"])),
        tables.text(str(first["imbalance"])),
        tables.measured(" + ".join(map(str, epochs)), float(sum(epochs))),
        tables.count(int(first["n_trainable"])),
        tables.count(int(last["n_trainable"])),
        tables.count(int(last["n_total"])),
    )


def _phase_table(rows: Sequence[Row]) -> Table:
    """Return scores, time and memory at each phase's end."""
    shown = [row for row in rows if row["phase"] not in (KEPT, BASELINE)]
    return Table(
        caption="Where each phase ended, with the best weights so far: accuracy under the natural "
        "rule, loss in nats; means over the runs, below them the lowest and the highest.",
        columns=(
            Column(name="experiment", is_number=False),
            Column(name="phase", is_number=False),
            *(
                Column(name=name, group=part)
                for part in SCORED_PARTS
                for name in ("accuracy", "loss")
            ),
            Column(name="time"),
            Column(name="peak memory"),
        ),
        rows=tuple(_phase_row(row) for row in shown),
    )


def _phase_row(row: Row) -> tuple[Cell, ...]:
    scores = [
        _phase_score(row, f"{part}_{name}")
        for part in SCORED_PARTS
        for name in ("accuracy", "loss")
    ]
    return (
        tables.text(row["experiment"]),
        tables.text(row["phase"], note=f"from {row['train_from']}"),
        *scores,
        tables.measured(words.duration(row["seconds"]), row["seconds"]),
        tables.measured(words.memory(row["peak_memory_mib"]), row["peak_memory_mib"]),
    )


def _phase_score(row: Row, name: str) -> Cell:
    """A part may not have been looked at when the phase ended."""
    if math.isnan(row[name]):
        return tables.measured(words.NOT_MEASURED, None)
    return _spread(row, name)


def _verdict_table(comparisons: Sequence[ComparisonRow]) -> Table:
    return Table(
        caption="Experiments held against each other on the same test lesions: first minus second.",
        columns=(
            Column(name="first", is_number=False),
            Column(name="second", is_number=False),
            Column(name="score", is_number=False),
            Column(name="difference"),
            Column(name="interval"),
            Column(name="p"),
            Column(name="verdict", is_number=False),
        ),
        rows=tuple(
            (
                tables.text(row.first),
                tables.text(row.second),
                tables.text(row.metric),
                tables.measured(words.signed(row.difference), row.difference),
                tables.measured(
                    f"{words.signed(row.low)} to {words.signed(row.high)}", row.high - row.low
                ),
                tables.measured(words.p_value(row.p_value), row.p_value),
                tables.text(row.verdict),
            )
            for row in comparisons
        ),
    )


def _curves(
    experiments: dict[str, tuple[RunRecord, ...]],
) -> list[tuple[str, list[Drawing]]]:
    """Return (experiment, loss and accuracy), the axes of all experiments alike."""
    histories = {
        name: [run.history for run in runs if len(run.history)]
        for name, runs in experiments.items()
    }
    every = [history for each in histories.values() for history in each]
    measures: tuple[Measure, ...] = ("loss", "accuracy")
    limits = {measure: shared_limits(every, measure) for measure in measures} if every else {}
    return [
        (
            name,
            [
                Drawing(
                    svg=draw_curves(
                        each, measure, name=f"{measure}-{number}", limits=limits[measure]
                    ),
                    caption=f"{name}: {measure} by epoch, {words.counted(len(each), 'run')}.",
                )
                for measure in measures
            ],
        )
        for number, (name, each) in enumerate(histories.items())
        if each
    ]


def _confusions(experiments: dict[str, tuple[RunRecord, ...]], rule: PageRule) -> list[Drawing]:
    """Return a matrix an experiment: the counts of its runs' test parts, added up."""
    return [
        _confusion(name, runs, rule=rule, number=number)
        for number, (name, runs) in enumerate(experiments.items())
    ]


def _confusion(name: str, runs: Sequence[RunRecord], *, rule: PageRule, number: int) -> Drawing:
    counts: NDArray[np.int64] = np.sum(
        [results_of(run.predictions, "test").under(rule).confusion for run in runs], axis=0
    )
    added = "" if len(runs) == 1 else f", {words.count(len(runs))} runs added up"
    return Drawing(
        svg=draw_confusion(
            counts,
            runs[0].catalogue.codes,
            name=f"confusion-{rule}-{number}",
            title=f"Confusion matrix of {name}, {rule} rule",
        ),
        caption=f"{name}, {rule} rule (n = {words.count(int(counts.sum()))} test images{added}).",
    )


def _run_table(runs: Sequence[RunRecord]) -> Table:
    return Table(
        caption="Every run on its own test part.",
        columns=(
            Column(name="run", is_number=False),
            Column(name="split seed"),
            Column(name="images"),
            Column(name="lesions"),
            Column(name="accuracy", group="natural rule"),
            Column(name="balanced accuracy", group="balanced rule"),
            Column(name="macro AUROC"),
            Column(name="log loss"),
        ),
        rows=tuple(_run_row(run) for run in runs),
    )


def _run_row(run: RunRecord) -> tuple[Cell, ...]:
    test = results_of(run.predictions, "test")
    return (
        tables.text(run.name),
        tables.count(run.split_seed),
        tables.count(test.n_images),
        tables.count(test.n_lesions),
        tables.score(test.accuracy),
        tables.score(test.balanced_accuracy),
        tables.score(test.auroc),
        tables.score(test.log_loss),
    )
