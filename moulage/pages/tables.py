"""Tables of a page: columns, rows of cells, a caption.

In:  texts with the value they sort by.   Out: frozen records that one template macro draws.
Knows nothing of HTML and of what the numbers mean.
"""

import math
from dataclasses import dataclass

from moulage.evaluation.intervals import Interval
from moulage.pages import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is read, what is sorted by (None: the text), a second line in small print."""

    text: str
    sort: float | None = None
    note: str = ""
    is_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One headline number: what it is, its value, what stands beside it."""

    name: str
    rule: str
    value: Cell
    beside: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading; columns side by side with one `group` share a heading above theirs."""

    name: str
    group: str = ""
    is_number: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; the first cell of each row heads it. `sums` is a last row that never moves."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sums: tuple[Cell, ...] = ()

    @property
    def lacks_bounds(self) -> bool:
        """Whether a number stands without an interval, which is to be explained."""
        return any(cell.note == words.NO_BOUNDS for row in self.rows for cell in row)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """(heading, number of columns) of each stretch of columns with one group."""
        stretches: list[tuple[str, int]] = []
        for column in self.columns:
            if stretches and stretches[-1][0] == column.group:
                stretches[-1] = (column.group, stretches[-1][1] + 1)
            else:
                stretches.append((column.group, 1))
        return stretches if any(name for name, _ in stretches) else []


def text(said: str, note: str = "") -> Cell:
    """Return a cell of words."""
    return Cell(text=said, note=note)


def count(number: int) -> Cell:
    """Return a cell with a whole number."""
    return Cell(text=words.count(number), sort=float(number))


def score(value: float) -> Cell:
    """Return a cell with three decimals, or one that says that the score is not defined."""
    missing = math.isnan(value)
    return Cell(text=words.score(value), sort=None if missing else value, is_missing=missing)


def spread(*, mean: float, low: float, high: float) -> Cell:
    """Return a cell with a mean and, where the range shows in three decimals, the range."""
    if math.isnan(mean):
        return score(mean)
    ends = (words.score(low), words.score(high))
    note = "" if ends[0] == ends[1] else "–".join(ends)
    return Cell(text=words.score(mean), sort=mean, note=note)


def interval(found: Interval) -> Cell:
    """Return a cell with a value and, below it, its interval."""
    return bounded(found.value, found.low, found.high)


def bounded(value: float, low: float, high: float) -> Cell:
    """Return a cell with a value and, below it, its two bounds."""
    if math.isnan(value):
        return score(value)
    note = words.NO_BOUNDS if math.isnan(low) else f"{words.score(low)}–{words.score(high)}"
    return Cell(text=words.score(value), sort=value, note=note)


def measured(said: str, value: float | None) -> Cell:
    """Return a cell whose words stand for a number that may not have been measured."""
    missing = value is None or math.isnan(value)
    return Cell(text=said, sort=None if missing else value, is_missing=missing)
