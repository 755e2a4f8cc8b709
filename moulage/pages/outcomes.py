"""How good each classifier of a study is, and how sure that is: Table 2 with intervals.

In:  the comparison's rows, the standing, the runs.   Out: tables and drawings.
Knows nothing of HTML and of how anything was tested.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from moulage.evaluation.spread import Spread
from moulage.pages import tables, words
from moulage.pages.comparison import BASELINE, KEPT
from moulage.pages.document import Drawing
from moulage.pages.figures.forest import Stretch, draw_forest, ranked
from moulage.pages.records import RunRecord
from moulage.pages.results import (
    ACCURACY,
    AUROC,
    BALANCED,
    LOG_LOSS,
    MEASURES,
    Measure,
    results_of,
)
from moulage.pages.standing import Standing
from moulage.pages.tables import Cell, Column, Table
from moulage.split import Unit

Row = dict[str, Any]


def outcome_table(rows: Sequence[Row], standing: Standing) -> Table:
    """Return the kept weights of each experiment beside the baselines, on the test part."""
    shown = [row for row in rows if row["phase"] in (KEPT, BASELINE)]
    return Table(
        caption="The kept weights and the baselines on the test part: means over the runs, below "
        f"them the 95 % interval over {standing.unit}s.",
        columns=(
            Column(name="classifier", is_number=False),
            Column(name="runs"),
            Column(name="accuracy", group="natural rule"),
            Column(name="balanced accuracy", group="balanced rule"),
            Column(name="macro AUROC"),
            Column(name="before", group="log loss, temperature"),
            Column(name="after", group="log loss, temperature"),
        ),
        rows=tuple(_outcome_row(row, standing) for row in shown),
    )


def _outcome_row(row: Row, standing: Standing) -> tuple[Cell, ...]:
    name = str(row["experiment"])
    kind = "baseline" if row["phase"] == BASELINE else str(row["backbone"])
    return (
        tables.text(name, note=kind),
        tables.count(row["n_runs"]),
        *(_measured(standing, name, measure) for measure in (ACCURACY, BALANCED, AUROC)),
        tables.score(float(row["test_loss"])),
        _measured(standing, name, LOG_LOSS),
    )


def _measured(standing: Standing, name: str, measure: Measure) -> Cell:
    if not standing.has(name):
        return tables.score(math.nan)
    return tables.interval(standing.spread(name, measure).interval)


def luck_table(names: Sequence[str], standing: Standing) -> Table:
    """Return what seeds make of each measure, apart from what lesions make of it."""
    return Table(
        caption="Two kinds of luck, as standard deviations: of a run among the runs of its "
        "experiment (seeds, splits), and of the experiment’s mean if other "
        f"{standing.unit}s were tested.",
        columns=(
            Column(name="experiment", is_number=False),
            Column(name="runs"),
            *(
                Column(name=name, group=measure.named)
                for measure in (ACCURACY, BALANCED, AUROC)
                for name in ("between runs", f"over {standing.unit}s")
            ),
        ),
        rows=tuple(
            (
                tables.text(name),
                tables.count(len(standing.spread(name, ACCURACY).values)),
                *(
                    cell
                    for measure in (ACCURACY, BALANCED, AUROC)
                    for cell in _luck(standing.spread(name, measure))
                ),
            )
            for name in names
            if standing.has(name)
        ),
    )


def _luck(spread: Spread) -> tuple[Cell, Cell]:
    between = spread.between_runs
    seeds = tables.measured("one run" if math.isnan(between) else words.score(between), between)
    error = spread.interval.standard_error
    if math.isnan(error):
        return seeds, tables.measured(words.NO_BOUNDS, None)
    return seeds, tables.score(error)


def forests(names: Iterable[str], baselines: Iterable[str], standing: Standing) -> list[Drawing]:
    """Return a forest plot a measure: experiments from the best down, then baselines."""
    tested = [name for name in names if standing.has(name)]
    simple = [name for name in baselines if standing.has(name)]
    return [
        Drawing(
            svg=draw_forest(
                [
                    *_stretches(tested, measure, standing),
                    *_stretches(simple, measure, standing, is_pale=True),
                ],
                name=f"forest-{measure.metric}",
                title=f"Forest plot: {measure.named}",
                label=measure.named,
                line_below=len(tested),
            ),
            caption=f"Mean {measure.named}, 95 % interval over {standing.unit}s; a small tick a "
            f"run.{' Hollow: baselines.' if simple else ''}",
        )
        for measure in MEASURES
        if tested
    ]


def _stretches(
    names: Sequence[str], measure: Measure, standing: Standing, *, is_pale: bool = False
) -> list[Stretch]:
    """Return the best first."""
    spreads: dict[str, Spread] = {name: standing.spread(name, measure) for name in names}
    found = [
        Stretch(
            name=name,
            value=spread.interval.value,
            low=spread.interval.low,
            high=spread.interval.high,
            runs=spread.values,
            is_pale=is_pale,
        )
        for name, spread in spreads.items()
    ]
    return ranked(found, is_lower_better=measure is LOG_LOSS)


def run_table(runs: Sequence[RunRecord], unit: Unit = "lesion") -> Table:
    """Return every run on its own test part."""
    return Table(
        caption="Every run on its own test part.",
        columns=(
            Column(name="run", is_number=False),
            Column(name="split", is_number=False),
            Column(name="images"),
            Column(name=f"{unit}s"),
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
        tables.text(f"{run.split_kind}, seed {run.split_seed}"),
        tables.count(test.n_images),
        tables.count(test.n_lesions),
        tables.score(test.accuracy),
        tables.score(test.balanced_accuracy),
        tables.score(test.auroc),
        tables.score(test.log_loss),
    )
