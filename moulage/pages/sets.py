"""Sets that hold the truth: how often they do, how large they are, which diagnosis is in all.

In:  a trust record.   Out: tables and a sentence.
Knows nothing of HTML or of how sets are fitted (`evaluation.conformal`).
"""

import math
from collections.abc import Sequence

from moulage.evaluation.examination import Sets
from moulage.evaluation.trust import METHOD
from moulage.pages import tables, words
from moulage.pages.records import TrustRecord
from moulage.pages.tables import Column, Table

METHODS = {"lac": "LAC", "aps": "APS"}


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


def diagnosis_tables(record: TrustRecord) -> list[Table]:
    """Return a table a method: each diagnosis under one quantile for all and under its own."""
    return [_diagnosis_table(record, sets) for sets in record.found.sets if sets.is_by_diagnosis]


def _diagnosis_table(record: TrustRecord, shown: Sets) -> Table:
    marginal = next(
        sets
        for sets in record.found.sets
        if sets.method == shown.method and not sets.is_by_diagnosis
    )
    rows = [
        (
            tables.text(diagnosis.code, note=diagnosis.name),
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
        caption=f"{METHODS[shown.method]} sets by diagnosis: how often they hold the truth, and "
        "their size.",
        columns=(
            Column(name="diagnosis", is_number=False),
            Column(name=f"n {record.leak.unit}s"),
            Column(name="fitted on"),
            *(Column(name=name, group=g) for g in groups for name in ("hold the truth", "size")),
        ),
        rows=tuple(rows),
    )


def always_sentence(record: TrustRecord) -> str:
    """Name the diagnoses that are in every set, for want of lesions to fit on; "" for none."""
    always = shown_of(record.found.sets).always
    if not always:
        return ""
    counts, unit = record.trust.fitted().n_lesions, record.leak.unit
    said = words.listed(f"{code} ({words.counted(counts[code], unit)})" for code in always)
    return (
        f"Too few {unit}s to fit a set on: {said}. "
        f"{'It is' if len(always) == 1 else 'They are'} in every set by diagnosis."
    )


def shown_of(sets: Sequence[Sets]) -> Sets:
    """Return the kind of set that `predict` shows."""
    return next(one for one in sets if _is_shown(one))


def _is_shown(sets: Sets) -> bool:
    return sets.method == METHOD and sets.is_by_diagnosis


def _set_name(sets: Sets) -> str:
    return f"{METHODS[sets.method]}, {'by diagnosis' if sets.is_by_diagnosis else 'marginal'}"


def _size(mean: float) -> str:
    return words.NOT_DEFINED if math.isnan(mean) else f"{mean:.2f}"
