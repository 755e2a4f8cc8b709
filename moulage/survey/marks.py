"""What a reader wrote into a table of pairs outlives the table.

In:  a new table of pairs, the text of the one that stands in its place.   Out: the new one, marked.
Knows nothing of images or of where tables lie.
"""

from io import StringIO

import numpy as np
import pandas as pd

_KEYS = ("image_id", "other_id")


def with_marks(table: pd.DataFrame, before: str) -> pd.DataFrame:
    """Return pairs with the `confirmed` that the text says of those it has too.

    before: a CSV, with commas, semicolons or tabs; text without the columns says nothing.
    """
    header = before.removeprefix("\ufeff").partition("\n")[0]
    if not all(name in header for name in (*_KEYS, "confirmed")):
        return table
    separator = max(",;\t", key=header.count)
    kept = pd.read_csv(
        StringIO(before.removeprefix("\ufeff")), sep=separator, dtype=str, keep_default_na=False
    )
    marks = dict(zip(_names(kept), kept["confirmed"].str.strip(), strict=True))
    said = np.array([marks.get(pair, "") for pair in _names(table)], dtype=object)
    return table.assign(confirmed=np.where(said != "", said, table["confirmed"]))


def _names(table: pd.DataFrame) -> list[frozenset[str]]:
    """Return the two names of each pair, in whatever order they stand."""
    return [frozenset(map(str, pair)) for pair in table[list(_KEYS)].itertuples(index=False)]
