"""The page of a survey: a verdict, what the data is, what may leak, what looks wrong.

In:  a Survey and its verdict.   Out: one HTML file as text.
Knows nothing of data sets on disk; every number comes from the record.
"""

import math
from collections.abc import Sequence

from moulage.pages import observations, tables, words
from moulage.pages.document import Drawing, render
from moulage.pages.evidence import (
    fault_table,
    faults_of,
    outliers_of,
    pairs_of,
    samples_of,
    suspects_of,
    telltale_table,
)
from moulage.pages.figures.associations import draw_crosstab
from moulage.pages.figures.distributions import (
    draw_ages,
    draw_distribution,
    draw_photographs,
)
from moulage.pages.figures.spreads import draw_colours, draw_spread
from moulage.pages.tables import Cell, Column, Table
from moulage.split import Unit
from moulage.surveying.associations import Spread
from moulage.surveying.exploration import Summary
from moulage.surveying.record import Survey
from moulage.surveying.verdict import Line

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


def survey_page(survey: Survey, verdict: Sequence[Line]) -> str:
    """Return `survey.html`: one file that needs no network."""
    unit = survey.catalogue.unit
    return render(
        "survey.html",
        survey=survey,
        unit=unit,
        lead=_lead(survey),
        verdict=verdict,
        samples=samples_of(survey),
        balance=_balance(survey),
        leakage=observations.leakage(survey.leakage, unit),
        leakage_table=_leakage_table(survey),
        metadata=_metadata(survey),
        summary_table=_summary_table(survey.described.summaries, unit),
        crosstabs=_crosstabs(survey),
        age_spread=_age_spread(survey),
        looks=_looks(survey),
        constants=_constants(survey),
        outliers=outliers_of(survey),
        outlier_sentence=observations.outliers(survey.seen.outliers, survey.seen.n_images),
        pair_sentence=observations.pairs(survey.pairs, unit),
        pairs=pairs_of(survey),
        telltale_sentence=observations.telltales(survey.telltales, unit),
        telltale_table=telltale_table(survey.telltales, unit),
        review_sentence=observations.review(survey.review, survey.not_reviewed),
        suspects=suspects_of(survey),
        fault_table=fault_table(survey.faults),
        faults=faults_of(survey),
    )


def _lead(survey: Survey) -> str:
    catalogue = survey.catalogue
    return (
        f"{words.counted(len(catalogue), 'image')} of "
        f"{words.counted(survey.described.balance.n_lesions, catalogue.unit)}, "
        f"{words.counted(len(catalogue.codes), 'diagnosis', 'diagnoses')}."
    )


def _balance(survey: Survey) -> tuple[Drawing, ...]:
    shown, unit = survey.described.balance, survey.catalogue.unit
    said, often = observations.balance(shown, unit), observations.photographs(shown, unit)
    return (
        Drawing(
            svg=draw_distribution(
                shown.diagnoses, name="diagnoses", title="Diagnoses", description=said, unit=unit
            ),
            caption=f"{said} {_n(survey)}",
        ),
        Drawing(
            svg=draw_photographs(
                shown.photographs, name="photographs", description=often, unit=unit
            ),
            caption=f"{often} n = {words.counted(shown.n_lesions, unit)}.",
        ),
    )


def _metadata(survey: Survey) -> tuple[Drawing, ...]:
    drawings = []
    if len(survey.described.ages.counts):
        said = observations.ages(survey.described.ages)
        drawings.append(
            Drawing(
                svg=draw_ages(survey.described.ages, name="ages", description=said),
                caption=f"{said} {_n(survey)}",
            )
        )
    for column, shown in survey.described.distributions.items():
        is_confirmation = column == "dx_type" and bool(shown.known)
        say = observations.confirmation if is_confirmation else observations.distribution
        drawings.append(
            Drawing(
                svg=draw_distribution(
                    shown,
                    name=column,
                    title=_COLUMN_TITLES[column],
                    description=say(shown),
                    unit=survey.catalogue.unit,
                ),
                caption=f"{_COLUMN_TITLES[column]}. {say(shown)} {_n(survey)}",
            )
        )
    return tuple(drawings)


def _crosstabs(survey: Survey) -> tuple[Drawing, ...]:
    drawings = []
    for place, shown in enumerate(survey.described.crosstabs):
        title = _CROSSTAB_TITLES[shown.row_name, shown.column_name]
        said = observations.crosstab(shown, survey.catalogue.unit)
        drawings.append(
            Drawing(
                svg=draw_crosstab(shown, name=f"crosstab{place}", title=title, description=said),
                caption=f"{title}: images, shaded by their share of the row. {said} {_n(survey)}",
            )
        )
    return tuple(drawings)


def _age_spread(survey: Survey) -> Drawing | None:
    shown = survey.described.age_spread
    if shown is None:
        return None
    said = observations.spread(shown, " years", survey.catalogue.unit)
    svg = draw_spread(
        shown, name="age-spread", title="Age by diagnosis", unit="age (years)", description=said
    )
    return Drawing(svg=svg, caption=f"Age by diagnosis: quartiles, median, whiskers. {said}")


def _looks(survey: Survey) -> tuple[Drawing, ...]:
    varied = [shown for shown in survey.seen.looks if not _is_constant(shown)]
    drawings = [_look(place, shown) for place, shown in enumerate(varied)]
    if survey.seen.colours:
        reddest = max(survey.seen.colours, key=lambda code: _redness(survey.seen.colours[code]))
        said = f"Of all diagnoses, red outweighs green and blue the most in {reddest}."
        drawings.append(
            Drawing(
                svg=draw_colours(survey.seen.colours, name="colours", description=said),
                caption=f"Mean colour of all pixels, levels 0–255. {said}",
            )
        )
    return tuple(drawings)


def _constants(survey: Survey) -> tuple[str, ...]:
    return tuple(
        f"{shown.value_name.capitalize()}: {observations.spread(shown)}"
        for shown in survey.seen.looks
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
    shares, unit = survey.leakage.by_diagnosis, survey.catalogue.unit
    levels = survey.described.balance.diagnoses.levels
    rows = [
        (
            tables.text(diagnosis.code),
            tables.count(level.n_images),
            tables.count(level.n_lesions),
            _share(level.n_images / len(survey.catalogue)),
            _share(shares[diagnosis.code]),
        )
        for diagnosis, level in zip(survey.catalogue.diagnoses, levels, strict=True)
    ]
    return Table(
        caption=f"Images and {unit}s, and what a 60:20:20 split of single images would leak: the "
        f"share of test images with a photograph of their {unit} in training, mean of five seeds.",
        columns=(
            Column(name="diagnosis", is_number=False),
            Column(name="images"),
            Column(name=f"{unit}s"),
            Column(name="share of images"),
            Column(name="would leak"),
        ),
        rows=tuple(rows),
        sums=(
            tables.text("all"),
            tables.count(len(survey.catalogue)),
            tables.count(survey.described.balance.n_lesions),
            _share(1.0),
            _share(survey.leakage.share),
        ),
    )


def _summary_table(summaries: Sequence[Summary], unit: Unit) -> Table:
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
        if one.n_known
    ]
    return Table(
        caption=f"Numerical summary: a row a quantity, over images or, for photographs, {unit}s.",
        columns=(
            Column(name="quantity", is_number=False),
            Column(name="known"),
            Column(name="missing"),
            *(Column(name=name) for name in names),
        ),
        rows=tuple(rows),
    )


def _share(value: float) -> Cell:
    missing = math.isnan(value)
    return Cell(text=words.percent(value), sort=None if missing else value, is_missing=missing)


def _number(value: float) -> Cell:
    if math.isnan(value):
        return tables.measured("—", None)  # the deviation of one
    digits = 0 if float(value).is_integer() else 1 if abs(value) >= 10 else 2
    return tables.measured(f"{value:,.{digits}f}".replace("-", words.MINUS), value)


def _n(survey: Survey) -> str:
    return f"n = {words.counted(len(survey.catalogue), 'image')}."
