"""The page of one run.

In:  a run's record.   Out: one HTML file as text.
Knows nothing of run folders; every number comes from `results`, `composition` or the record.
"""

from dataclasses import dataclass

from moulage.evaluation.comparison import LOWER_IS_BETTER
from moulage.evaluation.decisions import PLAIN_RULES, PlainRule
from moulage.pages import prose, tables, words
from moulage.pages.certainty import asked_table, bounds_of, certainty_table
from moulage.pages.composition import composition_table, leak_notes, leak_of, leak_sentence
from moulage.pages.document import Drawing, render
from moulage.pages.figures.confusion import draw_confusion
from moulage.pages.figures.curves import DOTTED, TRAIN_LOSS, draw_curves
from moulage.pages.mistakes import Mistake, data_uri, worst_mistakes
from moulage.pages.recipes import AGAIN
from moulage.pages.records import PhaseRecord, RunRecord, Score
from moulage.pages.results import MEASURES, Results, results_of
from moulage.pages.tables import Cell, Column, Table, Tile
from moulage.split import PARTS, Part

UNMEASURED = tables.measured(words.NOT_MEASURED, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A mistake with its picture; no source where the record holds no thumbnail."""

    mistake: Mistake
    probability: str
    truth_probability: str
    source: str


def report_page(run: RunRecord) -> str:
    """Return `report.html` of a run: one file that needs no network."""
    test = results_of(run.predictions, "test")
    leak = leak_of(run.split)
    return render(
        "run.html",
        run=run,
        lead=prose.lead(run, test),
        story=prose.story(run, test),
        notes=(*leak_notes(leak), *run.notes),
        leak=leak_sentence(leak),
        tiles=_tiles(run, test),
        split_table=composition_table(run.catalogue, run.split),
        phase_tables=_phase_tables(run),
        curves=_curves(run),
        score_table=_score_table(run),
        certainty_table=certainty_table(run, test),
        asked_table=asked_table(run),
        definitions=prose.DEFINITIONS,
        temperature=prose.temperature(run),
        confusions=_confusions(run, test),
        confusion_tables=[_confusion_table(run, test, rule) for rule in PLAIN_RULES],
        diagnosis_table=_diagnosis_table(run, test),
        baseline_table=_baseline_table(run),
        unbeaten=_unbeaten(run, test),
        pictures=_pictures(run),
        facts=prose.facts(run),
    )


def _phase_tables(run: RunRecord) -> tuple[Table, Table]:
    phases = run.experiment.phases
    parts = [part for part in PARTS if any(part in phase.scores for phase in phases)]
    cost = Table(
        caption="What each phase trained, and what it cost.",
        columns=(
            Column(name="phase", is_number=False),
            Column(name="trained from", is_number=False),
            Column(name="epochs"),
            Column(name="learning rate"),
            Column(name="trainable", group="parameters"),
            Column(name="total", group="parameters"),
            Column(name="time"),
            Column(name="peak memory"),
        ),
        rows=tuple(_cost_row(phase) for phase in phases),
    )
    scores = Table(
        caption="Where each phase ended, with the best weights so far: accuracy under the natural "
        "rule, loss in nats. Weights of: the epoch that was best so far; the last row has those "
        f"kept.{f' {AGAIN}' if len(phases) > 1 else ''}",
        columns=(
            Column(name="phase", is_number=False),
            Column(name="weights of", is_number=False),
            *(Column(name=name, group=part) for part in parts for name in ("accuracy", "loss")),
        ),
        rows=tuple(_score_row(run, phase, parts) for phase in phases),
    )
    return cost, scores


def _cost_row(phase: PhaseRecord) -> tuple[Cell, ...]:
    return (
        tables.text(phase.name),
        tables.text(phase.train_from),
        tables.count(phase.epochs),
        tables.measured(words.rate(phase.learning_rate), phase.learning_rate),
        tables.count(phase.n_trainable),
        tables.count(phase.n_total),
        tables.measured(words.duration(phase.seconds), phase.seconds),
        tables.measured(words.memory(phase.peak_memory_mib), phase.peak_memory_mib),
    )


def _score_row(run: RunRecord, phase: PhaseRecord, parts: list[Part]) -> tuple[Cell, ...]:
    cells = [cell for part in parts for cell in _reached(phase.scores.get(part))]
    best = prose.best_epochs([run], phase.name) or words.NOT_MEASURED
    return (tables.text(phase.name), tables.text(best), *cells)


def _reached(score: Score | None) -> tuple[Cell, Cell]:
    """Return accuracy and loss; a part may not have been looked at when the phase ended."""
    if score is None:
        return UNMEASURED, UNMEASURED
    return tables.score(score.accuracy), tables.score(score.loss)


def _tiles(run: RunRecord, test: Results) -> tuple[Tile, ...]:
    validation = results_of(run.predictions, "validation")
    rules = ("natural rule", "balanced rule", "needs no rule", "after temperature")
    n = f"test, n = {words.count(test.n_images)}"
    return tuple(
        Tile(
            name=f"{measure.said[0].upper()}{measure.said[1:]}",
            rule=rule,
            value=tables.score(test.of(measure)),
            beside=(
                *([ends] if (ends := bounds_of(run, measure)) else []),
                n,
                f"validation {words.score(validation.of(measure))}",
            ),
        )
        for measure, rule in zip(MEASURES, rules, strict=True)
    )


def _curves(run: RunRecord) -> tuple[Drawing, ...]:
    if run.history.empty:
        return ()
    n_train, n_validation = (len(run.split.rows_of(part)) for part in ("train", "validation"))
    counts = f"n = {words.count(n_train)} train, {words.count(n_validation)} validation images"
    dotted = f" {DOTTED}" if run.history["phase"].nunique() > 1 else ""
    endings = {
        "loss": f"Loss by epoch ({counts}). {TRAIN_LOSS}{dotted}",
        "accuracy": f"Accuracy under the natural rule by epoch ({counts}). Train is measured "
        "during training, on augmented images where there is augmentation.",
    }
    return (
        Drawing(svg=draw_curves([run.history], "loss", name="loss"), caption=endings["loss"]),
        Drawing(
            svg=draw_curves([run.history], "accuracy", name="accuracy"),
            caption=endings["accuracy"],
        ),
    )


def _score_table(run: RunRecord) -> Table:
    """Return every score, a column a part, each accuracy with its rule."""
    parts = [part for part in PARTS if part in run.predictions.parts]
    results = [results_of(run.predictions, part) for part in parts]
    rows = [
        (
            tables.text(name),
            tables.text(rule),
            *(tables.score(value) for value in values),
        )
        for name, rule, values in _scores(results)
    ]
    return Table(
        caption="Scores of the kept weights.",
        columns=(
            Column(name="score", is_number=False),
            Column(name="decision rule", is_number=False),
            *(Column(name=part) for part in parts),
        ),
        rows=tuple(rows),
        sums=(
            tables.text("n images"),
            tables.text(""),
            *(tables.count(result.n_images) for result in results),
        ),
    )


def _scores(results: list[Results]) -> list[tuple[str, str, list[float]]]:
    """Return (score, rule, a value a part)."""
    decided = [
        (said, rule, [result.under(rule).values[name] for result in results])
        for name, said in (("accuracy", "accuracy"), ("balanced_accuracy", "balanced accuracy"))
        for rule in PLAIN_RULES
    ]
    return [
        *decided,
        ("macro AUROC", words.NO_RULE, [one.auroc for one in results]),
        ("log loss before temperature", words.NO_RULE, [one.log_loss_before for one in results]),
        ("log loss after temperature", words.NO_RULE, [one.log_loss for one in results]),
    ]


def _confusions(run: RunRecord, test: Results) -> tuple[Drawing, ...]:
    return tuple(
        Drawing(
            svg=draw_confusion(
                test.under(rule).confusion,
                run.catalogue.codes,
                name=f"confusion-{rule}",
                title=f"Confusion matrix, {rule} rule",
            ),
            caption=f"{rule.capitalize()} rule: images, and below them their share of the row "
            f"(n = {words.count(test.n_images)} test images).",
        )
        for rule in PLAIN_RULES
    )


def _confusion_table(run: RunRecord, test: Results, rule: PlainRule) -> Table:
    codes = run.catalogue.codes
    rows = [
        (
            tables.text(code),
            *(tables.count(int(n)) for n in counts),
            tables.count(int(counts.sum())),
        )
        for code, counts in zip(codes, test.under(rule).confusion, strict=True)
    ]
    return Table(
        caption=f"The counts as a table, {rule} rule: rows truth, columns prediction.",
        columns=(
            Column(name="truth", is_number=False),
            *(Column(name=code, group="prediction") for code in codes),
            Column(name="n"),
        ),
        rows=tuple(rows),
    )


def _diagnosis_table(run: RunRecord, test: Results) -> Table:
    """Return precision, recall and F1 under both rules, rankings and support, a row a diagnosis."""
    rows = [
        (
            tables.text(diagnosis.code, note=diagnosis.name),
            tables.count(test.natural.support[diagnosis.code]),
            *(
                tables.score(test.natural.values[f"{name}.{diagnosis.code}"])
                for name in ("auroc", "average_precision")
            ),
            *(
                tables.score(test.under(rule).values[f"{name}.{diagnosis.code}"])
                for rule in PLAIN_RULES
                for name in ("precision", "recall", "f1")
            ),
        )
        for diagnosis in run.catalogue.diagnoses
    ]
    scores = [
        Column(name=name, group=f"{rule} rule")
        for rule in PLAIN_RULES
        for name in ("precision", "recall", "F1")
    ]
    return Table(
        caption="Each diagnosis against all others, on the test part.",
        columns=(
            Column(name="diagnosis", is_number=False),
            Column(name="support"),
            Column(name="AUROC"),
            Column(name="average precision"),
            *scores,
        ),
        rows=tuple(rows),
    )


def _baseline_table(run: RunRecord) -> Table:
    rows = [(run.name, run.predictions), *run.baselines.items()]
    return Table(
        caption="This run and what is simpler, on the test part.",
        columns=(
            Column(name="classifier", is_number=False),
            Column(name="accuracy", group="natural rule"),
            Column(name="balanced accuracy", group="balanced rule"),
            Column(name="macro AUROC"),
            Column(name="log loss"),
            Column(name="n images"),
        ),
        rows=tuple(
            _baseline_row(name, results_of(predictions, "test")) for name, predictions in rows
        ),
    )


def _unbeaten(run: RunRecord, test: Results) -> str:
    """Say which baselines score at least as well as the run, and in what."""
    said = []
    for name, predictions in run.baselines.items():
        other = results_of(predictions, "test")
        signs = {one: -1 if one.metric in LOWER_IS_BETTER else 1 for one in MEASURES}
        as_good = [
            one.named for one, sign in signs.items() if sign * other.of(one) >= sign * test.of(one)
        ]
        if as_good:
            said.append(f"{name} in {words.listed(as_good)}")
    return f"At least as good as this run: {'; '.join(said)}." if said else ""


def _baseline_row(name: str, test: Results) -> tuple[Cell, ...]:
    return (
        tables.text(name),
        tables.score(test.accuracy),
        tables.score(test.balanced_accuracy),
        tables.score(test.auroc),
        tables.score(test.log_loss),
        tables.count(test.n_images),
    )


def _pictures(run: RunRecord) -> tuple[Picture, ...]:
    return tuple(
        Picture(
            mistake=mistake,
            probability=words.score(mistake.probability),
            truth_probability=words.score(mistake.truth_probability),
            source=_source(run, mistake.image_id),
        )
        for mistake in worst_mistakes(run.predictions)
    )


def _source(run: RunRecord, image_id: str) -> str:
    pixels = run.thumbnails.get(image_id)
    return "" if pixels is None else data_uri(pixels)
