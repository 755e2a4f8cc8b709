"""Read a table of images whose columns the user names.

In:  a CSV or Parquet file; `columns`, ours = theirs.   Out: the catalogue's rows, notes.
Knows nothing of pixels.
Why: any labelled folder of lesion images is welcome. `lesion_id` names a lesion, which has one
diagnosis; `group` names anything that must not be split (a patient, a clinic).
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from moulage.catalogue import COLUMNS
from moulage.data.groups import fill_groups
from moulage.data.paths import is_from_top, relative_to_root
from moulage.data.rivals import the_only
from moulage.data.rows import without_empty
from moulage.data.sources import (
    Place,
    base_of,
    by_base,
    by_stem,
    header_of,
    read_table,
    stem_of,
)
from moulage.errors import ConfigError, DataError, examples, nearest

GROUP = "group"
ALIASES = {"label": "diagnosis", "dx": "diagnosis", "image": "image_id", GROUP: "lesion_id"}
"""Words that mean one of the catalogue's columns, in `columns` and as names in a table."""
_PATIENTS = {"patient", "patientid", "patientnr", "patientno", "subject", "subjectid", "pid"}


def find_table(place: Place) -> str | None:
    """Return the only table of a place, or the only one that names images and diagnoses as we do.

    Raises DataError as `find_plain` does.
    """
    tables = place.tables()
    return tables[0] if len(tables) == 1 else find_plain(place)


def find_plain(place: Place) -> str | None:
    """Return the only table that names images and diagnoses as we do; copies of it count once.

    Raises DataError where several do.
    """
    return the_only(plain_ones(place), place)


def plain_ones(place: Place) -> list[str]:
    """Return all tables that name images and diagnoses as we do."""
    return [name for name in place.tables() if is_plain(header_of(place.root, name))]


def names_group(place: Place, table: str, columns: Mapping[str, str]) -> bool:
    """Say whether what must not be split is called a group, so that it may be no lesion.

    Raises DataError where lesions stand before groups beside folders: there the first counts.
    """
    if GROUP in columns or "lesion_id" in columns:
        return GROUP in columns
    header = read_table(place.root, table, n_rows=0).columns
    units = [name for name in header if name in ("lesion_id", GROUP)]
    units = [name for name in units if name not in columns.values()] or units
    if units[:1] == ["lesion_id"] and GROUP in units:
        raise DataError(
            "A table beside folders must name one thing that no split may tear apart; got "
            f"lesion_id before {GROUP} in {table}. Keep the larger unit's column, the patients'."
        )
    return units[:1] == [GROUP]


def patients_aside(rows: pd.DataFrame) -> str | None:
    """Return the column of rows that names patients, where it stands for none of ours."""
    free = (str(name) for name in rows.columns if name not in COLUMNS)
    return next((name for name in free if re.sub(r"[^a-z]", "", name.lower()) in _PATIENTS), None)


def is_plain(header: tuple[str, ...]) -> bool:
    """Say whether a header names images and diagnoses in our own words."""
    ours = {ALIASES.get(column, column) for column in header}
    return "diagnosis" in ours and bool(ours & {"image_id", "path"})


def read_rows(
    place: Place, table: str, *, columns: Mapping[str, str], images: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the catalogue's rows and notes on what was filled in.

    A `path` is relative to `images`, a folder, if given, else to the place, or starts at the
    top of the disk; without that column an image is found by its id, and without ids a file's
    name is its id.
    """
    theirs, notes = without_empty(read_table(place.root, table), table)
    chosen = _chosen(columns, tuple(theirs.columns), table)
    frame = _renamed(theirs, chosen, table)
    if "path" in frame.columns:
        frame["path"] = _placed(frame["path"], place.root, images)
    else:
        frame["path"] = _found(frame["image_id"], place.images(images))
    if "image_id" not in frame.columns:
        frame["image_id"] = [stem_of(path) if path else np.nan for path in frame["path"]]
    notes += unmentioned(place.images(images), frame["path"].unique(), table)
    if "lesion_id" not in frame.columns:
        frame["lesion_id"] = np.nan
    frame, filled = fill_groups(frame)
    notes += filled
    others = _others(theirs, chosen)
    return frame.reindex(columns=list(COLUMNS)).join(theirs[others]), notes


def unmentioned(images: list[str], paths: Iterable[str], table: str) -> list[str]:
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


def _chosen(columns: Mapping[str, str], header: tuple[str, ...], table: str) -> dict[str, str]:
    """Return ours → theirs: what the user names, then what the table calls as we do."""
    named = _named(columns)
    for theirs in named.values():
        if theirs not in header:
            raise ConfigError(
                f"`columns` must name columns of the table; got {theirs!r}."
                f"{nearest(theirs, header)} It has {', '.join(header)}."
            )
    alike = _by_meaning(name for name in header if ALIASES.get(name, name) in COLUMNS)
    return {ours: _only(ours, names, named, table) for ours, names in alike.items()} | named


def _only(ours: str, names: list[str], named: Mapping[str, str], table: str) -> str:
    """Return the one column that means ours, where the user does not say which it is.

    One that is called as ours is; but a lesion's id beside a group's says two things.
    """
    free = [name for name in names if name not in named.values()] or names
    if ours in free and ours != "lesion_id":
        return ours
    if len(free) > 1 and ours not in named:
        raise DataError(
            f"A table must have one column for each of ours; got {' and '.join(free)} for {ours} "
            f"in {table}. {_which(ours)}"
        )
    return free[0]


def _named(columns: Mapping[str, str]) -> dict[str, str]:
    """Return ours → theirs as the user says; two of theirs for one of ours are refused."""
    for ours, words in _by_meaning(columns).items():
        if len(words) > 1:
            said = " and ".join(f"{word} = {columns[word]!r}" for word in words)
            raise ConfigError(
                f"`columns` must name one column for {ours}; got {said}. {_which(ours)}"
            )
    return {_ours(word): theirs for word, theirs in columns.items()}


def _by_meaning(words: Iterable[str]) -> dict[str, list[str]]:
    """Return the catalogue's column → the words that mean it, in order."""
    found: dict[str, list[str]] = {}
    for word in words:
        found.setdefault(ALIASES.get(word, word), []).append(word)
    return found


def _which(ours: str) -> str:
    """Return the cure where several words mean one column."""
    if ours == "lesion_id":
        return (
            "Name in `columns` only the one that a split must keep together: the larger unit, the "
            f"patients' rather than the lesions' (`{GROUP}`)."
        )
    return f"Name in `columns` only the one that counts: `{ours} = …`."


def _ours(word: str) -> str:
    ours = ALIASES.get(word, word)
    if ours not in COLUMNS:
        known = (*COLUMNS, *ALIASES)
        raise ConfigError(
            f"`columns` must be written ours = theirs with ours one of {', '.join(known)}; got "
            f"{word!r}.{nearest(word, known)} Correct the key."
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


def _placed(paths: "pd.Series[str]", root: Path, images: str | None) -> list[str]:
    """Return paths from the root on; those that leave it still say so, for the checks."""
    texts = paths.astype(object).fillna("").astype(str).str.strip().tolist()
    inside = relative_to_root(texts, root)
    return [inside.get(text) or _joined(images, text) for text in texts]


def _joined(images: str | None, path: str) -> str:
    """Put the folder before a path that is relative to it."""
    if not path or is_from_top(path):
        return path
    return posixpath.normpath(posixpath.join(images or "", path.replace("\\", "/")))


def _found(ids: "pd.Series[str]", names: list[str]) -> list[str]:
    """Return each image's file: the one called as its id, else the first with its stem.

    Where none is, a name that the checks report; an id may carry the ending of a file.
    """
    exact, alike = by_base(names), by_stem(names)
    return [
        exact.get(i) or exact.get(base_of(i)) or alike.get(stem_of(i), f"{i}.jpg") if i else ""
        for i in ids.astype(object).fillna("").astype(str)
    ]
