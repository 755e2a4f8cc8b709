"""The comparison page of a study.

In:  a study's record, its standing, the comparison's rows.   Out: one HTML file as text.
Knows nothing of run folders; every number comes from `comparison`, `standing`, `results` or the
record. What stands in the sections is made by `outcomes`, `verdicts`, `recipes` and `advice`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.evaluation.decisions import PLAIN_RULES, PlainRule
from moulage.pages import outcomes, prose, recipes, verdicts, words
from moulage.pages.advice import advice_of
from moulage.pages.comparison import experiments_of
from moulage.pages.composition import leak_notes, leak_of
from moulage.pages.document import Drawing, render
from moulage.pages.figures.confusion import draw_confusion
from moulage.pages.figures.curves import DOTTED, TRAIN_LOSS, Measure, draw_curves, shared_limits
from moulage.pages.figures.roc import draw_roc
from moulage.pages.records import RunRecord, StudyRecord
from moulage.pages.results import results_of
from moulage.pages.standing import Standing

Row = dict[str, Any]

_CURVES: dict[Measure, str] = {"loss": "loss", "accuracy": "accuracy (natural rule)"}


def study_page(study: StudyRecord, standing: Standing, frame: pd.DataFrame) -> str:
    """Return the comparison page of a study: one file that needs no network."""
    rows: list[Row] = [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
    experiments = experiments_of(study)
    advice = advice_of(study, standing, frame)
    return render(
        "study.html",
        study=study,
        summary=prose.study_summary(study, n_experiments=len(experiments)),
        notes=_notes(study),
        advice=advice.paragraphs,
        pooled=prose.pooled(study),
        outcome_table=outcomes.outcome_table(rows, standing),
        luck_table=outcomes.luck_table(tuple(experiments), standing),
        forests=outcomes.forests(experiments, study.baselines, standing),
        matrices=verdicts.matrices(tuple(experiments), standing),
        pair_table=verdicts.pair_table(standing.pairs),
        treatment_table=verdicts.treatment_table(standing),
        tuned_table=verdicts.tuned_table(standing.tuned, _kept(experiments), standing.untuned),
        leak_table=verdicts.leak_table(standing.leaks),
        cost_table=recipes.cost_table(frame, standing),
        costs=recipes.cost_drawings(frame, standing),
        rocs=_rocs(study, standing, advice.chosen),
        chosen=advice.chosen,
        recipe_table=recipes.recipe_table(frame),
        phase_table=recipes.phase_table(rows, experiments),
        curves=_curves(experiments),
        curves_note=_curves_note(study.runs),
        confusions=[(rule, _confusions(experiments, rule)) for rule in PLAIN_RULES],
        run_table=outcomes.run_table(study.runs, study.unit),
        definitions=prose.DEFINITIONS,
        facts=prose.study_facts(study),
    )


def _notes(study: StudyRecord) -> tuple[str, ...]:
    """Return runs left out, diagnoses that test parts lack, leaks, then the runs' own notes.

    Each of these once, with whom it holds for.
    """
    said: dict[str, list[str]] = {}
    for run in study.runs:
        found = (*leak_notes(leak_of(run.split)), *run.notes)
        for note in found:
            said.setdefault(note, []).append(run.name)
    left_out = (f"{name} is torn and left out: {why}" for name, why in study.torn.items())
    uneven = filter(None, (prose.uneven_tests(study),))
    return (*left_out, *uneven, *(f"{_named(runs, study)}: {note}" for note, runs in said.items()))


def _named(runs: Sequence[str], study: StudyRecord) -> str:
    """Name the runs that something holds for, unless it holds for all of many."""
    return "All runs" if 2 < len(runs) == len(study.runs) else words.listed(runs)


def _kept(experiments: dict[str, tuple[RunRecord, ...]]) -> dict[str, str]:
    return {name: prose.best_epochs(runs) for name, runs in experiments.items()}


def _rocs(study: StudyRecord, standing: Standing, chosen: str | None) -> list[Drawing]:
    """Return a curve a diagnosis; the experiment that the page recommends stands out.

    Of two diagnoses the malignant one alone: the other's curve is its mirror image.
    """
    if chosen is None:
        return []
    diagnoses = study.runs[0].catalogue.diagnoses
    if len(diagnoses) == 2:
        diagnoses = tuple(sorted(diagnoses, key=lambda one: not one.is_malignant)[:1])
    codes = {one.code for one in diagnoses}
    n_tests = len({run.split.digest for run in study.runs if run.experiment.name == chosen})
    over = f" in {n_tests} test parts" if n_tests > 1 else ""
    return [
        Drawing(
            svg=draw_roc(curves, chosen=chosen, code=code, name=f"roc-{code}"),
            caption=f"{code} against the rest (n = "
            f"{words.counted(curves[chosen].n_positives, 'image')} of it{over}).",
        )
        for code, curves in standing.curves.items()
        if chosen in curves and code in codes
    ]


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
                    caption=f"{name}: {_CURVES[measure]} by epoch, "
                    f"{words.counted(len(each), 'run')}.",
                )
                for measure in measures
            ],
        )
        for number, (name, each) in enumerate(histories.items())
        if each
    ]


def _curves_note(runs: Sequence[RunRecord]) -> str:
    is_dotted = any(run.history["phase"].nunique() > 1 for run in runs)
    return f"{TRAIN_LOSS} {DOTTED}" if is_dotted else TRAIN_LOSS


def _confusions(experiments: dict[str, tuple[RunRecord, ...]], rule: PlainRule) -> list[Drawing]:
    """Return a matrix an experiment: the counts of its runs' test parts, added up."""
    return [
        _confusion(name, runs, rule=rule, number=number)
        for number, (name, runs) in enumerate(experiments.items())
    ]


def _confusion(name: str, runs: Sequence[RunRecord], *, rule: PlainRule, number: int) -> Drawing:
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
