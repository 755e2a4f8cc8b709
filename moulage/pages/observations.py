"""What each figure of a survey shows, in sentences written from its numbers.

In:  the records of `moulage.surveying`.   Out: sentences, which figures also have as their
alternative text.
Knows nothing of HTML.
"""

import math
from collections.abc import Sequence

import numpy as np

from moulage.covariates import is_known
from moulage.evaluation.lesions import WHY_NONE
from moulage.pages import words
from moulage.split import Unit
from moulage.surveying.appearance import EXTREME, Outlier
from moulage.surveying.associations import Box, Crosstab, Inference, Spread
from moulage.surveying.duplicates import Pair
from moulage.surveying.exploration import BIN_YEARS, Ages, Balance, Distribution, Level
from moulage.surveying.groups import Leakage
from moulage.surveying.labels import ODDS, Review
from moulage.surveying.record import MOST_SUSPECTS
from moulage.surveying.telltales import Telltale

NOUNS = {"localization": "site", "sex": "sex", "diagnosis": "diagnosis", "dx_type": "confirmation"}
_MOST_NAMED = 4


def balance(shown: Balance, unit: Unit = "lesion") -> str:
    """Say which diagnosis is the most and the least common, and how unequal they are."""
    levels = sorted(shown.diagnoses.levels, key=lambda level: -level.n_images)
    most, least = levels[0], levels[-1]
    if len(levels) == 1:
        if most.n_images == 1:
            return f"The only image shows {most.name}."
        return f"All {_images(most.n_images)} have one diagnosis, {most.name}."
    if most.n_images == least.n_images:
        return f"Each of {words.count(len(levels))} diagnoses has {_images(most.n_images)}."
    return (
        f"The most common diagnosis is {_with_share(most, shown.diagnoses)}, the least common "
        f"{_with_share(least, shown.diagnoses)}: {shown.ratio:.1f} images of the one for each of "
        f"the other, and {most.n_lesions / max(1, least.n_lesions):.1f} {unit}s."
    )


def photographs(shown: Balance, unit: Unit = "lesion") -> str:
    """Say how many lesions or groups have several photographs."""
    n_lesions = words.counted(shown.n_lesions, unit)
    if shown.n_lesions == 1:
        return f"The only {unit} has {words.counted(max(shown.photographs), 'photograph')}."
    if not shown.n_with_several:
        return f"Each of {n_lesions} has one photograph."
    return (
        f"{words.count(shown.n_with_several)} of {n_lesions} "
        f"({words.percent(shown.n_with_several / shown.n_lesions)}) have more than one "
        f"photograph, {max(shown.photographs)} at most."
    )


def leakage(shown: Leakage | None, unit: Unit = "lesion") -> str:
    """Say what a split of single images would leak."""
    if shown is None:
        return "There are too few images to split."
    said = (
        f"Split 60:20:20 by image instead of by {unit}, "
        f"{words.percent(shown.share)} of the test images would show a {unit} that was trained "
        "on (mean of five seeds)"
    )
    worst = max(shown.by_diagnosis, key=lambda code: _or_zero(shown.by_diagnosis[code]))
    if not _or_zero(shown.by_diagnosis[worst]):
        return f"{said}."
    return f"{said}; of {worst} it would be {words.percent(shown.by_diagnosis[worst])}."


def ages(shown: Ages) -> str:
    """Say which ages are the most and the least frequent, and how many were filled in."""
    if not len(shown.counts):
        return "No image has an age."
    occupied = np.flatnonzero(shown.counts)
    rarest = occupied[int(shown.counts[occupied].argmin())]
    said = (
        f"Most images, {words.count(int(shown.counts.max()))}, are of patients aged "
        f"{_years(shown.most_frequent)}"
    )
    if len(occupied) > 1:
        said += (
            f"; fewest, {words.count(int(shown.counts[rarest]))}, of those aged "
            f"{_years(int(shown.starts[rarest]))}"
        )
    said += f". The mean is {shown.mean:.1f} years."
    if shown.n_filled:
        said += (
            f" {words.counted(shown.n_filled, 'missing age')} "
            f"{'stands' if shown.n_filled == 1 else 'stand'} at the mean, in this figure only."
        )
    return said


def distribution(shown: Distribution) -> str:
    """Say which words are the most and the least frequent, and how many say nothing."""
    noun, known = NOUNS.get(shown.column, shown.column), shown.known
    if not known:
        return f"No image has a {noun}."
    first, *others = sorted(known, key=lambda level: -level.n_images)
    said = f"The most frequent {noun} is {_with_share(first, shown)}"
    if others:
        last = others[-1]
        word = "the other is" if len(others) == 1 else "the least frequent is"
        said += f"; {word} {_with_share(last, shown)}"
    unsaid = sum(level.n_images for level in shown.levels) - sum(one.n_images for one in known)
    verb = "does" if unsaid == 1 else "do"
    return f"{said}. {_images(unsaid)} {verb} not say." if unsaid else f"{said}."


def confirmation(shown: Distribution) -> str:
    """Say how the diagnoses were confirmed; the two most frequent ways together."""
    first, *others = sorted(shown.known, key=lambda level: -level.n_images)
    said = f"{_with_share(first, shown)} is the most frequent way of confirmation"
    if not others:
        return f"{said}."
    both = shown.share(first) + shown.share(others[0])
    return f"{said}; with {_with_share(others[0], shown)} it makes up {words.percent(both)}."


def crosstab(shown: Crosstab, unit: Unit = "lesion") -> str:
    """Say which column word leads overall, in which rows another leads, and how sure that is."""
    row_noun, column_noun = (NOUNS.get(n, n) for n in (shown.row_name, shown.column_name))
    rows = np.flatnonzero(is_known(np.array(shown.rows))).tolist()
    columns = np.flatnonzero(is_known(np.array(shown.columns))).tolist()
    if not rows or not columns:
        return "Nothing is known to hold against each other."
    overall = max(columns, key=lambda column: int(shown.counts[:, column].sum()))
    said = f"Overall the most frequent {column_noun} is {shown.columns[overall]}"
    leaders = {row: max(columns, key=lambda column: int(shown.counts[row, column])) for row in rows}
    others = {
        row: leader
        for row, leader in leaders.items()
        if shown.counts[row, leader] > shown.counts[row, overall]
    }
    led = [row for row in rows if row not in others]
    if led:
        most = max(led, key=lambda row: int(shown.counts[row, overall]))
        n_images = words.count(int(shown.counts[most, overall]))
        said += (
            f", with the most images for the {row_noun} {shown.rows[most]} "
            f"({n_images} of {words.count(int(shown.counts[most].sum()))})"
        )
    exceptions = [
        f"{shown.columns[leader]} for {shown.rows[row]} "
        f"({words.percent(float(shown.shares[row, leader]))})"
        for row, leader in others.items()
    ]
    if not exceptions:
        return f"{said}; it is so for every {row_noun}. {inference(shown.test, unit)}"
    more = len(exceptions) - _MOST_NAMED
    named = words.listed([*exceptions[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])])
    return f"{said}; but it is {named}. {inference(shown.test, unit)}"


def inference(shown: Inference, unit: Unit = "lesion") -> str:
    """Say an effect, its test and on how many lesions or groups it was made."""
    if math.isnan(shown.p_value):
        return f"There is nothing to test: too few {unit}s or words are known."
    p = words.p_value(shown.p_family)
    p = p if p.startswith("<") else f"= {p}"
    return (
        f"On {words.counted(shown.n_lesions, unit)}, {shown.effect_name} = "
        f"{words.score(shown.effect)} ({shown.name}, p {p} after Holm’s correction)."
    )


def spread(shown: Spread, unit: str = "", groups: Unit = "lesion") -> str:
    """Say which diagnosis has the highest and which the lowest median."""
    boxes = [box for box in shown.boxes if box.n]
    if not boxes:
        return "No image has this value."
    highest, lowest = (
        max(boxes, key=lambda box: box.median),
        min(boxes, key=lambda box: box.median),
    )
    if len({value for box in boxes for value in (box.low, box.high)}) == 1:
        said = f"{_number(highest.median)}{unit} in all but a few images."
    elif highest.median == lowest.median:
        said = f"The median is {_number(highest.median)}{unit} for every diagnosis."
    else:
        said = (
            f"The median is highest for {highest.name} ({_number(highest.median)}{unit}) and "
            f"lowest for {_lowest(boxes, lowest)} ({_number(lowest.median)}{unit})."
        )
    return said if shown.test is None else f"{said} {inference(shown.test, groups)}"


def outliers(shown: Sequence[Outlier], n_images: int) -> str:
    """Say how far the outliers lie from the others."""
    if n_images < 2:
        return "There are no others to lie far from."
    if not shown:
        return (
            f"None of {_images(n_images)} lies more than {EXTREME:g} robust deviations from the "
            "median in brightness, contrast, sharpness or saturation."
        )
    return (
        f"The images furthest from the median of all {words.count(n_images)}, each more than "
        f"{EXTREME:g} robust deviations away in one measure."
    )


def telltales(shown: Sequence[Telltale], unit: Unit = "lesion") -> str:
    """Say which column of the metadata, and which mark of a file, tells the most."""
    if not shown:
        return f"Nothing can be told apart: there is one diagnosis, or one {unit}."
    said = [
        f"of {what}, {best.name} tells the most (macro AUROC {words.score(best.auroc)})"
        for what, kinds in (
            ("the metadata", {"metadata"}),
            ("files and borders", {"file", "border"}),
        )
        if (best := _strongest(shown, kinds)) is not None
    ]
    if not said:
        return "No column tells anything: each has one value only."
    listed = "; ".join(said)
    return f"{listed[0].upper()}{listed[1:]}. Chance is 0.5."


def pairs(shown: Sequence[Pair], unit: Unit = "lesion") -> str:
    """Say how many pairs of ids seem to show one lesion."""
    if not shown:
        return f"No two {unit} ids were found to show one lesion."
    tied = [pair for pair in shown if pair.tied_by]
    known = (
        f" {words.counted(len(tied), 'pair')} of {unit} ids that splits keep together already, by "
        f"{tied[0].tied_by}, {'stands' if len(tied) == 1 else 'stand'} last."
        if tied
        else ""
    )
    new = [pair for pair in shown if not pair.tied_by]
    if not new:
        return f"No two other {unit} ids were found to show one lesion.{known}"
    n_images = len({name for pair in new for name in (pair.image_id, pair.other_id)})
    return (
        f"{words.counted(len(new), 'pair')} of images, {words.count(n_images)} images in all, "
        f"carry different {unit} ids and may show one lesion, the most certain first; "
        "near_duplicates.csv has them all. Confirm by eye: `moulage split --merge` then keeps "
        f"them together.{known}"
    )


def review(shown: Review | None, why_not: str) -> str:
    """Say how many lesions or images look like another diagnosis, and what says so."""
    if shown is None:
        return f"Labels were not reviewed: {why_not}."
    return (
        f"{words.count(len(shown.suspects))} of {words.counted(shown.n_lesions, shown.unit)} "
        f"({words.percent(len(shown.suspects) / shown.n_lesions)}) look like another diagnosis, "
        f"at least {ODDS:.0f} times as much as like their own, to a regression on activations of "
        f"{shown.judge}, trained on {_others(shown)}; it decides {words.percent(shown.accuracy)} "
        f"of {shown.unit}s as labelled. A list to look at, not a list of errors.{_left(shown)}"
        f"{'' if shown.unit == 'lesion' else f' {WHY_NONE}'}"
    )


def _left(shown: Review) -> str:
    """Say where the rest is, where a page does not show all."""
    if len(shown.suspects) <= MOST_SUSPECTS:
        return ""
    return f" The {MOST_SUSPECTS} most suspicious are shown; suspect_labels.csv has them all."


def _others(shown: Review) -> str:
    return "other lesions" if shown.unit == "lesion" else "images of other groups"


def _strongest(shown: Sequence[Telltale], kinds: set[str]) -> Telltale | None:
    ours = [one for one in shown if one.kind in kinds and not math.isnan(one.auroc)]
    return max(ours, key=lambda one: one.auroc, default=None)


def _with_share(level: Level, shown: Distribution) -> str:
    return f"{level.name} with {_images(level.n_images)} ({words.percent(shown.share(level))})"


def _lowest(boxes: Sequence[Box], lowest: Box) -> str:
    return words.listed(box.name for box in boxes if box.median == lowest.median)


def _images(number: int) -> str:
    return words.counted(number, "image")


def _years(start: int) -> str:
    return f"{start} to {start + BIN_YEARS - 1}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 20 else f"{value:.2f}".rstrip("0").rstrip(".")


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
