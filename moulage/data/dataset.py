"""Read a data set of any known kind into a checked catalogue.

In:  a path and, where the data set does not speak for itself, what its parts are called.
Out: a `Dataset`: the catalogue, the kind that was found, what was dropped or filled in.
Knows nothing of pixels, splits or networks.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from moulage.catalogue import Catalogue, Diagnosis
from moulage.data import folders, ham10000, isic
from moulage.data import table as tables
from moulage.data.checks import check_catalogue
from moulage.data.classes import Members, plan_regrouping, regroup
from moulage.data.diagnoses import HAM10000, describe, known_as
from moulage.data.outputs import without_outputs
from moulage.data.rivals import unread
from moulage.data.sources import Place, open_place, stem_of
from moulage.errors import ConfigError, DataError, examples, nearest
from moulage.split import Unit

KINDS = ("auto", "ham10000", "isic", "casts", "table", "folders")
_CASTS_SIGN = "plantings.csv"
_GROUPS_COME_FROM = {
    "ham10000": "Its columns have HAM10000's names.",
    "casts": "Its columns have HAM10000's names.",
    "isic": "Its groups are the column lesion_id of a table with the column image.",
    "folders": "Its groups are the column group or lesion_id of a `table` with image_id.",
}
_PATIENTS_ASIDE = {
    "refuse": "Lesions of one patient may lie in several parts: {name} is not used. To keep "
    'patients together, name it: columns = {{ group = "{name}" }}.',
    "note": "Lesions of one patient count one by one, in intervals too: {name} is not used. To "
    'count patients, name it: columns = {{ group = "{name}" }}.',
}  # where it is to be learnt, and where it is only measured
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A catalogue and how it came about; `n_dropped` counts images left out, by old code."""

    catalogue: Catalogue
    kind: str
    notes: tuple[str, ...]
    n_dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """What a reader of one kind found: rows with ages as written, and the known diagnoses.

    patients: a column that names them and that nobody asked for.
    """

    frame: pd.DataFrame
    diagnoses: tuple[Diagnosis, ...]
    notes: list[str] = field(default_factory=list)
    unit: Unit = "lesion"
    patients: str | None = None


_Reader = Callable[[Place, str | None, str | None], _Rows]
"""Called with (place, table, images)."""


def read_dataset(
    path: Path,
    *,
    kind: str = "auto",
    columns: Mapping[str, str] | None = None,
    table: str | None = None,
    images: str | None = None,
    classes: Mapping[str, Members] | None = None,
    name: str | None = None,
) -> Catalogue:
    """Return the checked catalogue of `open_dataset`, which says more."""
    return open_dataset(
        path, kind=kind, columns=columns, table=table, images=images, classes=classes, name=name
    ).catalogue


def open_dataset(
    path: Path,
    *,
    kind: str = "auto",
    columns: Mapping[str, str] | None = None,
    table: str | None = None,
    images: str | None = None,
    classes: Mapping[str, Members] | None = None,
    name: str | None = None,
    absent: Literal["refuse", "note"] = "refuse",
) -> Dataset:
    """Read and check a data set.

    path: a folder, a zip or a table file. kind: one of `KINDS`.
    columns: ours = theirs, for `table`. table: the table's file, relative to the folder.
    images: the folder, relative to it, that paths in the table start from.
    classes: `[dataset.classes]`, see `data.classes`. name: what pages call the data set.
    absent: a diagnosis without images is a fault where it is to be learnt, else worth a note.
    Raises DataError, which tells all faults at once; ConfigError where an argument is wrong.
    """
    table = table or _own_name(Path(path))
    place = _without_outputs(open_place(Path(path)), table)
    found = _resolve_kind(kind, place, table=table, columns=columns)
    _check_columns(columns or {}, found=found, asked=kind, root=place.root)
    rows = _reader_of(found, columns or {})(place, table, images)
    if rows.frame.empty:
        raise DataError(
            f"A data set must have images; got a table without rows, or none in {place.root}. "
            "Name the folder or the table that has them."
        )
    frame, diagnoses, n_dropped, assumed = _regrouped(rows, classes)
    raw = Catalogue(
        frame=frame,
        diagnoses=diagnoses,
        root=place.root,
        name=name or _name(found, Path(path)),
        unit=rows.unit,
    )
    used = set(frame["diagnosis"].unique())
    shown = tuple(one for one in diagnoses if absent == "refuse" or one.code in used)
    checked = replace(raw, diagnoses=shown)
    lacking = _absent_notes(raw.codes, checked.codes)
    aside = [_PATIENTS_ASIDE[absent].format(name=rows.patients)] if rows.patients else []
    notes = (*rows.notes, *aside, *_drop_notes(n_dropped), *_benign_notes(assumed), *lacking)
    for note in notes:  # before the faults, of which one may say the cause
        _log.warning(note)
    places = frame.index if frame.index.name else None  # none where no table names the images
    check_catalogue(checked, places=places)
    return Dataset(catalogue=_typed(raw), kind=found, notes=notes, n_dropped=n_dropped)


def _own_name(path: Path) -> str | None:
    is_table = path.is_file() and path.suffix.lower() != ".zip"
    return path.name if is_table else None


def _without_outputs(place: Place, table: str | None) -> Place:
    left = without_outputs(place, but=table)
    if n_outputs := len(place.names) - len(left.names):
        # No note: a run that goes on in the data set's folder would say other numbers of itself.
        _log.info("%d files in %s are moulage's own and passed over", n_outputs, place.root)
    return left


def _name(kind: str, path: Path) -> str:
    return {"ham10000": "HAM10000", "casts": "Casts"}.get(kind) or path.resolve().stem


def _resolve_kind(
    kind: str, place: Place, *, table: str | None, columns: Mapping[str, str] | None
) -> str:
    if kind not in KINDS:
        raise ConfigError(
            f"`kind` must be one of {', '.join(KINDS)}; got {kind!r}.{nearest(kind, KINDS)} "
            "Correct it."
        )
    if kind != "auto":
        return kind
    if columns and (table or place.tables()):
        return "table"
    return _detect(Place(root=place.root, names=(table,)) if table else place)


def _check_columns(columns: Mapping[str, str], *, found: str, asked: str, root: Path) -> None:
    """Refuse names of columns that nobody would read: images would be split by other groups."""
    if not columns or found == "table":
        return
    named = examples(f"{ours} = {theirs!r}" for ours, theirs in columns.items())
    how = "" if asked == found else f", which `kind = {asked!r}` found there"
    raise ConfigError(
        f'`columns` must go with `kind = "table"`, the only kind that reads it; got {named} with '
        f"kind {found!r}{how}, in {root}. {_GROUPS_COME_FROM[found]} Leave `columns` out, or list "
        'images and diagnoses in a table and say `kind = "table"`.'
    )


def _detect(place: Place) -> str:
    """Name the kind by what lies there; the surest sign counts first."""
    if ham10000.find_table(place):
        return "casts" if _are_casts(place) else "ham10000"
    if isic.find_table(place):
        return "isic"
    plain = tables.find_plain(place)
    if folders.has_folders(place) and plain:
        raise DataError(
            f"`{place.root}` must name diagnoses in one way; got {plain}, a table of images and "
            "diagnoses, and images in folders of their own. Say which: `table` or `folders` as "
            "`kind` (`--kind`)."
        )
    if plain:
        return "table"
    if folders.has_folders(place):
        return "folders"
    if tables.find_table(place):
        return "table"
    _refuse_workbooks(place)
    raise DataError(
        f"`{place.root}` must be a data set of a known kind; got {len(place.names)} files, "
        f"{len(place.images())} of them images, but no HAM10000_metadata, no ground truth with "
        "the columns image, MEL, NV …, no two folders named after diagnoses, and no single "
        "table. Name the folder that holds them, or say `kind`, `table` and `columns` in a study "
        "file's `[dataset]` and name that file."
    )


def _refuse_workbooks(place: Place) -> None:
    if workbooks := place.workbooks():
        raise DataError(
            "A table of images and diagnoses must be CSV or Parquet; got no such table but "
            f"{len(workbooks)} workbooks ({examples(workbooks)}) in {place.root}. Export the sheet "
            "as CSV."
        )


def _are_casts(place: Place) -> bool:
    return any(name.rpartition("/")[2] == _CASTS_SIGN for name in place.names)


def _read_ham10000(place: Place, table: str | None, images: str | None) -> _Rows:
    found = _required(table or ham10000.find_table(place), "HAM10000_metadata.csv", place)
    frame, notes = ham10000.read_rows(place, found, images=images)
    notes = [*notes, *_left_notes(place, frame, images, found)]
    if table is None:
        notes += unread(found, tables.plain_ones(place), place)
    return _Rows(frame=frame, diagnoses=HAM10000, notes=notes)


def _read_isic(place: Place, table: str | None, images: str | None) -> _Rows:
    found = _required(table or isic.find_table(place), "table with image, MEL, NV …", place)
    frame, codes, notes = isic.read_rows(place, found, images=images)
    notes = [*notes, *_left_notes(place, frame, images, found)]
    if table is None:
        notes += unread(found, isic.find_tables(place), place)
    return _Rows(frame=frame, diagnoses=describe(codes), notes=notes)


def _left_notes(place: Place, frame: pd.DataFrame, images: str | None, table: str) -> list[str]:
    """Return notes on images that were not chosen: doubles of some that were, and strangers."""
    chosen = set(frame["path"].unique())
    stems = {stem_of(path) for path in chosen}
    there = place.images(images)
    doubles = [name for name in there if stem_of(name) in stems and name not in chosen]
    others = set(there) - set(doubles)
    return [*_doubled(doubles), *tables.unmentioned(sorted(others), chosen, table)]


def _doubled(left: list[str]) -> list[str]:
    """Return a note on files that bear the name of an image that was found elsewhere."""
    if not left:
        return []
    is_one = len(left) == 1
    what = "file is called as an image" if is_one else "files are called as images"
    found = "that was found before it" if is_one else "that were found before them"
    return [
        f"{len(left)} {what} {found} ({examples(left)}): the first, by folder, counts. Name the "
        "folder that is meant with `images`."
    ]


def _read_table(
    place: Place, table: str | None, images: str | None, *, columns: Mapping[str, str]
) -> _Rows:
    found = _required(table or tables.find_table(place), "single table", place)
    frame, notes = tables.read_rows(place, found, columns=columns, images=images)
    codes = sorted(set(frame["diagnosis"].dropna().unique()) - {""})
    unit = _unit(tables.names_group(place, found, columns))
    patients = tables.patients_aside(frame)
    described = describe(codes)
    return _Rows(frame=frame, diagnoses=described, notes=notes, unit=unit, patients=patients)


def _read_folders(place: Place, table: str | None, images: str | None) -> _Rows:
    frame, codes, notes = folders.read_rows(place, table=table, images=images)
    unit = _unit(table is not None and tables.names_group(place, table, {}))
    return _Rows(frame=frame, diagnoses=describe(codes), notes=notes, unit=unit)


def _unit(names_group: bool) -> Unit:
    return "group" if names_group else "lesion"


_READERS: Mapping[str, _Reader] = {
    "ham10000": _read_ham10000,
    "isic": _read_isic,
    "casts": _read_ham10000,  # casts borrow its layout, but neither its name nor its licence
    "folders": _read_folders,
}


def _reader_of(kind: str, columns: Mapping[str, str]) -> _Reader:
    """Return what reads a kind; plain tables alone have columns of any name."""
    return partial(_read_table, columns=columns) if kind == "table" else _READERS[kind]


def _required(found: str | None, what: str, place: Place) -> str:
    if found is None:
        _refuse_workbooks(place)
    if found is None or found not in place.names:
        raise DataError(
            f"A data set of this kind must have its table; got no {found or what} in "
            f"{place.root}. Name the file with `table`, relative to the data set's folder."
        )
    return found


def _regrouped(
    rows: _Rows, classes: Mapping[str, Members] | None
) -> tuple[pd.DataFrame, tuple[Diagnosis, ...], dict[str, int], tuple[str, ...]]:
    """Return rows, diagnoses, how many were dropped, and codes that are benign by default only."""
    if not classes:
        strangers = tuple(one.code for one in rows.diagnoses if known_as(one.code) is None)
        return rows.frame, rows.diagnoses, {}, strangers
    shown = set(rows.frame["diagnosis"].dropna().unique()) - {""}
    plan = plan_regrouping(classes, known=rows.diagnoses, shown=shown)
    frame, n_dropped = regroup(rows.frame, plan)
    return frame, plan.diagnoses, n_dropped, plan.assumed


def _drop_notes(n_dropped: Mapping[str, int]) -> list[str]:
    if not n_dropped:
        return []
    counts = ", ".join(f"{code} {n}" for code, n in n_dropped.items())
    return [f"{sum(n_dropped.values())} images were left out, as asked: {counts}."]


def _absent_notes(codes: tuple[str, ...], shown: tuple[str, ...]) -> list[str]:
    lacking = [code for code in codes if code not in shown]
    if not lacking:
        return []
    return [
        f"{len(lacking)} of {len(codes)} diagnoses have no image ({examples(lacking)}): nothing is "
        "said of them."
    ]


def _benign_notes(assumed: tuple[str, ...]) -> list[str]:
    if not assumed:
        return []
    return [
        f"Diagnoses that nobody knows count as benign ({examples(assumed, most=10)}): say which "
        f"are malignant in `[dataset.classes]`, as new = {{ of = ['{assumed[0]}'], malignant = "
        'true }, with keep = "rest" for the others.'
    ]


def _typed(raw: Catalogue) -> Catalogue:
    """Ages become numbers, which the checks have allowed."""
    ages = pd.to_numeric(raw.frame["age"], errors="coerce").astype(float)
    return replace(raw, frame=raw.frame.assign(age=ages))
