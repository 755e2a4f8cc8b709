"""Read HAM10000 as Kaggle or the Harvard Dataverse hand it out.

In:  a place with `HAM10000_metadata` (.csv, .tab or no ending) and, anywhere below it, loose or
     zipped, the images.   Out: the catalogue's rows.
Knows nothing of pixels. [tschandl2018]
Why: an age of 0 is an infant in this table and stays 0; only an empty cell is missing.
"""

import pandas as pd

from moulage.catalogue import COLUMNS
from moulage.data.rivals import the_only
from moulage.data.rows import without_empty
from moulage.data.sources import (
    Place,
    by_stem,
    header_of,
    read_table,
    stem_of,
)
from moulage.errors import DataError, examples

METADATA = "HAM10000_metadata"
HEADER = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
_TEXT_ENDINGS = (".csv", ".tsv", ".tab")


def find_table(place: Place) -> str | None:
    """Return the name of the metadata, by its file name, else by all of its columns.

    A table that lacks some of them is somebody's own. Raises DataError where several differ.
    """
    named = [name for name in place.names if METADATA in name and _is_called_so(name)]
    return the_only(named or _alike(place), place)


def read_rows(
    place: Place, table: str, *, images: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows in the table's order, ages still as written, and a note on empty ones.

    An image not found keeps its bare file name, which the checks report.
    """
    frame, notes = without_empty(read_table(place.root, table), table)
    missing = [name for name in HEADER if name not in frame.columns]
    if missing:
        raise DataError(
            f"HAM10000's metadata must have the columns {', '.join(HEADER)}; got no "
            f'{examples(missing)} in {table}. Download it again, or read it as `kind = "table"`.'
        )
    found = by_stem(place.images(images))
    stems = [stem_of(str(i)) if pd.notna(i) else "" for i in frame["image_id"]]
    paths = [found.get(stem, f"{stem}.jpg") if stem else "" for stem in stems]
    return frame.rename(columns={"dx": "diagnosis"}).assign(path=paths)[list(COLUMNS)], notes


def _is_called_so(name: str) -> bool:
    base = name.rpartition("/")[2]
    is_text = base.lower().endswith(_TEXT_ENDINGS)
    return base == METADATA or (base.startswith(METADATA) and is_text)


def _alike(place: Place) -> list[str]:
    texts = [name for name in place.tables() if name.lower().endswith(_TEXT_ENDINGS)]
    return [name for name in texts if set(HEADER) <= set(header_of(place.root, name))]
