"""What a reader of a survey must see with their own eyes: pictures, and tables of telltales.

In:  a Survey.   Out: pictures with lines below them, tables.
Knows nothing of HTML, figures or sentences.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.pages import tables, words
from moulage.pages.mistakes import data_uri
from moulage.pages.tables import Cell, Column, Table
from moulage.split import Unit
from moulage.surveying.faults import KINDS, Fault, count_faults
from moulage.surveying.record import MOST_FAULTS, MOST_PAIRS, MOST_SUSPECTS, Survey
from moulage.surveying.telltales import Telltale

_KINDS = {"metadata": "metadata", "file": "file", "border": "picture’s border"}


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


def samples_of(survey: Survey) -> tuple[Row, ...]:
    """Return the samples of each diagnosis."""
    ids = survey.catalogue.image_ids
    return tuple(
        Row(
            code=diagnosis.code,
            name=diagnosis.name,
            pictures=tuple(
                _picture(survey, row, alt=f"{diagnosis.name}, image {ids[row]}")
                for row in survey.seen.samples.get(diagnosis.code, ())
            ),
        )
        for diagnosis in survey.catalogue.diagnoses
    )


def outliers_of(survey: Survey) -> tuple[Picture, ...]:
    """Return the outliers, how far they lie from the median."""
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
        for one in survey.seen.outliers
    )  # fmt: skip


def _side(deviations: float) -> str:
    return f"{abs(deviations):.1f} deviations {'above' if deviations > 0 else 'below'}"


def pairs_of(survey: Survey) -> tuple[tuple[Picture, Picture, str], ...]:
    """Return both pictures of each pair, and in words how certain it is."""
    return tuple(
        (
            _picture(survey, pair.row, alt=pair.image_id, lines=(_lesion(survey, pair.row),)),
            _picture(
                survey, pair.other_row, alt=pair.other_id, lines=(_lesion(survey, pair.other_row),)
            ),
            f"{pair.evidence}, certainty {words.score(pair.certainty)}"
            + (f"; tied by {pair.tied_by}" if pair.tied_by else ""),
        )
        for pair in survey.pairs[:MOST_PAIRS]
    )


def _lesion(survey: Survey, row: int) -> str:
    frame = survey.catalogue.frame
    return f"{frame['lesion_id'].iat[row]}, {frame['diagnosis'].iat[row]}"


def suspects_of(survey: Survey) -> tuple[Picture, ...]:
    """Return the lesions, or images, whose label looks wrong, the most suspicious first."""
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
        for one in survey.review.suspects[:MOST_SUSPECTS]
    )


def faults_of(survey: Survey) -> tuple[Picture, ...]:
    """Return the first files with a fault."""
    return tuple(
        _picture(survey, one.row, alt=f"{one.image_id}: {one.detail}", lines=(one.kind, one.detail))
        for one in survey.faults[:MOST_FAULTS]
    )


def telltale_table(shown: Sequence[Telltale], unit: Unit = "lesion") -> Table | None:
    """Return every column, the strongest first."""
    if not shown:
        return None
    return Table(
        caption=f"How well each column alone predicts the diagnosis of {unit}s that were not "
        f"counted: macro AUROC over five folds of whole {unit}s; chance is the mean ± deviation "
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
            Column(name="known before", is_number=False),
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
        tables.text(after),
    )


def fault_table(shown: Sequence[Fault]) -> Table | None:
    """Return the number of images a kind of fault; None where there is none."""
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
