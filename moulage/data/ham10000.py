"""Read HAM10000 as Kaggle or the Harvard Dataverse hand it out.

In:  a place with `HAM10000_metadata` (.csv, .tab or no ending) and, anywhere below it, loose or
     zipped, the images.   Out: the catalogue's rows.
Knows nothing of pixels. [tschandl2018]
Why: an age of 0 is an infant in this table and stays 0; only an empty cell is missing.
"""

import pandas as pd

from moulage.catalogue import COLUMNS
from moulage.data.rows import without_empty
from moulage.data.sources import Place, by_stem, header_of, read_table, stem_of
from moulage.errors import DataError, examples

METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
HEADER = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")


def find_table(place: Place) -> str | None:
    """Return the name of the metadata, by its file name, else by its columns."""
    named = [name for name in place.names if name.rpartition("/")[2] in METADATA]
    if named:
        return named[0]
    alike = (n for n in place.tables() if set(HEADER[:3]) <= set(header_of(place.root, n)))
    return next(alike, None)


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
