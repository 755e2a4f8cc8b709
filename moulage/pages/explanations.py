"""The page of explained images: what carries each answer, and whether that can be trusted.

In:  a casebook.   Out: one HTML file as text; a sheet of pictures an image.
Knows nothing of run folders and networks.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.explanation.casebook import Casebook, Explained
from moulage.explanation.faithfulness import N_TOP
from moulage.explanation.fills import perturbed
from moulage.explanation.shortcuts import TOLERATED, Finding
from moulage.explanation.verdict import Scores
from moulage.pages import tables, words
from moulage.pages.document import render
from moulage.pages.figures import overlays
from moulage.pages.mistakes import data_uri
from moulage.pages.tables import Cell, Column, Table, Tile

# More pictures than these make a page that no browser likes; numbers and sheets hold all.
MOST_SHOWN = 60
_MOST_SUSPECTS = 6
_N_MASKINGS = 4
_CUTS = {"slic": "SLIC", "felzenszwalb": "Felzenszwalb's", "grid": "a plain grid of"}
_FILLS = {
    "mean": "their own mean colour",
    "dataset": "the mean colour of the training images",
    "blur": "the image out of focus",
    "black": "black",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """One picture: its source, what it shows, and the words below it."""

    source: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What the page says of one image."""

    anchor: str
    image_id: str
    legend: str
    plates: tuple[Plate, ...]
    maskings: tuple[Plate, ...]
    doubts: tuple[str, ...]
    scores: Table
    weights: Table


def explanations_page(casebook: Casebook, *, first: tuple[str, ...] = ()) -> str:
    """Return `explanations.html`: one file that needs no network.

    first: what is to be said of the run before all else.
    """
    findings = casebook.findings()
    return render(
        "explanations.html",
        casebook=casebook,
        lead=_lead(casebook),
        story=_story(casebook),
        tiles=_tiles(casebook),
        notes=(*first, *_notes(casebook, findings)),
        findings=_findings_table(casebook, findings) if findings else None,
        tolerated=words.percent(TOLERATED),
        suspects=tuple(_suspects(casebook, findings)),
        scores=_scores_table(casebook),
        sheets=tuple(_sheet(case, casebook) for case in casebook.cases[:MOST_SHOWN]),
    )


def draw_sheet(case: Explained) -> NDArray[np.uint8]:
    """Return the pictures of one image side by side: the paper's three, weights and gradient."""
    return np.concatenate([picture for picture, _, _ in _pictures(case)], axis=1)


def legend(case: Explained, diagnoses: tuple[str, ...]) -> str:
    """Say which diagnosis is explained, its probability, and the true one."""
    explanation = case.examination.explanation
    said = f"explained: {diagnoses[explanation.diagnosis]}, probability "
    return f"{said}{explanation.probability:.3f}; truth: {case.truth or 'not known'}"


def _lead(casebook: Casebook) -> str:
    n_all = len(casebook.cases)
    n_trusted = sum(not case.examination.doubts for case in casebook.cases)
    return f"{words.counted(n_all, 'image')} explained. {_trusted(n_trusted, n_all - n_trusted)}"


def _trusted(n_trusted: int, n_doubted: int) -> str:
    """Say how many explanations nothing speaks against, and that the others say what does."""
    if n_trusted + n_doubted == 1:
        if n_trusted:
            return "Nothing that was measured here speaks against the explanation."
        return "The explanation says why it is in doubt."
    if not n_trusted:
        return "Each explanation says why it is in doubt."
    if not n_doubted:
        return "Nothing that was measured here speaks against any of the explanations."
    return (
        f"Against {words.counted(n_trusted, 'explanation')} nothing speaks that was measured here; "
        f"{'the other' if n_doubted == 1 else 'each of the others'} says why it is in doubt."
    )


def _story(casebook: Casebook) -> tuple[str, ...]:
    manner, first = casebook.manner, casebook.cases[0].examination
    n_copies = first.explanation.n_evaluations
    which = (
        "each image's most probable diagnosis"
        if manner.diagnosis is None
        else f"the diagnosis {casebook.diagnoses[manner.diagnosis]}"
    )
    return (
        f"The images are {casebook.source}. Each is cut into {manner.n_segments} superpixels "
        f"({_CUTS[manner.cut]} pieces, merged until so many are left). Copies in which some "
        f"superpixels are replaced by {_FILLS[manner.fill]} are classified, and a linear model "
        f"tells how much each superpixel adds to the probability of {which}.",
        f"Method: {manner.method}, {words.counted(n_copies, 'copy', 'copies')} an image; the tests "
        f"of the first explanation took {words.count(first.n_asked - n_copies)} more. Pictures "
        "show images as the classifier sees them.",
    )


def _tiles(casebook: Casebook) -> tuple[Tile, ...]:
    scores = [case.examination.scores for case in casebook.cases]
    columns = {
        "score": ("Linear model", "weighted R² of answers left out, median"),
        "over_cuts": ("Other superpixels", "rank correlation, median"),
        "lesion_share": ("Weight inside lesions", "share, median"),
        "randomised": ("Random heads", "rank correlation, signs aside, median"),
    }
    return tuple(
        Tile(
            name=name,
            rule=rule,
            value=tables.score(_median([getattr(one, key) for one in scores])),
            beside=(_n_known(key, scores),),
        )
        for key, (name, rule) in columns.items()
    )


def _median(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else math.nan


def _n_known(key: str, scores: list[Scores]) -> str:
    n_known = sum(not math.isnan(getattr(one, key)) for one in scores)
    return f"n = {words.counted(n_known, 'image')}"


def _notes(casebook: Casebook, findings: tuple[Finding, ...]) -> Iterator[str]:
    for finding in findings:
        if finding.is_flagged:
            code = casebook.diagnoses[finding.diagnosis]
            yield (
                f"Answers of {code} often rest on what lies beside the lesion: in "
                f"{finding.n_suspect} of {finding.n_images} images, and in at least "
                f"{words.percent(finding.low)} of images drawn as these were and explained as "
                f"{code} (95 %). Look at them below."
            )
    yield from casebook.left_out
    if len(casebook.cases) > MOST_SHOWN:
        yield (
            f"The page shows pictures of the first {MOST_SHOWN} images; explanations.json and the "
            "folder beside it have all."
        )


def _findings_table(casebook: Casebook, findings: tuple[Finding, ...]) -> Table:
    return Table(
        caption="Images in which a superpixel outside the lesion carries weight, by the diagnosis "
        "that was explained. At least: of images drawn as these were and explained alike, "
        "one-sided at 95 %.",
        columns=(
            Column(name="explained", is_number=False),
            Column(name="n images"),
            Column(name="beside the lesion"),
            Column(name="share"),
            Column(name="at least"),
            Column(name="verdict", is_number=False),
        ),
        rows=tuple(
            (
                tables.text(casebook.diagnoses[finding.diagnosis]),
                tables.count(finding.n_images),
                tables.count(finding.n_suspect),
                tables.score(finding.share),
                tables.score(finding.low),
                tables.text("flagged" if finding.is_flagged else "not flagged"),
            )
            for finding in findings
        ),
    )


def _suspects(casebook: Casebook, findings: tuple[Finding, ...]) -> Iterator[Plate]:
    """Show the heaviest suspects of each diagnosis, flagged ones first."""
    cases = {case.image_id: case for case in casebook.cases}
    for finding in sorted(findings, key=lambda one: (not one.is_flagged, one.diagnosis)):
        for suspect in finding.suspects[:_MOST_SUSPECTS]:
            case = cases[suspect.image_id]
            explanation = case.examination.explanation
            place = np.array([suspect.superpixel])
            picture = overlays.draw_top(case.pixels, explanation.segments, place)
            code = casebook.diagnoses[finding.diagnosis]
            yield Plate(
                source=data_uri(overlays.draw_lesion(picture, case.lesion)),
                alt=f"{suspect.image_id}: superpixel {suspect.superpixel + 1} outside the lesion",
                caption=f"{suspect.image_id}, {legend(case, casebook.diagnoses)}. This superpixel "
                f"adds {words.signed(suspect.weight)} to {code}, {words.percent(suspect.share)} of "
                "all positive weight.",
            )


_SCORES = (
    ("score", "R²"),
    ("deletion_gain", "deletion"),
    ("insertion_gain", "insertion"),
    ("share_as_good", "random as good"),
    ("over_seeds", "ranks, other masks"),
    ("top_over_seeds", "top, other masks"),
    ("over_cuts", "ranks, other superpixels"),
    ("top_over_cuts", "top, other superpixels"),
    ("randomised", "random heads"),
    ("lesion_share", "inside lesion"),
    ("lesion_area", "lesion's area"),
)


def _score_columns() -> tuple[Column, ...]:
    return (
        *(Column(name=said) for _, said in _SCORES),
        Column(name="gradient"),
    )


def _score_cells(case: Explained) -> tuple[Cell, ...]:
    scores = case.examination.scores
    values = [getattr(scores, key) for key, _ in _SCORES]
    return tuple(_score(value) for value in (*values, case.heat_agreement))


def _score(value: float) -> Cell:
    return tables.measured("–" if math.isnan(value) else words.score(value), value)


def _scores_table(casebook: Casebook) -> Table:
    return Table(
        caption="Every explanation with its scores; a dash where a score was not taken or is not "
        "defined.",
        columns=(
            Column(name="image", is_number=False),
            Column(name="explained", is_number=False),
            Column(name="probability"),
            Column(name="truth", is_number=False),
            Column(name="doubts"),
            *_score_columns(),
        ),
        rows=tuple(
            (
                tables.text(case.image_id),
                tables.text(casebook.diagnoses[case.examination.explanation.diagnosis]),
                tables.score(case.examination.explanation.probability),
                tables.text(case.truth or "not known"),
                tables.count(len(case.examination.doubts)),
                *_score_cells(case),
            )
            for case in casebook.cases
        ),
    )


def _sheet(case: Explained, casebook: Casebook) -> Sheet:
    diagnoses = casebook.diagnoses
    return Sheet(
        anchor=f"image-{case.image_id}",
        image_id=case.image_id,
        legend=legend(case, diagnoses),
        plates=tuple(
            Plate(source=data_uri(picture), alt=f"{case.image_id}: {name}", caption=said)
            for picture, name, said in _pictures(case)
        ),
        maskings=tuple(_maskings(case, diagnoses)),
        doubts=case.examination.doubts,
        scores=Table(
            caption="Its scores.",
            columns=(Column(name="image", is_number=False), *_score_columns()),
            rows=((tables.text(case.image_id), *_score_cells(case)),),
        ),
        weights=_weights_table(case, diagnoses),
    )


def _pictures(case: Explained) -> Iterator[tuple[NDArray[np.uint8], str, str]]:
    """Yield each picture with its name and caption."""
    explanation = case.examination.explanation
    pixels, segments = case.pixels, explanation.segments
    top = explanation.top(N_TOP)
    outlined = overlays.draw_segments(pixels, segments)
    has_lesion = case.lesion is not None
    yield (
        overlays.draw_lesion(overlays.enlarged(pixels), case.lesion),
        "the image",
        "The image" + (", its lesion in yellow." if has_lesion else "; no outline of its lesion."),
    )
    yield outlined, "superpixels", f"Its {words.counted(len(explanation.weights), 'superpixel')}."
    yield (
        overlays.draw_lesion(overlays.draw_top(pixels, segments, top), case.lesion),
        "the superpixels of highest weight",
        f"The {words.counted(len(top), 'superpixel')} of highest weight, by rank.",
    )
    yield (
        overlays.draw_weights(pixels, segments, explanation.weights),
        "weights",
        "All weights: orange speaks for the diagnosis, blue against it; the deepest is "
        f"{words.signed(_deepest(explanation.weights))}.",
    )
    yield (
        overlays.draw_heat(pixels, case.contributions),
        "gradient times activation",
        "For comparison: last maps times their gradient, same colours; rank correlation with "
        f"the weights {_said(case.heat_agreement)}.",
    )


def _deepest(weights: NDArray[np.float64]) -> float:
    return float(weights[np.abs(weights).argmax()])


def _said(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.2f}".replace("-", words.MINUS)


def _maskings(case: Explained, diagnoses: tuple[str, ...]) -> Iterator[Plate]:
    """Show a few of the masked copies: from low to high answers, evenly."""
    explanation = case.examination.explanation
    answers = explanation.answers
    values = answers.of(explanation.diagnosis)
    order = np.argsort(values, kind="stable")
    rows = order[np.linspace(0, len(order) - 1, min(_N_MASKINGS, len(order))).round().astype(int)]
    copies = perturbed(
        case.pixels,
        case.examination.covered,
        segments=explanation.segments,
        masks=answers.masks[rows],
    )
    code = diagnoses[explanation.diagnosis]
    for row, copy in zip(rows.tolist(), copies, strict=True):
        likeliest = int(answers.probabilities[row].argmax())
        kept = int(answers.masks[row].sum())
        yield Plate(
            source=data_uri(copy),
            alt=f"{case.image_id} with {kept} superpixels kept",
            caption=f"{kept} of {answers.masks.shape[1]} kept: {code} {values[row]:.3f}"
            + (
                ""
                if likeliest == explanation.diagnosis
                else f", {diagnoses[likeliest]} {answers.probabilities[row, likeliest]:.3f}"
            ),
        )


def _weights_table(case: Explained, diagnoses: tuple[str, ...]) -> Table:
    explanation, shapley = case.examination.explanation, case.examination.shapley
    rows = []
    for place in explanation.top(len(explanation.weights)).tolist():
        low, high = explanation.intervals[place].tolist()
        error = explanation.standard_errors[place]
        note = f"{words.signed(low)} to {words.signed(high)}" if error > 0 else ""
        cells = (
            tables.count(place + 1),
            Cell(
                text=words.signed(explanation.weights[place]),
                sort=float(explanation.weights[place]),
                note=note,
            ),
        )
        value = () if shapley is None else (_signed(float(shapley[place])),)
        rows.append((*cells, *value))
    return Table(
        caption="What each superpixel adds to the probability of "
        f"{diagnoses[explanation.diagnosis]}; 95 % intervals where copies were not all asked.",
        columns=(
            Column(name="superpixel"),
            Column(name="weight"),
            *(() if shapley is None else (Column(name="Shapley value"),)),
        ),
        rows=tuple(rows),
    )


def _signed(value: float) -> Cell:
    return tables.measured(words.signed(value), value)
