"""The page of trust of one run: how sure, when to ask, for whom it fails.

In:  a run's names, what was fitted, what was measured.   Out: one HTML file as text.
Knows nothing of run folders; every number comes from `evaluation/examination`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from moulage.catalogue import Diagnosis
from moulage.evaluation.conformal import least_lesions
from moulage.evaluation.examination import COVERAGE, Examination, Sets, Strangers
from moulage.evaluation.intervals import Interval
from moulage.evaluation.reliability import Reliability
from moulage.evaluation.subgroups import FEW, Gap, Subgroup
from moulage.evaluation.trust import METHOD, SENSITIVITY, Trust
from moulage.pages import tables, words
from moulage.pages.composition import Leak, leak_notes
from moulage.pages.document import Drawing, render
from moulage.pages.figures.forest import Stretch, draw_forest
from moulage.pages.figures.reliability import draw_reliability
from moulage.pages.figures.tradeoffs import draw_benefit, draw_risk
from moulage.pages.results import MEASURES, Measure
from moulage.pages.tables import Cell, Column, Table, Tile

_COLUMNS = {
    "age": "Age",
    "sex": "Sex",
    "localization": "Localization",
    "dx_type": "How the diagnosis was confirmed",
}
_METRICS = {
    "accuracy": "accuracy (natural rule)",
    "log_loss": "log loss",
    "auroc_malignant": "AUROC, malignant",
    "sensitivity_malignant": "sensitivity, malignant",
    "specificity_malignant": "specificity, malignant",
    "answered": "answered",
    "risk_answered": "risk of those",
}
_RISK = "risk_answered"
_METHODS = {"lac": "LAC", "aps": "APS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRecord:
    """Everything the page says. leak: what the parts of the run's split share."""

    name: str
    study: str
    diagnoses: tuple[Diagnosis, ...]
    trust: Trust
    found: Examination
    leak: Leak


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One column of the catalogue: its subgroups as a figure and a table, and their gaps."""

    title: str
    figure: Drawing
    table: Table
    gaps: tuple[str, ...]


def trust_page(record: TrustRecord) -> str:
    """Return `trust.html` of a run: one file that needs no network."""
    found = record.found
    return render(
        "trust.html",
        record=record,
        lead=_lead(record),
        tiles=_tiles(record),
        notes=_notes(record),
        diagrams=_diagrams(record),
        calibration=calibration_sentence(found),
        calibration_table=_calibration_table(record),
        set_table=set_table(record),
        set_tables=[_diagnosis_sets(record, sets) for sets in found.sets if sets.is_by_diagnosis],
        always=_always(record),
        risk=_risk(found),
        abstention=_abstention_sentence(record),
        abstention_table=_abstention_table(record),
        strangers=_strangers(found.strangers),
        columns=[_column(record, name) for name in found.subgroups],
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
    shown = _shown(found.sets)
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
            rule=f"{_METHODS[METHOD]} by diagnosis",
            value=tables.score(every.share),
            beside=(_between(every.low, every.high), f"mean size {every.mean_size:.2f}"),
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
                f"risk of those {_estimated(found.abstained.risk)}"
                if found.abstained.n_answered
                else "none is answered",
            ),
        ),
    )


def _notes(record: TrustRecord) -> list[str]:
    small = [
        f"{group.name} ({_COLUMNS[name].lower()})"
        for name, groups in record.found.subgroups.items()
        for group in groups
        if group.is_small
    ]
    notes = [*leak_notes(record.leak), *([_always(record)] if _always(record) else [])]
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


def _always(record: TrustRecord) -> str:
    always = _shown(record.found.sets).always
    if not always:
        return ""
    counts, unit = record.trust.fitted().n_lesions, record.leak.unit
    said = words.listed(f"{code} ({words.counted(counts[code], unit)})" for code in always)
    return (
        f"Too few {unit}s to fit a set on: {said}. "
        f"{'It is' if len(always) == 1 else 'They are'} in every set by diagnosis."
    )


def _diagrams(record: TrustRecord) -> tuple[Drawing, ...]:
    found = record.found
    n = words.counted(found.n_images, "test image")
    return tuple(
        Drawing(
            svg=draw_reliability(one, name=f"reliability-{when}", title=title),
            caption=f"{title}: a dot is one of {len(one.bins)} bins of equally many images "
            "(equal probabilities share one), its "
            f"line the 95 % interval over {record.leak.unit}s ({n}). Dashed: probabilities that "
            "are right.",
        )
        for when, title, one in (
            ("before", "Before temperature", found.before),
            ("after", f"After temperature {found.temperature:.2f}", found.after),
        )
    )


def calibration_sentence(found: Examination) -> str:
    """Say how far probabilities are off, and how far right ones would seem to be."""
    after = found.after
    verdict = "lies within" if after.ece <= after.limit else "exceeds"
    return (
        f"The expected calibration error is {words.score(after.ece)} after temperature "
        f"({words.score(found.before.ece)} before). A classifier whose probabilities were all "
        f"right would show {words.score(after.expected)} on these images, and less than "
        f"{words.score(after.limit)} in 95 of 100 test parts; what is measured {verdict} that."
    )


def _calibration_table(record: TrustRecord) -> Table:
    found = record.found
    rows = [
        (
            _head(diagnosis),
            *_errors(found.by_diagnosis[diagnosis.code]),
            *(
                tables.score(getattr(found.brier[diagnosis.code], part))
                for part in ("score", "reliability", "resolution", "uncertainty")
            ),
        )
        for diagnosis in record.diagnoses
    ]
    return Table(
        caption="Each diagnosis' probability against how often it is so, after temperature. Brier "
        "score = reliability − resolution + uncertainty, and what bins hide.",
        columns=(
            Column(name="diagnosis", is_number=False),
            *(Column(name=name, group="calibration error") for name in ("ECE", "expected", "95 %")),
            *(
                Column(name=name, group="Brier score")
                for name in ("all", "reliability", "resolution", "uncertainty")
            ),
        ),
        rows=tuple(rows),
    )


def _errors(found: Reliability) -> tuple[Cell, Cell, Cell]:
    return tables.score(found.ece), tables.score(found.expected), tables.score(found.limit)


def set_table(record: TrustRecord) -> Table:
    """Return how often each kind of set holds the truth, and how large it is."""
    rows = [
        (
            tables.text(_set_name(sets), note="shown by `predict`" if _is_shown(sets) else ""),
            tables.bounded(sets.covered[0].share, sets.covered[0].low, sets.covered[0].high),
            tables.measured(f"{sets.covered[0].mean_size:.2f}", sets.covered[0].mean_size),
            tables.score(sets.share_single),
            tables.count(sets.covered[0].n_lesions),
        )
        for sets in record.found.sets
    ]
    level, unit = 1 - record.trust.asked.alpha, record.leak.unit
    drawn = "" if record.leak.is_blind else f" one photograph a {unit},"
    return Table(
        caption=f"Sets that aim to hold the truth for {words.percent(level)} of {unit}s;{drawn} "
        "binomial 95 % intervals.",
        columns=(
            Column(name="sets", is_number=False),
            Column(name="hold the truth"),
            Column(name="mean size"),
            Column(name="of one diagnosis"),
            Column(name=f"n {unit}s"),
        ),
        rows=tuple(rows),
    )


def _diagnosis_sets(record: TrustRecord, shown: Sets) -> Table:
    marginal = next(
        sets
        for sets in record.found.sets
        if sets.method == shown.method and not sets.is_by_diagnosis
    )
    rows = [
        (
            _head(diagnosis),
            tables.count(own.n_lesions),
            tables.count(own.fitted_on),
            *(
                cell
                for one in (whole, own)
                for cell in (
                    tables.bounded(one.share, one.low, one.high),
                    tables.measured(_size(one.mean_size), one.mean_size),
                )
            ),
        )
        for diagnosis, whole, own in zip(
            record.diagnoses, marginal.covered[1:], shown.covered[1:], strict=True
        )
    ]
    groups = ("one quantile for all", "a quantile for each")
    return Table(
        caption=f"{_METHODS[shown.method]} sets by diagnosis: how often they hold the truth, and "
        "their size.",
        columns=(
            Column(name="diagnosis", is_number=False),
            Column(name=f"n {record.leak.unit}s"),
            Column(name="fitted on"),
            *(Column(name=name, group=g) for g in groups for name in ("hold the truth", "size")),
        ),
        rows=tuple(rows),
    )


def _risk(found: Examination) -> Drawing:
    return Drawing(
        svg=draw_risk(found.curve, found.abstained, name="risk"),
        caption="The most confident images first. Dot: the threshold that was fitted elsewhere, "
        f"with the 95 % interval of its risk (n = {words.count(found.n_images)} test images).",
    )


def _abstention_sentence(record: TrustRecord) -> str:
    found, asked = record.found, record.trust.asked
    if not found.abstained.n_answered:
        return "No test image is sure enough to be answered."
    return (
        f"Answering from a confidence of {words.score(record.trust.answer_from)}, chosen for "
        f"{words.percent(asked.risk)} wrong answers, {words.count(found.abstained.n_answered)} of "
        f"{words.counted(found.n_images, 'test image')} are answered, "
        f"{_estimated(found.abstained.risk)} of them wrongly. The area under the curve is "
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
        f"({_between(found.low, found.high) if is_telling else 'too few to generalise'})"
    )


def _abstention_table(record: TrustRecord) -> Table:
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


def _strangers(found: Strangers | None) -> str:
    if found is None:
        return (
            "This run kept no measure of how familiar an image is: it is older than that, or has "
            "no test images."
        )
    n_unfamiliar = round(found.unfamiliar.value * found.n_images)
    return (
        f"{words.count(n_unfamiliar)} of {words.counted(found.n_images, 'test image')} "
        f"{'is' if n_unfamiliar == 1 else 'are'} called unfamiliar. Of images like those that say "
        "what is usual, at most 1 in 100 would be; where fewer than 99 say so, none is. Of the "
        "images stranger than nine tenths of what is usual, "
        f"{_estimated(found.risk_strange)} are decided wrongly; of the others, "
        f"{_estimated(found.risk_other)}. As a warning of wrong decisions, unfamiliarity has an "
        f"AUROC of {words.score(found.auroc_wrong)}, low confidence one of "
        f"{words.score(found.auroc_unsure)}. It tells strangers, not hard lesions."
    )


def _column(record: TrustRecord, name: str) -> Panel:
    groups, title, unit = record.found.subgroups[name], _COLUMNS[name], record.leak.unit
    return Panel(
        title=title,
        figure=Drawing(
            svg=draw_forest(
                [_stretch(group) for group in groups],
                name=f"groups-{name}",
                title=f"Accuracy by {title[0].lower()}{title[1:]}",
                label=f"accuracy (share of images), {unit}s in brackets",
                span=(0, 1.02),
            ),
            caption=f"Accuracy under the natural rule by {title[0].lower()}{title[1:]}, 95 % "
            f"intervals over {unit}s. Hollow: fewer than {FEW} {unit}s.",
        ),
        table=_group_table(record, groups, title),
        gaps=gap_sentences(record.found, name, unit),
    )


def _stretch(group: Subgroup) -> Stretch:
    found = group.metrics["accuracy"]
    return Stretch(
        name=f"{group.name} ({words.count(group.n_lesions)})",
        value=found.value,
        low=found.low,
        high=found.high,
        is_pale=group.is_small,
    )


def _group_table(record: TrustRecord, groups: Sequence[Subgroup], title: str) -> Table:
    metrics, unit = list(groups[0].metrics) if groups else [], record.leak.unit
    is_blind = record.leak.is_blind
    rows = [
        (
            tables.text(group.name, note=f"under {FEW} {unit}s" if group.is_small else ""),
            tables.count(group.n_images),
            *(() if is_blind else (tables.count(group.n_lesions),)),
            *(tables.interval(group.metrics[name]) for name in metrics),
        )
        for group in groups
    ]
    codes = words.listed(record.trust.malignant)
    asked = (
        f" Malignant: {codes}; called at the threshold that found {words.percent(SENSITIVITY)} of "
        "them where it was fitted."
        if record.trust.malignant
        else ""
    )
    return Table(
        caption=f"{title}: every number with its 95 % interval over {unit}s.{asked}",
        columns=(
            Column(name=title.split()[0].lower(), is_number=False),
            Column(name="images"),
            *(() if is_blind else (Column(name=f"{unit}s"),)),
            *(Column(name=_METRICS[name]) for name in metrics),
        ),
        rows=tuple(rows),
    )


def gap_sentences(found: Examination, column: str, unit: str = "lesion") -> tuple[str, ...]:
    """Say of each metric how far best and worst of a column's groups lie apart.

    unit: what is drawn again.
    """
    return tuple(_gap_sentence(one, unit) for one in found.gaps.get(column, ()))


def _gap_sentence(found: Gap, unit: str) -> str:
    interval = found.interval
    verdict = "which chance could explain" if not interval.low > 0 else "more than chance explains"
    if math.isnan(interval.low):
        verdict = f"without an interval, since one of the two is perfect or stands on one {unit}"
    return (
        f"{_METRICS[found.metric][0].upper()}{_METRICS[found.metric][1:]}: best {found.best}, "
        f"worst {found.worst}, {words.signed(interval.value)} "
        f"({_between(interval.low, interval.high)}), {verdict}."
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


def _shown(sets: Sequence[Sets]) -> Sets:
    return next(one for one in sets if _is_shown(one))


def _is_shown(sets: Sets) -> bool:
    return sets.method == METHOD and sets.is_by_diagnosis


def _set_name(sets: Sets) -> str:
    return f"{_METHODS[sets.method]}, {'by diagnosis' if sets.is_by_diagnosis else 'marginal'}"


def _head(diagnosis: Diagnosis) -> Cell:
    return tables.text(diagnosis.code, note=diagnosis.name)


def _size(mean: float) -> str:
    return words.NOT_DEFINED if math.isnan(mean) else f"{mean:.2f}"


def _estimated(found: Interval) -> str:
    if math.isnan(found.value):
        return words.NOT_DEFINED
    return f"{words.score(found.value)} ({_between(found.low, found.high)})"


def _between(low: float, high: float) -> str:
    return words.NO_BOUNDS if math.isnan(low) else f"{words.score(low)} to {words.score(high)}"
