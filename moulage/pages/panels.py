"""For whom a classifier fails: a panel a column of the catalogue, its groups and their gaps.

In:  a trust record.   Out: panels, sentences on gaps.
Knows nothing of HTML; every number comes from `evaluation.subgroups`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from moulage.evaluation.examination import Examination
from moulage.evaluation.subgroups import FEW, Gap, Subgroup
from moulage.evaluation.trust import SENSITIVITY
from moulage.pages import tables, words
from moulage.pages.document import Drawing
from moulage.pages.figures.forest import Stretch, draw_forest
from moulage.pages.records import TrustRecord
from moulage.pages.tables import Column, Table

COLUMNS = {
    "age": "Age",
    "sex": "Sex",
    "localization": "Localization",
    "dx_type": "How the diagnosis was confirmed",
}
_WAYS = {"histo": "histopathology", "follow_up": "follow-up", "confocal": "confocal microscopy"}
_METRICS = {
    "accuracy": "accuracy (natural rule)",
    "log_loss": "log loss",
    "auroc_malignant": "AUROC, malignant",
    "sensitivity_malignant": "sensitivity, malignant",
    "specificity_malignant": "specificity, malignant",
    "answered": "answered",
    "risk_answered": "risk of those",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One column of the catalogue: its subgroups as a figure and a table, and their gaps."""

    title: str
    figure: Drawing
    table: Table
    gaps: tuple[str, ...]


def spelt(name: str) -> str:
    """Write a subgroup's name out where the data set has a code for it.

    >>> spelt("histo"), spelt("lower extremity")
    ('histopathology', 'lower extremity')
    """
    return _WAYS.get(name, name)


def panel_of(record: TrustRecord, name: str) -> Panel:
    """Return the panel of one column, the groups in the order measured."""
    groups, title, unit = record.found.subgroups[name], COLUMNS[name], record.leak.unit
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
        name=f"{spelt(group.name)} ({words.count(group.n_lesions)})",
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
            tables.text(spelt(group.name), note=f"under {FEW} {unit}s" if group.is_small else ""),
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
        f"{_METRICS[found.metric][0].upper()}{_METRICS[found.metric][1:]}: best "
        f"{spelt(found.best)}, worst {spelt(found.worst)}, {words.signed(interval.value)} "
        f"({words.bounds(interval.low, interval.high)}), {verdict}."
    )
