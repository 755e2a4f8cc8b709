"""Which experiment beats which: matrices of pairs, and the details below them.

In:  the standing of a study.   Out: tables.
Knows nothing of HTML and of how anything was tested.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from moulage.evaluation.comparison import Difference
from moulage.evaluation.intervals import Interval
from moulage.evaluation.lesions import WHY_NONE
from moulage.pages import prose, tables, words
from moulage.pages.results import ACCURACY, BALANCED, Measure
from moulage.pages.standing import TESTED, Leak, Pair, Standing, Treated, Tuned
from moulage.pages.tables import Cell, Column, Table
from moulage.split import Unit

_KINDS = {
    "image": "split by photograph",
    "leaky": "test images inside training",
}
_NOTHING = tables.text("—")


def matrices(names: Sequence[str], standing: Standing) -> list[Table]:
    """Return a matrix a tested measure: the row's classifier minus the column's."""
    return [
        _matrix(names, measure, [pair for pair in standing.pairs if pair.measure == measure])
        for measure in TESTED
        if any(pair.measure == measure for pair in standing.pairs)
    ]


def _matrix(names: Sequence[str], measure: Measure, pairs: Sequence[Pair]) -> Table:
    found = {(p.difference.first, p.difference.second): p.difference for p in pairs}
    return Table(
        caption=f"Row minus column in {measure.named}, over the seeds that both have: better or "
        "worse where the difference is beyond chance after Holm’s correction over all pairs, = "
        "where no difference was shown.",
        columns=(
            Column(name="experiment", is_number=False),
            *(Column(name=name) for name in names),
        ),
        rows=tuple(
            (tables.text(row), *(_matrix_cell(found, row, column) for column in names))
            for row in names
        ),
    )


def _matrix_cell(found: Mapping[tuple[str, str], Difference], row: str, column: str) -> Cell:
    if (row, column) in found:
        return _verdict_cell(found[row, column], sign=1)
    if (column, row) in found:
        return _verdict_cell(found[column, row], sign=-1)
    return _NOTHING if row == column else tables.text("no run in common")


def _verdict_cell(difference: Difference, *, sign: int) -> Cell:
    value = sign * difference.interval.value
    return Cell(
        text=f"{_short(difference, sign)} {words.signed(value + 0.0)}",
        sort=value,
        note=f"p {_p(difference)}",
    )


def _p(difference: Difference) -> str:
    """Write the corrected p value; as a bound where no permutation differed as much."""
    said = words.p_value(difference.p_family)
    return f"≤ {said}" if difference.is_least and not said.startswith("<") else said


def _short(difference: Difference, sign: int) -> str:
    if difference.verdict not in ("better", "worse"):
        return "="
    return "better" if (difference.verdict == "better") == (sign > 0) else "worse"


def pair_table(pairs: Sequence[Pair]) -> Table:
    """Return every pair with interval, tests and verdict; no exact test where ids are groups'."""
    unit = _unit(pair.difference for pair in pairs)
    is_by_lesion = unit == "lesion"
    exact = (
        "Exact test, a run: McNemar beside accuracy, DeLong’s test of melanoma’s AUROC beside "
        "balanced accuracy, both on lesions, uncorrected."
        if is_by_lesion
        else f"No exact test: {WHY_NONE[0].lower()}{WHY_NONE[1:]}"
    )
    return Table(
        caption=f"Experiments held against each other on the same test {unit}s, over the seeds "
        f"that both have: first minus second. p: by permutation of {unit}s, after Holm’s "
        f"correction; ≤ where no permutation differed as much. {exact}",
        columns=(
            Column(name="first", is_number=False),
            Column(name="second", is_number=False),
            Column(name="score", is_number=False),
            Column(name="difference"),
            Column(name="interval"),
            Column(name="p"),
            *([Column(name="exact test p")] if is_by_lesion else []),
            Column(name="verdict", is_number=False),
        ),
        rows=tuple(
            (
                tables.text(pair.difference.first),
                tables.text(pair.difference.second),
                tables.text(pair.measure.named),
                *_difference_cells(pair.difference),
                *([_exact_cell(pair.exact)] if is_by_lesion else []),
                tables.text(pair.difference.verdict),
            )
            for pair in pairs
        ),
    )


def _unit(found: Iterable[Difference]) -> Unit:
    return next((difference.unit for difference in found), "lesion")


def _difference_cells(difference: Difference) -> tuple[Cell, Cell, Cell]:
    interval = difference.interval
    return (
        tables.measured(words.signed(interval.value), interval.value),
        tables.measured(words.between(interval.low, interval.high), interval.high - interval.low),
        tables.measured(_p(difference), difference.p_family),
    )


def _exact_cell(p_values: tuple[float, ...]) -> Cell:
    defined = [p for p in p_values if not math.isnan(p)]
    if not defined:
        return tables.measured(words.NOT_MEASURED, None)
    ends = list(dict.fromkeys(words.p_value(end) for end in (min(defined), max(defined))))
    return tables.measured(" to ".join(ends), max(defined))


def treatment_table(standing: Standing) -> Table:
    """Return treatments under both rules, each against none under the balanced rule."""
    return Table(
        caption="Each treatment of imbalance under each rule. The difference is in balanced "
        f"accuracy{_on(standing)}, against no treatment at all under the balanced rule, "
        "over the seeds that both have; p after Holm’s correction over the rows.",
        columns=(
            Column(name="treatment", is_number=False),
            Column(name="rule", is_number=False),
            Column(name="accuracy"),
            Column(name="balanced accuracy"),
            Column(name="difference"),
            Column(name="p"),
            Column(name="verdict", is_number=False),
        ),
        rows=tuple(_treatment_row(one, standing) for one in standing.treated),
    )


def _on(standing: Standing) -> str:
    """Say on how many lesions or groups, where all rows stand on as many."""
    counts = {one.difference.n_lesions for one in standing.treated if one.difference}
    return f" on {words.counted(counts.pop(), standing.unit)}" if len(counts) == 1 else ""


def _treatment_row(one: Treated, standing: Standing) -> tuple[Cell, ...]:
    found = standing.spreads[one.experiment, one.rule]
    scores = [tables.interval(found[m.metric].interval) for m in (ACCURACY, BALANCED)]
    said = "" if one.treatment == one.experiment else one.treatment
    head = (tables.text(one.experiment, note=said), tables.text(one.rule), *scores)
    if one.difference is None:
        said = "the reference" if one.is_reference else "no run in common"
        return (*head, _NOTHING, _NOTHING, tables.text(said))
    interval = one.difference.interval
    return (
        *head,
        Cell(
            text=words.signed(interval.value),
            sort=interval.value,
            note=words.between(interval.low, interval.high),
        ),
        tables.measured(_p(one.difference), one.difference.p_family),
        tables.text(one.difference.verdict.partition(" on ")[0]),
    )


def tuned_table(tuned: Sequence[Tuned], kept: Mapping[str, str], untuned: Sequence[str]) -> Table:
    """Return what the phases after the first bought; nothing of what kept the first's weights.

    kept: experiment -> phase and epoch of the weights that its runs kept.
    """
    return Table(
        caption="What the phases after the first bought: kept weights minus the end of the first "
        f"phase, on the same test {_unit(one.difference for one in tuned)}s; p after Holm’s "
        "correction over the experiments.",
        columns=(
            Column(name="experiment", is_number=False),
            Column(name="kept", is_number=False),
            Column(name="score", is_number=False),
            Column(name="difference"),
            Column(name="interval"),
            Column(name="p"),
            Column(name="verdict", is_number=False),
        ),
        rows=(
            *(
                (
                    tables.text(one.experiment),
                    tables.text(kept.get(one.experiment, "")),
                    tables.text(one.measure.named),
                    *_difference_cells(one.difference),
                    tables.text(one.difference.verdict),
                )
                for one in tuned
            ),
            *(
                (
                    tables.text(name),
                    tables.text(kept.get(name, "")),
                    *[_NOTHING] * 4,
                    tables.text(prose.NOT_TUNED),
                )
                for name in untuned
            ),
        ),
    )


def leak_table(leaks: Sequence[Leak]) -> Table:
    """Return how many points each leak buys; a point is a hundredth."""
    return Table(
        caption="What each leak buys, in points (hundredths): dishonest minus honest, with 95 % "
        "interval. Where both were tested on the same images the interval is paired. A split by "
        "photograph tests other images, so its interval is unpaired: that of two independent test "
        "parts, which is too wide rather than too narrow.",
        columns=(
            Column(name="leak", is_number=False),
            Column(name="score", is_number=False),
            Column(name="points"),
            Column(name="interval"),
            Column(name="test images", is_number=False),
        ),
        rows=tuple(
            (
                tables.text(leak.experiment, note=_KINDS.get(leak.kind, leak.kind)),
                tables.text(leak.measure.named),
                tables.measured(words.points(leak.interval.value), leak.interval.value),
                _points_between(leak.interval),
                tables.text("the same, paired" if leak.is_paired else "others, unpaired"),
            )
            for leak in leaks
        ),
    )


def _points_between(found: Interval) -> Cell:
    return tables.measured(words.points_between(found.low, found.high), found.high - found.low)
