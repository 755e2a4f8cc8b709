"""Read a table of images whose columns the user names.

In:  a CSV or Parquet file; `columns`, ours = theirs.   Out: the catalogue's rows, notes.
Knows nothing of pixels.
Why: any labelled folder of lesion images is welcome. `lesion_id` names a lesion, which has one
diagnosis; `group` names anything that must not be split (a patient, a clinic).
"""

import posixpath
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from moulage.catalogue import COLUMNS
from moulage.data.groups import fill_groups
from moulage.data.paths import leaves_root
from moulage.data.sources import Place, by_stem, header_of, read_table, stem_of
from moulage.errors import ConfigError, DataError, examples, nearest

GROUP = "group"
ALIASES = {"label": "diagnosis", "dx": "diagnosis", "image": "image_id", GROUP: "lesion_id"}
"""Words that mean one of the catalogue's columns, in `columns` and as names in a table."""


def find_table(place: Place) -> str | None:
    """Return the only table of a place, or the first that names images and diagnoses as we do."""
    tables = place.tables()
    return tables[0] if len(tables) == 1 else find_plain(place)


def find_plain(place: Place) -> str | None:
    """Return the first text table that names images and diagnoses as we do."""
    texts = (name for name in place.tables() if not name.lower().endswith(".parquet"))
    return next((name for name in texts if is_plain(header_of(place.root, name))), None)


def names_group(place: Place, table: str, columns: Mapping[str, str]) -> bool:
    """Say whether what must not be split is called a group, so that it may be no lesion."""
    if GROUP in columns or "lesion_id" in columns:
        return GROUP in columns
    header = read_table(place.root, table).columns
    return GROUP in header and "lesion_id" not in header


def is_plain(header: tuple[str, ...]) -> bool:
    """Say whether a header names images and diagnoses in our own words."""
    ours = {ALIASES.get(column, column) for column in header}
    return "diagnosis" in ours and bool(ours & {"image_id", "path"})


def read_rows(
    place: Place, table: str, *, columns: Mapping[str, str], images: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the catalogue's rows and notes on what was filled in.

    A `path` is relative to `images`, a folder, if given, else to the place; without that
    column an image is found by its id, and without ids a file's name is its id.
    """
    theirs = read_table(place.root, table)
    chosen = _chosen(columns, tuple(theirs.columns))
    frame = _renamed(theirs, chosen, table)
    if "path" in frame.columns:
        frame["path"] = [_joined(images, path) for path in frame["path"]]
    else:
        found = by_stem(place.images(images))
        ids = frame["image_id"]
        frame["path"] = [found.get(stem_of(str(i)), f"{i}.jpg") if pd.notna(i) else "" for i in ids]
    if "image_id" not in frame.columns:
        frame["image_id"] = [stem_of(path) if path else np.nan for path in frame["path"]]
    notes = _unmentioned(place.images(images), frame["path"], table)
    if "lesion_id" not in frame.columns:
        frame, filled = fill_groups(frame.assign(lesion_id=np.nan))
        notes += filled
    others = _others(theirs, chosen)
    return frame.reindex(columns=list(COLUMNS)).join(theirs[others]), notes


def _unmentioned(images: list[str], paths: Iterable[str], table: str) -> list[str]:
    """Return a note on images that no row names."""
    left = sorted(set(images) - set(paths))
    if not left:
        return []
    return [f"{len(left)} of {len(images)} images have no row in {table} ({examples(left)})."]


def _others(theirs: pd.DataFrame, chosen: Mapping[str, str]) -> list[str]:
    """Return the columns that stand for none of ours; a name of ours means something else here."""
    return [
        name
        for name in theirs.columns
        if name not in chosen.values() and name not in COLUMNS and theirs[name].notna().any()
    ]


def _chosen(columns: Mapping[str, str], header: tuple[str, ...]) -> dict[str, str]:
    """Return ours → theirs: what the user names, then what the table calls as we do."""
    named = {_ours(word): theirs for word, theirs in columns.items()}
    for theirs in named.values():
        if theirs not in header:
            raise ConfigError(
                f"`columns` must name columns of the table; got {theirs!r}. "
                f"{nearest(theirs, header)} It has {', '.join(header)}."
            )
    alike = {ALIASES.get(name, name): name for name in reversed(header)}
    return {ours: theirs for ours, theirs in alike.items() if ours in COLUMNS} | named


def _ours(word: str) -> str:
    ours = ALIASES.get(word, word)
    if ours not in COLUMNS:
        known = (*COLUMNS, *ALIASES)
        raise ConfigError(
            f"`columns` must be written ours = theirs with ours one of {', '.join(known)}; got "
            f"{word!r}. {nearest(word, known)} Correct the key."
        )
    return ours


def _renamed(theirs: pd.DataFrame, chosen: Mapping[str, str], table: str) -> pd.DataFrame:
    if "diagnosis" not in chosen or not {"image_id", "path"} & set(chosen):
        raise DataError(
            f"A table must name images and diagnoses; got the columns {', '.join(theirs.columns)} "
            f'in {table}. Say which they are: `columns = {{ path = "…", diagnosis = "…" }}`.'
        )
    return pd.DataFrame({ours: _as_text(theirs[name], ours) for ours, name in chosen.items()})


def _as_text(column: "pd.Series[str]", ours: str) -> "pd.Series[str]":
    """Numbers in Parquet become text, save ages; a missing value stays missing."""
    return column if ours == "age" else column.map(str, na_action="ignore")


def _joined(images: str | None, path: object) -> str:
    """Put the folder before a path; one that leaves it is kept as written, for the checks."""
    if pd.isna(path) or not str(path).strip():  # type: ignore[call-overload]
        return ""
    text = str(path).strip()
    if leaves_root(text):
        return text
    return posixpath.normpath(posixpath.join(images or "", text.replace("\\", "/")))
