"""The page of a survey: a verdict, what the data is, what may leak, what looks wrong.

In:  a Survey and its verdict.   Out: one HTML file as text.
Knows nothing of data sets on disk; every number comes from the record.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.pages import observations, tables, words
from moulage.pages.document import Drawing, render
from moulage.pages.figures.associations import draw_crosstab
from moulage.pages.figures.distributions import (
    draw_ages,
    draw_distribution,
    draw_photographs,
)
from moulage.pages.figures.spreads import draw_colours, draw_spread
from moulage.pages.mistakes import data_uri
from moulage.pages.tables import Cell, Column, Table
from moulage.survey.associations import Spread
from moulage.survey.exploration import Summary
from moulage.survey.faults import KINDS, Fault, count_faults
from moulage.survey.record import Survey
from moulage.survey.telltales import Telltale
from moulage.survey.verdict import Line

_COLUMN_TITLES = {
    "sex": "Sex",
    "localization": "Localization",
    "dx_type": "How the diagnosis was confirmed",
}
_CROSSTAB_TITLES = {
    ("localization", "sex"): "Localization by sex",
    ("localization", "diagnosis"): "Localization by diagnosis",
    ("diagnosis", "sex"): "Diagnosis by sex",
}
_KINDS = {"metadata": "metadata", "file": "file", "border": "picture’s border"}
_MOST_PICTURES, _MOST_FAULTS = 20, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A thumbnail (no source where the file cannot be read), what it is, lines below it."""

    source: str
    alt: str
    code: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The samples of one diagnosis."""

    code: str
    name: str
    pictures: tuple[Picture, ...]


def survey_page(survey: Survey, verdict: Sequence[Line]) -> str:
    """Return `survey.html`: one file that needs no network."""
    return render(
        "survey.html",
        survey=survey,
        lead=_lead(survey),
        verdict=verdict,
        samples=_samples(survey),
        balance=_balance(survey),
        leakage=observations.leakage(survey.leakage),
        leakage_table=_leakage_table(survey),
        metadata=_metadata(survey),
        summary_table=_summary_table(survey.summaries),
        crosstabs=_crosstabs(survey),
        age_spread=_age_spread(survey),
        looks=_looks(survey),
        constants=_constants(survey),
        outliers=_outliers(survey),
        outlier_sentence=observations.outliers(survey.outliers, survey.n_read),
        pair_sentence=observations.pairs(survey.pairs),
        pairs=_pairs(survey),
        telltale_sentence=observations.telltales(survey.telltales),
        telltale_table=_telltale_table(survey.telltales),
        review_sentence=observations.review(survey.review, survey.not_reviewed),
        suspects=_suspects(survey),
        fault_table=_fault_table(survey.faults),
        faults=_faults(survey),
    )


def _lead(survey: Survey) -> str:
    catalogue = survey.catalogue
    return (
        f"{words.counted(len(catalogue), 'image')} of "
        f"{words.counted(survey.balance.n_lesions, 'lesion')}, "
        f"{words.counted(len(catalogue.codes), 'diagnosis', 'diagnoses')}."
    )


def _samples(survey: Survey) -> tuple[Row, ...]:
    ids = survey.catalogue.image_ids
    return tuple(
        Row(
            code=diagnosis.code,
            name=diagnosis.name,
            pictures=tuple(
                _picture(survey, row, alt=f"{diagnosis.name}, image {ids[row]}")
                for row in survey.samples.get(diagnosis.code, ())
            ),
        )
        for diagnosis in survey.catalogue.diagnoses
    )


def _balance(survey: Survey) -> tuple[Drawing, ...]:
    said, often = observations.balance(survey.balance), observations.photographs(survey.balance)
    return (
        Drawing(
            svg=draw_distribution(
                survey.balance.diagnoses, name="diagnoses", title="Diagnoses", description=said
            ),
            caption=f"{said} {_n(survey)}",
        ),
        Drawing(
            svg=draw_photographs(survey.balance.photographs, name="photographs", description=often),
            caption=f"{often} n = {words.counted(survey.balance.n_lesions, 'lesion')}.",
        ),
    )


def _metadata(survey: Survey) -> tuple[Drawing, ...]:
    drawings = []
    if len(survey.ages.counts):
        said = observations.ages(survey.ages)
        drawings.append(
            Drawing(
                svg=draw_ages(survey.ages, name="ages", description=said),
                caption=f"{said} {_n(survey)}",
            )
        )
    for column, shown in survey.distributions.items():
        is_confirmation = column == "dx_type" and bool(shown.known)
        say = observations.confirmation if is_confirmation else observations.distribution
        drawings.append(
            Drawing(
                svg=draw_distribution(
                    shown, name=column, title=_COLUMN_TITLES[column], description=say(shown)
                ),
                caption=f"{_COLUMN_TITLES[column]}. {say(shown)} {_n(survey)}",
            )
        )
    return tuple(drawings)


def _crosstabs(survey: Survey) -> tuple[Drawing, ...]:
    drawings = []
    for place, shown in enumerate(survey.crosstabs):
        title = _CROSSTAB_TITLES[shown.row_name, shown.column_name]
        said = observations.crosstab(shown)
        drawings.append(
            Drawing(
                svg=draw_crosstab(shown, name=f"crosstab{place}", title=title, description=said),
                caption=f"{title}: images, shaded by their share of the row. {said} {_n(survey)}",
            )
        )
    return tuple(drawings)


def _age_spread(survey: Survey) -> Drawing | None:
    if survey.age_spread is None:
        return None
    said = observations.spread(survey.age_spread, " years")
    return Drawing(
        svg=draw_spread(
            survey.age_spread, name="age-spread", title="Age by diagnosis", unit="age (years)",
            description=said,
        ),
        caption=f"Age by diagnosis: quartiles, median, whiskers. {said}",
    )  # fmt: skip


def _looks(survey: Survey) -> tuple[Drawing, ...]:
    varied = [shown for shown in survey.looks if not _is_constant(shown)]
    drawings = [_look(place, shown) for place, shown in enumerate(varied)]
    if survey.colours:
        reddest = max(survey.colours, key=lambda code: _redness(survey.colours[code]))
        said = f"Of all diagnoses, red outweighs green and blue the most in {reddest}."
        drawings.append(
            Drawing(
                svg=draw_colours(survey.colours, name="colours", description=said),
                caption=f"Mean colour of all pixels, levels 0–255. {said}",
            )
        )
    return tuple(drawings)


def _constants(survey: Survey) -> tuple[str, ...]:
    return tuple(
        f"{_title(shown)}: {observations.spread(shown)}"
        for shown in survey.looks
        if _is_constant(shown)
    )


def _is_constant(shown: Spread) -> bool:
    return len({value for box in shown.boxes if box.n for value in (box.low, box.high)}) < 2


def _title(shown: Spread) -> str:
    return shown.value_name.partition(" (")[0].capitalize()


def _look(place: int, shown: Spread) -> Drawing:
    said, title = observations.spread(shown), _title(shown)
    n_images = sum(box.n for box in shown.boxes)
    return Drawing(
        svg=draw_spread(
            shown, name=f"look{place}", title=title, unit=shown.value_name, description=said
        ),
        caption=f"{title}. {said} n = {words.counted(n_images, 'image')}.",
    )


def _redness(colour: tuple[float, float, float]) -> float:
    red, green, blue = colour
    return red - (green + blue) / 2


def _leakage_table(survey: Survey) -> Table | None:
    if survey.leakage is None:
        return None
    shares = survey.leakage.by_diagnosis
    levels = survey.balance.diagnoses.levels
    rows = [
        (
            tables.text(diagnosis.code, note=diagnosis.name),
            tables.count(level.n_images),
            tables.count(level.n_lesions),
            _share(level.n_images / len(survey.catalogue)),
            _share(shares[diagnosis.code]),
        )
        for diagnosis, level in zip(survey.catalogue.diagnoses, levels, strict=True)
    ]
    return Table(
        caption="Images and lesions, and what a 60:20:20 split of single images would leak: the "
        "share of test images with a photograph of their lesion in training, mean of five seeds.",
        columns=(
            Column(name="diagnosis", is_number=False),
            Column(name="images"),
            Column(name="lesions"),
            Column(name="share of images"),
            Column(name="would leak"),
        ),
        rows=tuple(rows),
        sums=(
            tables.text("all"),
            tables.count(len(survey.catalogue)),
            tables.count(survey.balance.n_lesions),
            _share(1.0),
            _share(survey.leakage.share),
        ),
    )


def _summary_table(summaries: Sequence[Summary]) -> Table:
    names = ("mean", "deviation", "least", "first quartile", "median", "third quartile", "most")
    rows = [
        (
            tables.text(one.name),
            tables.count(one.n_known),
            tables.count(one.n_missing),
            *(
                _number(value)
                for value in (one.mean, one.deviation, one.least, *one.quartiles, one.most)
            ),
        )
        for one in summaries
    ]
    return Table(
        caption="Numerical summary: a row a quantity, over images or, for photographs, lesions.",
        columns=(
            Column(name="quantity", is_number=False),
            Column(name="known"),
            Column(name="missing"),
            *(Column(name=name) for name in names),
        ),
        rows=tuple(rows),
    )


def _telltale_table(shown: Sequence[Telltale]) -> Table | None:
    if not shown:
        return None
    return Table(
        caption="How well each column alone predicts the diagnosis of lesions that were not "
        "counted: macro AUROC over five folds of whole lesions; chance is the mean ± deviation "
        "of 99 shuffles; p is one-sided, after Holm’s correction.",
        columns=(
            Column(name="column", is_number=False),
            Column(name="kind", is_number=False),
            Column(name="levels"),
            Column(name="macro AUROC"),
            Column(name="chance", is_number=False),
            Column(name="p"),
            Column(name="tells best", is_number=False),
            Column(name="its AUROC"),
            Column(name="known before the diagnosis", is_number=False),
        ),
        rows=tuple(_telltale_row(one) for one in shown),
    )


def _telltale_row(one: Telltale) -> tuple[Cell, ...]:
    is_told = not math.isnan(one.auroc)
    mean, deviation = one.chance
    after = "no" if one.kind == "metadata" and one.known_after else "yes"
    return (
        tables.text(one.name),
        tables.text(_KINDS[one.kind]),
        tables.count(one.n_levels),
        tables.score(one.auroc) if is_told else tables.measured("one value", None),
        tables.text(f"{mean:.3f} ± {deviation:.3f}" if is_told else ""),
        tables.measured(words.p_value(one.p_family) if is_told else "", one.p_family),
        tables.text(one.best if is_told else ""),
        tables.score(one.best_auroc) if is_told else tables.measured("", None),
        tables.text(after, note=one.known_after if after == "no" else ""),
    )


def _fault_table(shown: Sequence[Fault]) -> Table | None:
    if not shown:
        return None
    return Table(
        caption="Files with a fault.",
        columns=(Column(name="images that …", is_number=False), Column(name="number")),
        rows=tuple(
            (tables.text(KINDS[kind]), tables.count(count))
            for kind, count in count_faults(shown).items()
        ),
    )


def _outliers(survey: Survey) -> tuple[Picture, ...]:
    ids = survey.catalogue.image_ids
    return tuple(
        _picture(
            survey,
            one.row,
            alt=f"{ids[one.row]}, an outlier in {one.measure}",
            lines=(
                f"{one.measure} {one.value:.1f}",
                _side(one.deviations),
            ),
        )
        for one in survey.outliers
    )  # fmt: skip


def _side(deviations: float) -> str:
    return f"{abs(deviations):.1f} deviations {'above' if deviations > 0 else 'below'}"


def _pairs(survey: Survey) -> tuple[tuple[Picture, Picture, str], ...]:
    """Return both pictures of each pair, and in words how certain it is."""
    return tuple(
        (
            _picture(survey, pair.row, alt=pair.image_id, lines=(_lesion(survey, pair.row),)),
            _picture(
                survey, pair.other_row, alt=pair.other_id, lines=(_lesion(survey, pair.other_row),)
            ),
            f"{pair.evidence}, certainty {words.score(pair.certainty)}",
        )
        for pair in survey.pairs[:_MOST_PICTURES]
    )


def _lesion(survey: Survey, row: int) -> str:
    frame = survey.catalogue.frame
    return f"{frame['lesion_id'].iat[row]}, {frame['diagnosis'].iat[row]}"


def _suspects(survey: Survey) -> tuple[Picture, ...]:
    if survey.review is None:
        return ()
    return tuple(
        _picture(
            survey,
            one.rows[0],
            alt=f"{one.lesion_id}: given {one.given}, suggested {one.suggested}",
            code=one.lesion_id,
            lines=(
                f"given {one.given} ({words.score(one.given_probability)})",
                f"suggested {one.suggested} ({words.score(one.suggested_probability)})",
            ),
        )
        for one in survey.review.suspects[:_MOST_PICTURES]
    )


def _faults(survey: Survey) -> tuple[Picture, ...]:
    return tuple(
        _picture(survey, one.row, alt=f"{one.image_id}: {one.detail}", lines=(one.kind, one.detail))
        for one in survey.faults[:_MOST_FAULTS]
    )


def _picture(
    survey: Survey, row: int, *, alt: str, code: str = "", lines: tuple[str, ...] = ()
) -> Picture:
    thumbnail: NDArray[np.uint8] | None = survey.thumbnails.get(row)
    return Picture(
        source="" if thumbnail is None else data_uri(thumbnail),
        alt=alt,
        code=code or str(survey.catalogue.image_ids[row]),
        lines=lines,
    )


def _share(value: float) -> Cell:
    missing = math.isnan(value)
    return Cell(text=words.percent(value), sort=None if missing else value, is_missing=missing)


def _number(value: float) -> Cell:
    if math.isnan(value):
        return tables.measured(words.NOT_DEFINED, None)
    digits = 0 if float(value).is_integer() else 1 if abs(value) >= 10 else 2
    return tables.measured(f"{value:,.{digits}f}".replace("-", words.MINUS), value)


def _n(survey: Survey) -> str:
    return f"n = {words.counted(len(survey.catalogue), 'image')}."
