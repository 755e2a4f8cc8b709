"""When a classifier should not answer: low confidence, and images unlike its training.

In:  a trust record.   Out: a drawing, sentences, a table.
Knows nothing of HTML; every number comes from `evaluation.abstention` and `.unfamiliarity`.
"""

import math

from moulage.evaluation.examination import Examination, Strangers
from moulage.evaluation.intervals import Interval
from moulage.evaluation.subgroups import FEW, Subgroup
from moulage.pages import tables, words
from moulage.pages.document import Drawing
from moulage.pages.figures.tradeoffs import draw_risk
from moulage.pages.records import TrustRecord
from moulage.pages.tables import Column, Table

_RISK = "risk_answered"


def risk_drawing(found: Examination) -> Drawing:
    """Draw the risk of what is answered against how much is."""
    return Drawing(
        svg=draw_risk(found.curve, found.abstained, name="risk"),
        caption="The most confident images first. Dot: the threshold that was fitted elsewhere, "
        f"with the 95 % interval of its risk (n = {words.count(found.n_images)} test images).",
    )


def abstention_sentence(record: TrustRecord) -> str:
    """Say how many are answered, how many of these wrongly, and which diagnoses stay wrong."""
    found, asked = record.found, record.trust.asked
    if not found.abstained.n_answered:
        return "No test image is sure enough to be answered."
    n_answered = found.abstained.n_answered
    return (
        f"Answering from a confidence of {words.score(record.trust.answer_from)}, chosen for "
        f"{words.percent(asked.risk)} wrong answers, {words.count(n_answered)} of "
        f"{words.counted(found.n_images, 'test image')} "
        f"{'is' if n_answered == 1 else 'are'} answered, "
        f"{estimated(found.abstained.risk)} of them wrongly. The area under the curve is "
        f"{words.score(found.curve.area)}; with these errors it could not be below "
        f"{words.score(found.curve.oracle)}.{_least_helped(record)}"
    )


def _least_helped(record: TrustRecord) -> str:
    """Name what stays wrong although answered: each malignant diagnosis, and the worst of many."""
    wrong = sorted(
        (one for one in record.found.abstained_by_diagnosis if one.metrics[_RISK].value > 0),
        key=lambda one: -one.metrics[_RISK].value,
    )
    worst = [one.name for one in wrong if one.carriers[_RISK] >= FEW][:1]
    said = [_wrong(one) for one in wrong if one.name in (*worst, *record.trust.malignant)]
    if not said:
        return ""
    return (
        " Confidence is not safety. Answered, and still called something else: "
        f"{words.listed(said)}."
    )


def _wrong(group: Subgroup) -> str:
    found = group.metrics[_RISK]
    n_answered = round(group.metrics["answered"].value * group.n_images)
    n_wrong = round(found.value * n_answered)
    share = "all" if n_wrong == n_answered > 1 else f"{n_wrong} of"
    is_telling = group.carriers[_RISK] >= FEW
    return (
        f"{share} {words.counted(n_answered, 'image')} of {group.name} "
        f"({words.bounds(found.low, found.high) if is_telling else 'too few to generalise'})"
    )


def abstention_table(record: TrustRecord) -> Table:
    """Return what abstaining does to each diagnosis."""
    rows = [
        (
            tables.text(group.name),
            tables.count(group.n_images),
            *(
                tables.interval(group.metrics[name])
                for name in ("answered", "risk", "risk_answered")
            ),
        )
        for group in record.found.abstained_by_diagnosis
    ]
    return Table(
        caption="What abstaining does to each diagnosis: share answered, share wrong of all and "
        f"of those answered (natural rule, 95 % intervals over {record.leak.unit}s).",
        columns=(
            Column(name="diagnosis", is_number=False),
            Column(name="n images"),
            Column(name="answered"),
            Column(name="wrong of all"),
            Column(name="wrong of answered"),
        ),
        rows=tuple(rows),
    )


def strangers_sentence(examined: Examination) -> str:
    """Say how many images are unfamiliar, and what that tells of wrong decisions."""
    found = examined.strangers
    if found is None:
        return (
            "This run kept no measure of how familiar an image is: it is older than that, or has "
            "no test images."
        )
    return (
        f"{_unfamiliar(found, examined.n_images)} called unfamiliar. Of images like those that say "
        "what is usual, at most 1 in 100 would be; where fewer than 99 say so, none is. Of the "
        "images stranger than nine tenths of what is usual, "
        f"{estimated(found.risk_strange)} are decided wrongly; of the others, "
        f"{estimated(found.risk_other)}. As a warning of wrong decisions, unfamiliarity has an "
        f"AUROC of {words.score(found.auroc_wrong)}, low confidence one of "
        f"{words.score(found.auroc_unsure)}. It tells strangers, not hard lesions."
    )


def _unfamiliar(found: Strangers, n_images: int) -> str:
    """Count strangers among the images measured, which are a draw where there are very many."""
    number = round(found.unfamiliar.value * found.n_images)
    counted, verb = words.count(number), "is" if number == 1 else "are"
    measured = words.counted(found.n_images, "test image")
    if found.n_images < n_images:
        return f"Of {measured} drawn of {words.count(n_images)}, {counted} {verb}"
    return f"{counted} of {measured} {verb}"


def estimated(found: Interval) -> str:
    """Write a score and, in brackets, its interval."""
    if math.isnan(found.value):
        return words.NOT_DEFINED
    return f"{words.score(found.value)} ({words.bounds(found.low, found.high)})"
