"""How sure a run's test scores are, and the two questions a clinic asks of them.

In:  a run's record.   Out: tables, or None where the run did not measure it.
Knows nothing of HTML; every number was measured when the run ended.
"""

import math

from moulage.evaluation.lesions import WHY_NONE
from moulage.pages import tables, words
from moulage.pages.records import Answered, Certainty, RunRecord
from moulage.pages.results import Measure, Results
from moulage.pages.tables import Cell, Column, Table

_SCORES = (
    ("accuracy", "accuracy", "natural"),
    ("balanced accuracy", "balanced_accuracy", "natural"),
    ("accuracy", "accuracy", "balanced"),
    ("balanced accuracy", "balanced_accuracy", "balanced"),
    ("macro F1", "macro_f1", "natural"),
    ("Matthews’ correlation", "matthews", "natural"),
    ("Cohen’s kappa", "cohen_kappa", "natural"),
    ("macro AUROC", "macro_auroc", ""),
    ("macro average precision", "macro_average_precision", ""),
    ("log loss", "log_loss", ""),
    ("Brier score", "brier", ""),
)


def certainty_table(run: RunRecord, test: Results) -> Table | None:
    """Return every score of the test part an image, with its interval, and a lesion.

    Where ids are groups', nothing stands beside them.
    """
    found, unit = run.certainty, run.predictions.unit
    if found is None:
        return None
    is_by_lesion = unit == "lesion"
    beside = (
        "; beside them the same scores of lesions, by the mean logit of a lesion’s photographs."
        if is_by_lesion
        else f". {WHY_NONE}"
    )
    return Table(
        caption="Scores of the kept weights on the test part, with 95 % intervals from drawing "
        f"{unit}s again{beside}",
        columns=(
            Column(name="score", is_number=False),
            Column(name="decision rule", is_number=False),
            Column(name="by image"),
            Column(name="interval"),
            *([Column(name="by lesion")] if is_by_lesion else []),
        ),
        rows=tuple(
            (
                tables.text(said),
                tables.text(rule or words.NO_RULE),
                tables.score(_value(test, rule, name)),
                _ends(*found.intervals[rule or "natural"][name]),
                *([_by_lesion(found, rule or "natural", name)] if is_by_lesion else []),
            )
            for said, name, rule in _SCORES
        ),
        sums=(
            tables.text("n"),
            tables.text(""),
            tables.count(test.n_images),
            tables.text(""),
            *([tables.count(test.n_lesions)] if is_by_lesion else []),
        ),
    )


def asked_table(run: RunRecord) -> Table | None:
    """Return sensitivity at a kept specificity and the reverse, by image and, if any, lesion."""
    found = run.certainty
    if found is None or not found.asked:
        return None
    return Table(
        caption="Is it melanoma, is it malignant? Thresholds were chosen on the "
        f"{found.thresholds_from} part to keep the specificity or sensitivity named, and applied "
        "to the test part; kept is what is left of it there.",
        columns=(
            Column(name="question", is_number=False),
            Column(name="a row", is_number=False),
            Column(name="score", is_number=False),
            Column(name="test"),
            Column(name="n"),
            Column(name="kept"),
            Column(name="threshold"),
        ),
        rows=tuple(_asked_row(one) for one in found.asked),
    )


def bounds_of(run: RunRecord, measure: Measure) -> str:
    """Return the interval of a test score in words; "" where the run did not measure it."""
    if run.certainty is None:
        return ""
    return words.bounds(*run.certainty.intervals[measure.rule][measure.metric])


def _asked_row(one: Answered) -> tuple[Cell, ...]:
    share, _, rest = one.answer.partition("_at_")
    kept, _, percent = rest.rpartition("_")
    is_called = not math.isnan(one.threshold) or math.isnan(one.value)
    return (
        tables.text(f"{one.question}?"),
        tables.text(one.unit),
        tables.text(f"{share} at {percent} % {kept}"),
        tables.bounded(one.value, one.low, one.high),
        tables.count(one.n),
        tables.score(one.other),
        tables.score(one.threshold) if is_called else tables.measured("never called", None),
    )


def _value(test: Results, rule: str, name: str) -> float:
    return test.under("balanced" if rule == "balanced" else "natural").values[name]


def _ends(low: float, high: float) -> Cell:
    return tables.measured(words.bounds(low, high), high - low)


def _by_lesion(found: Certainty, rule: str, name: str) -> Cell:
    if not found.by_lesion:
        return tables.measured(words.NOT_MEASURED, None)
    return tables.score(found.by_lesion[rule][name])
