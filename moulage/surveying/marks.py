"""What a reader wrote into a table of pairs outlives the table.

In:  a new table of pairs, the one that stands in its place.   Out: the new one, marked.
Knows nothing of images.
"""

import csv
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from moulage.files import separator_of, write_text

_ONE, _OTHER, _MARK = "image_id", "other_id", "confirmed"


def write_pairs(table: pd.DataFrame, path: Path) -> None:
    """Write pairs as a CSV, marked as the one is that stood there."""
    before = path.read_text(errors="replace") if path.is_file() else ""
    write_text(path, with_marks(table, before).to_csv(index=False, lineterminator="\n"))


def with_marks(table: pd.DataFrame, before: str) -> pd.DataFrame:
    """Return pairs with the `confirmed` that the text says of those it has too.

    before: a CSV, with commas, semicolons or tabs; text without the columns says nothing.
    """
    text = before.removeprefix("\ufeff")
    reader = csv.DictReader(StringIO(text), delimiter=separator_of(text))
    if not {_ONE, _OTHER, _MARK} <= set(reader.fieldnames or ()):
        return table
    # As a set, since a pair may have been told the other way round.
    marks = {frozenset((row[_ONE], row[_OTHER])): (row[_MARK] or "").strip() for row in reader}
    pairs = zip(table[_ONE].astype(str), table[_OTHER].astype(str), strict=True)
    said = np.array([marks.get(frozenset(pair), "") for pair in pairs], dtype=object)
    return table.assign(confirmed=np.where(said != "", said, table[_MARK]))
