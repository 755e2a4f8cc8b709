"""Tell the rows of a table apart: the line each begins on, those that are empty, those too long.

In:  a table's text, or its frame, whose index says where each row stands.
Out: places, names for messages, the rows that say something.   Knows nothing of what columns mean.
Why: what is wrong with a row without an id can be found again only by its line.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.files import separator_of

_SAID = re.compile(r"\"?sep=([^\w\"\r\n])\"?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A table's text from its header on, what parts its cells, how many lines stand before it."""

    text: str
    separator: str
    n_before: int = 0


def lines_of(text: str) -> Lines:
    """Return a table's text and its separator, which Excel may say in a line before the header.

    >>> lines_of("sep=|\\na|b\\n").separator, lines_of("a;b\\n").separator
    ('|', ';')
    """
    first, _, rest = text.partition("\n")
    if said := _SAID.fullmatch(first):
        return Lines(text=rest, separator=said[1], n_before=1)
    return Lines(text=text, separator=separator_of(text))


def places_of(lines: Lines, n_rows: int) -> "pd.Index[int]":
    """Return the lines, as the file counts them, on which the rows below the header begin."""
    start = lines.n_before + 2
    if lines.text.rstrip("\r\n").count("\n") == n_rows:  # a row a line, as nearly all tables are
        return pd.RangeIndex(start, start + n_rows, name="line")
    begun = [line for line, _ in _cells(lines)][1:]
    return pd.Index(begun, name="line") if len(begun) == n_rows else rows_of(n_rows)


def rows_of(n_rows: int) -> "pd.Index[int]":
    """Return the places of rows that no line of a file is known for: the first is row 1."""
    return pd.RangeIndex(1, n_rows + 1, name="row")


def too_long(lines: Lines) -> tuple[int, list[str]]:
    """Return how many cells the header has, and what to call the rows that have more."""
    header, *below = list(_cells(lines)) or [(1, [])]
    n_cells = len(header[1])
    longer = [f"line {line}: {len(cells)} cells" for line, cells in below if len(cells) > n_cells]
    return n_cells, longer


def without_empty(frame: pd.DataFrame, table: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows with a cell that is not empty, and a note on the others.

    A spreadsheet writes such rows below those that are filled.
    """
    is_empty = np.ones(len(frame), dtype=bool)
    for name in frame.columns:
        is_empty &= frame[name].isna().to_numpy()
        if not is_empty.any():  # most tables fill their first column
            return frame, []
    note = (
        f"{int(is_empty.sum())} of {len(frame)} rows of {table} are empty in every cell and left "
        "out."
    )
    return frame[~is_empty], [note]


def is_blank(column: "pd.Series[Any]") -> "pd.Series[bool]":
    """Say which cells hold nothing, or spaces alone."""
    return column.isna() | (column.astype(str).str.strip() == "")


def names_of(ids: "pd.Series[Any]", places: "pd.Index[int]") -> NDArray[np.object_]:
    """Return what to call each row: its id, or where it stands if it has none."""
    called = ids.to_numpy(dtype=object, copy=True)
    for row in np.flatnonzero(is_blank(ids)):
        called[row] = f"{places.name} {places[int(row)]}"
    return called


def _cells(lines: Lines) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's first line and its cells; nothing more where its quotes are beyond us."""
    reader = csv.reader(io.StringIO(lines.text, newline=""), delimiter=lines.separator)
    line = 1
    try:
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                yield lines.n_before + line, cells
            line = reader.line_num + 1
    except csv.Error:
        return
