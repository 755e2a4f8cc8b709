"""The model card of one run: what the classifier is for, what it was made of, where it fails.

In:  a run's record and its trust.   Out: the card as Markdown, and as one HTML file; both say the
same.
Knows nothing of run folders.
Why by hand: that a card is there is not enough [mitchell2019]; each sentence here is either a
number of this run or a limit that holds for every run.
"""

from dataclasses import dataclass

from moulage.evaluation.decisions import PLAIN_RULES
from moulage.evaluation.examination import Examination
from moulage.evaluation.intervals import Interval, intervals
from moulage.evaluation.subgroups import FEW
from moulage.pages import prose, tables, words
from moulage.pages.composition import composition_table, leak_notes, leak_sentence
from moulage.pages.document import render
from moulage.pages.panels import gap_sentences, spelt
from moulage.pages.probabilities import calibration_sentence
from moulage.pages.records import CardRecord
from moulage.pages.results import MEASURES, Results, results_of
from moulage.pages.sets import set_table
from moulage.pages.tables import Cell, Column, Table
from moulage.seeding import generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, its paragraphs, a list of points, its tables."""

    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


def card_page(record: CardRecord) -> str:
    """Return `card.html`: one file that needs no network."""
    return render(
        "card.html",
        record=record,
        lead=_lead(record),
        notes=leak_notes(record.trust.leak),
        sections=sections_of(record),
    )


def card_markdown(record: CardRecord) -> str:
    """Return `card.md`."""
    notes = [f"**Note.** {note}" for note in leak_notes(record.trust.leak)]
    blocks = [f"# Model card: {record.run.name}", _lead(record), _DEVICE, *notes]
    for section in sections_of(record):
        blocks += [f"## {section.title}", *section.paragraphs]
        if section.points:
            blocks.append("\n".join(f"- {point}" for point in section.points))
        blocks += [_markdown(table) for table in section.tables]
    return "\n\n".join(blocks) + "\n"


def sections_of(record: CardRecord) -> tuple[Section, ...]:
    """Return the card's sections in their order."""
    return (
        _use(record),
        _classifier(record),
        _data(record),
        _performance(record),
        _certainty(record),
        _subgroups(record),
        _limits(record),
        _licences(record),
        _provenance(record),
    )


_DEVICE = (
    "**Not a medical device.** Nothing here may be used to diagnose or treat anyone, or to "
    "decide who is seen first."
)


def _lead(record: CardRecord) -> str:
    return prose.lead(record.run, results_of(record.run.predictions, "test"))


def _use(record: CardRecord) -> Section:
    names = words.listed(f"{one.name} ({one.code})" for one in record.run.catalogue.diagnoses)
    return Section(
        title="Intended use",
        paragraphs=(
            "For research and teaching: how classifiers of skin lesions are made, compared, "
            f"explained and mistrusted. It knows these diagnoses and no others: {names}.",
        ),
        points=(
            "Not for patients, triage or second opinions. No reader study has been made.",
            "Not for photographs of another kind than those it was trained on: the measure of "
            "unfamiliar images warns of some of them, not of all.",
            "It answers with one of its diagnoses whatever it is shown, also a lesion that is "
            "none of them.",
            *_told(record),
        ),
    )


def _told(record: CardRecord) -> tuple[str, ...]:
    """Say what a classifier that reads covariates must be told."""
    covariates = record.run.experiment.covariates
    if not covariates:
        return ()
    return (
        f"It must be told {words.listed(covariates)} beside each image. What is unknown is counted "
        "and answered as unknown; a wrong entry in the record changes the answer unnoticed, and "
        "habits of the place where the record was kept were learned with it.",
    )


def _classifier(record: CardRecord) -> Section:
    _, classifier, training, _ = prose.story(record.run, _test(record))
    return Section(title="Classifier", paragraphs=(classifier, training))


def _data(record: CardRecord) -> Section:
    run = record.run
    data, *_ = prose.story(run, _test(record))
    return Section(
        title="Data",
        paragraphs=(data, leak_sentence(record.trust.leak), run.ledger),
        tables=(composition_table(run.catalogue, run.split),),
    )


def _performance(record: CardRecord) -> Section:
    test, leak = record.run.predictions.of("test"), record.trust.leak
    found = {
        rule: intervals(test, rng=generator("intervals"), rule=rule)  # as in `metrics.json`
        for rule in PLAIN_RULES
    }
    overall = [
        (
            tables.text(one.said),
            tables.text(one.said_rule),
            tables.interval(found[one.rule][one.metric]),
        )
        for one in MEASURES
    ]
    shown = (
        Table(
            caption="Of all diagnoses together.",
            columns=(
                Column(name="score", is_number=False),
                Column(name="decision rule", is_number=False),
                Column(name="test"),
            ),
            rows=tuple(overall),
        ),
        _diagnosis_table(record, found["natural"], found["balanced"]),
    )
    lacks = any(table.lacks_bounds for table in shown)
    return Section(
        title="Performance on the test part",
        paragraphs=(
            f"{words.counted(len(test), 'image')} of "
            f"{leak.lesions(record.trust.found.n_lesions)}; 95 % intervals over {leak.unit}s. "
            "Natural rule: the most probable diagnosis. Balanced rule: the one that gained most "
            "over its frequency in training.",
            *((f"No bounds: {words.WHY_NO_BOUNDS}.",) if lacks else ()),
        ),
        tables=shown,
    )


def _diagnosis_table(
    record: CardRecord, natural: dict[str, Interval], balanced: dict[str, Interval]
) -> Table:
    support = _test(record).natural.support
    rows = [
        (
            tables.text(one.code, note=one.name),
            tables.count(support[one.code]),
            tables.interval(natural[f"auroc.{one.code}"]),
            tables.interval(natural[f"recall.{one.code}"]),
            tables.interval(natural[f"precision.{one.code}"]),
            tables.interval(balanced[f"recall.{one.code}"]),
            tables.interval(balanced[f"precision.{one.code}"]),
        )
        for one in record.run.catalogue.diagnoses
    ]
    return Table(
        caption="Of each diagnosis.",
        columns=(
            Column(name="diagnosis", is_number=False),
            Column(name="images"),
            Column(name="AUROC"),
            *(
                Column(name=f"{score}, {rule}")
                for rule in PLAIN_RULES
                for score in ("recall", "precision")
            ),
        ),
        rows=tuple(rows),
    )


def _certainty(record: CardRecord) -> Section:
    found, asked = record.trust.found, record.trust.trust.asked
    return Section(
        title="How sure it is",
        paragraphs=(
            f"{prose.temperature(record.run)} {calibration_sentence(found)}",
            f"Answering only where it is sure enough for {words.percent(asked.risk)} wrong "
            f"answers where that was fitted, it answers "
            f"{words.score(found.abstained.coverage.value)} of the test images and is wrong on "
            f"{words.score(found.abstained.risk.value)} of these. "
            f"{record.trust.trust.note}",
        ),
        tables=(set_table(record.trust),),
    )


def _subgroups(record: CardRecord) -> Section:
    found, unit = record.trust.found, record.trust.leak.unit
    points = [
        f"{title}. {sentence}"
        for name, title in (("age", "By age"), ("sex", "By sex"), ("localization", "By site"),
                            ("dx_type", "By confirmation"))
        for sentence in gap_sentences(found, name, unit)
    ]  # fmt: skip
    small = sorted(
        {
            spelt(group.name)
            for groups in found.subgroups.values()
            for group in groups
            if group.is_small
        }
    )
    notes = [f"Fewer than {FEW} {unit}s, so nothing is claimed: {words.listed(small)}."]
    return Section(
        title="For whom it fails",
        paragraphs=(
            f"Best against worst, of the subgroups with enough {unit}s; intervals hold for all "
            "pairs at once. Subgroups differ in which lesions they have, so a gap is no proof of "
            "bias, and no gap is no proof of fairness.",
            *(notes if small else []),
        ),
        points=tuple(points) or (_no_gap(found, unit),),
    )


def _no_gap(found: Examination, unit: str) -> str:
    """Say why no subgroup is held against another."""
    groups = [group for groups in found.subgroups.values() for group in groups]
    if not groups:
        return "The data set records neither age nor sex, site or kind of confirmation."
    if all(group.is_small for group in groups):
        return f"No subgroup has {FEW} {unit}s."
    return f"No two subgroups of one kind have {FEW} {unit}s."


def _limits(record: CardRecord) -> Section:
    run, unit = record.run, record.run.split.unit
    points = [
        "Skin tone is not recorded in the catalogue, so nothing is known of how it fares on "
        "other skin than that of the patients photographed.",
        f"One split and one seed: another draw of {unit}s gives other numbers; the intervals hold "
        f"for {unit}s of the same source, not for another clinic.",
        _fitted(record),
        *run.notes,
    ]
    return Section(title="Limits", points=(*leak_notes(record.trust.leak), *points))


def _fitted(record: CardRecord) -> str:
    """Say on how many images, and whose, what comes after the training was fitted."""
    n_images = words.counted(record.trust.trust.n_images, "image")
    said = f"Temperature, thresholds and sets were fitted on {n_images}"
    if record.run.split.has("calibration"):
        return f"{said} of the calibration part."
    return f"{said} of the validation part, which also chose the epoch."


def _licences(record: CardRecord) -> Section:
    return Section(
        title="Licences",
        points=(
            f"Data: {record.run.catalogue.name}. {record.run.licence}",
            f"Pretrained weights: {record.run.experiment.weights}; {record.weights_licence}.",
            "What was learned from data under a licence may be bound by it.",
            "moulage: Apache-2.0.",
        ),
    )


def _provenance(record: CardRecord) -> Section:
    return Section(
        title="Provenance",
        points=tuple(
            f"{name}: {value.removesuffix('.')}." for name, value, _ in prose.facts(record.run)
        ),
    )


def _test(record: CardRecord) -> Results:
    return results_of(record.run.predictions, "test")


def _markdown(table: Table) -> str:
    """Write a table as Markdown, its groups before the columns' names."""
    heads = [f"{one.group}: {one.name}" if one.group else one.name for one in table.columns]
    rule = ["---:" if one.is_number else "---" for one in table.columns]
    rows = [*table.rows, *([table.sums] if table.sums else [])]
    lines = [heads, rule, *([_cell(cell) for cell in row] for row in rows)]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table.caption}\n\n{body}"


def _cell(cell: Cell) -> str:
    said = f"{cell.text} ({cell.note})" if cell.note else cell.text
    return said.replace("|", "\\|")
