"""The page of trust of one run: how sure, when to ask, for whom it fails.

In:  a trust record.   Out: one HTML file as text.
Knows nothing of run folders; every number comes from `evaluation/examination`. A section that has
a module of its own is made there: probabilities, sets, referral, panels.
"""

import math

from moulage.evaluation.conformal import least_lesions
from moulage.evaluation.examination import COVERAGE, Examination
from moulage.evaluation.subgroups import FEW
from moulage.evaluation.trust import METHOD
from moulage.pages import panels, probabilities, referral, sets, tables, words
from moulage.pages.composition import leak_notes
from moulage.pages.document import Drawing, render
from moulage.pages.figures.tradeoffs import draw_benefit
from moulage.pages.records import TrustRecord
from moulage.pages.results import MEASURES, Measure
from moulage.pages.tables import Column, Table, Tile


def trust_page(record: TrustRecord) -> str:
    """Return `trust.html` of a run: one file that needs no network."""
    found = record.found
    return render(
        "trust.html",
        record=record,
        lead=_lead(record),
        tiles=_tiles(record),
        notes=_notes(record),
        diagrams=probabilities.diagrams(record),
        calibration=probabilities.calibration_sentence(found),
        calibration_table=probabilities.calibration_table(record),
        set_table=sets.set_table(record),
        set_tables=sets.diagnosis_tables(record),
        always=sets.always_sentence(record),
        risk=referral.risk_drawing(found),
        abstention=referral.abstention_sentence(record),
        abstention_table=referral.abstention_table(record),
        strangers=referral.strangers_sentence(found),
        no_bounds=words.WHY_NO_BOUNDS,
        columns=[panels.panel_of(record, name) for name in found.subgroups],
        benefits=_benefits(record),
        clinic=_clinic_sentence(found),
        clinic_table=_clinic_table(record) if found.elsewhere else None,
        cost_table=_cost_table(record) if found.costs else None,
    )


def _lead(record: TrustRecord) -> str:
    found, level = record.found, 1 - record.trust.asked.alpha
    return (
        f"How sure {record.name} is, when it should not answer, and for whom it fails. Measured on "
        f"{words.counted(found.n_images, 'test image')} of "
        f"{record.leak.lesions(found.n_lesions)}; sets aim at {words.percent(level)}, "
        f"abstention at {words.percent(record.trust.asked.risk)} wrong answers. {record.trust.note}"
    )


def _tiles(record: TrustRecord) -> tuple[Tile, ...]:
    found = record.found
    shown = sets.shown_of(found.sets)
    every = shown.covered[0]
    return (
        Tile(
            name="Calibration error",
            rule="ECE, 15 bins",
            value=tables.score(found.after.ece),
            beside=(
                f"{words.score(found.after.expected)} if all were right",
                f"before temperature {words.score(found.before.ece)}",
            ),
        ),
        Tile(
            name="Sets hold the truth",
            rule=f"{sets.METHODS[METHOD]} by diagnosis",
            value=tables.score(every.share),
            beside=(words.bounds(every.low, every.high), f"mean size {every.mean_size:.2f}"),
        ),
        Tile(
            name=f"Risk at {words.percent(COVERAGE)} coverage",
            rule="natural rule",
            value=tables.score(found.risk_at_coverage),
            beside=(f"area under the curve {words.score(found.curve.area)}",),
        ),
        Tile(
            name="Answered",
            rule=f"aiming at {words.percent(record.trust.asked.risk)} risk",
            value=tables.score(found.abstained.coverage.value),
            beside=(
                f"risk of those {referral.estimated(found.abstained.risk)}"
                if found.abstained.n_answered
                else "none is answered",
            ),
        ),
    )


def _notes(record: TrustRecord) -> list[str]:
    small = [
        f"{panels.spelt(group.name)} ({panels.COLUMNS[name].lower()})"
        for name, groups in record.found.subgroups.items()
        for group in groups
        if group.is_small
    ]
    always = sets.always_sentence(record)
    notes = [*leak_notes(record.leak), *([always] if always else [])]
    if small:
        notes.append(
            f"{words.counted(len(small), 'subgroup')} {'has' if len(small) == 1 else 'have'} "
            f"fewer than {FEW} {record.leak.unit}s, too few to conclude anything: "
            f"{words.listed(small)}."
        )
    if math.isinf(record.trust.answer_from):
        notes.append(
            f"No confidence kept the risk at {words.percent(record.trust.asked.risk)} where it was "
            f"fitted: every image would be sent to a dermatologist.{_too_few(record)}"
        )
    return notes


def _too_few(record: TrustRecord) -> str:
    """Say how many lesions a threshold needs, where fewer were there; see `threshold_at_risk`."""
    trust, unit = record.trust, "image" if record.leak.is_blind else record.leak.unit
    if not trust.asked.risk:
        return " No number of images can show that none is ever wrong."
    least = least_lesions(trust.asked.risk)
    if trust.n_lesions >= least:
        return ""
    return (
        f" It was fitted on {words.counted(trust.n_lesions, unit)}, and that takes at least "
        f"{words.counted(least, unit)}, all decided rightly."
    )


def _benefits(record: TrustRecord) -> tuple[Drawing, ...]:
    codes = words.listed(record.trust.malignant)
    said = {
        "mel": "Melanoma",
        "malignant": "Malignant" if codes == "malignant" else f"Malignant ({codes})",
    }
    return tuple(
        Drawing(
            svg=draw_benefit(curve, name=f"benefit-{name}", title=f"Net benefit: {said[name]}"),
            caption=f"{said[name]}: found cases an image, less needless alarms, each weighed by "
            "the odds of the threshold; band: 95 % interval "
            f"(n = {words.count(record.found.n_images)} test images).",
        )
        for name, curve in record.found.benefit.items()
    )


def _clinic_sentence(found: Examination) -> str:
    said = words.listed(f"{100 * share:.1f} % {code}" for code, share in found.clinic.items())
    return f"Where the images are {said}."


def _clinic_table(record: TrustRecord) -> Table:
    here, there = record.found.here, record.found.elsewhere
    codes = [diagnosis.code for diagnosis in record.diagnoses]
    of_each = (
        Measure(metric=f"{name}.{code}", said=f"{name}, {code}")
        for code in codes
        for name in ("recall", "precision")
    )
    rows = [
        (
            tables.text(one.said),
            tables.text(one.said_rule),
            tables.score(here[one.rule][one.metric]),
            tables.score(there[one.rule][one.metric]),
        )
        for one in (*MEASURES, *of_each)
    ]
    return Table(
        caption="The same images, each counted as often as its diagnosis occurs there, with "
        "probabilities moved to that prior.",
        columns=(
            Column(name="score", is_number=False),
            Column(name="decision rule", is_number=False),
            Column(name="here"),
            Column(name="there"),
        ),
        rows=tuple(rows),
    )


def _cost_table(record: TrustRecord) -> Table:
    rows = [(tables.text(rule), tables.interval(cost)) for rule, cost in record.found.costs.items()]
    return Table(
        caption="What decisions cost an image, in the study's own costs (a wrong decision that it "
        f"does not name costs 1), 95 % intervals over {record.leak.unit}s "
        f"(n = {words.count(record.found.n_images)} test images).",
        columns=(Column(name="decision rule", is_number=False), Column(name="mean cost")),
        rows=tuple(rows),
    )
