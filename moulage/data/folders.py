"""Read a folder that holds one folder a diagnosis.

In:  a place with `melanoma/a.jpg`, `nevus/b.jpg` …, perhaps zipped, and perhaps a table of groups.
Out: the catalogue's rows, codes, notes.   Knows nothing of pixels.
"""

import posixpath
from collections import Counter
from collections.abc import Iterable

import pandas as pd

from moulage.catalogue import COLUMNS
from moulage.data.groups import fill_groups
from moulage.data.outputs import outputs_of
from moulage.data.rows import names_of, without_empty
from moulage.data.sources import (
    Place,
    Sources,
    is_shown,
    left_aside,
    open_place,
    read_table,
    stem_of,
)
from moulage.data.table import ALIASES
from moulage.errors import DataError, examples

_PARTS = frozenset(
    ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "holdout")
)

_ZIP_END = ".zip!"


def has_folders(place: Place) -> bool:
    """Say whether the images lie in at least two folders beside each other, and only there."""
    names = place.images()
    folders = {_folder_of(name, _base(names)) for name in names}
    return len(folders) > 1 and "" not in folders


def read_rows(
    place: Place, *, table: str | None = None, images: str | None = None
) -> tuple[pd.DataFrame, tuple[str, ...], list[str]]:
    """Return the rows, the codes in the alphabet's order, and notes on what was filled in.

    `table` may name a CSV with image_id and lesion_id (or group), and age, sex and the rest.
    """
    names = place.images(images)
    base = _base(names)
    folders = [_folder_of(name, base) for name in names]
    _check_folders(names, folders, place)
    ids, renamed = _told_apart(names, base, place)
    frame = pd.DataFrame({"image_id": ids, "path": names, "diagnosis": folders})
    codes = sorted({*folders, *_empty_folders(place, base, besides=set(folders))})
    aside = left_aside([name for name in place.strangers() if _folder_of(name, base) in codes])
    frame, unmatched = _with_table(frame, place, table)
    frame, filled = fill_groups(frame)
    return frame[list(COLUMNS)], tuple(codes), [*aside, *renamed, *unmatched, *filled]


def _base(names: Iterable[str]) -> str:
    """Return the folder that holds the diagnoses' folders."""
    folders = {posixpath.dirname(name) for name in names}
    if len(folders) < 2:
        return posixpath.dirname(next(iter(folders), ""))
    return posixpath.commonpath(folders)


def _folder_of(name: str, base: str) -> str:
    """Return the folder below `base` that holds an image: "" if none; a zip of its own counts."""
    first, _, rest = posixpath.relpath(name, base or ".").partition("/")
    if not rest:
        return ""
    return first[: -len(_ZIP_END)] if first.lower().endswith(_ZIP_END) else first


def _told_apart(names: list[str], base: str, place: Place) -> tuple[list[str], list[str]]:
    """Return the ids, and a note on those that name the folder, since several files have one stem.

    `nv/0.jpg` beside `mel/0.jpg` is `nv-0`, unless both are one photograph, byte for byte. What is
    still alike is for the checks to tell.
    """
    n_of = Counter(map(stem_of, names))
    shared = [name for name in names if n_of[stem_of(name)] > 1]
    with Sources(place.root) as sources:
        contents = {name: (stem_of(name), sources.digest(name)) for name in shared}
    twins = {content[0] for content, n in Counter(contents.values()).items() if n > 1}
    apart = {name: _with_folders(name, base) for name in shared if stem_of(name) not in twins}
    ids = [apart.get(name, stem_of(name)) for name in names]
    notes = [
        f"{len(apart)} images bear the name of another ({examples(apart)}), so their ids name the "
        f"folder too ({examples(apart.values())}): delete all but one if they show one lesion."
    ]
    return ids, notes if apart else []


def _with_folders(name: str, base: str) -> str:
    below = posixpath.relpath(name, base or ".").split("/")[1:-1]
    return "-".join((_folder_of(name, base), *below, stem_of(name)))


def _check_folders(names: list[str], folders: list[str], place: Place) -> None:
    stray = [name for name, folder in zip(names, folders, strict=True) if not folder]
    if stray or not names:
        got = f"{len(stray)} outside ({examples(stray)})" if names else "no images"
        raise DataError(
            f"Every image must lie in a folder named after its diagnosis; got {got} in "
            f"{place.root}. Move them, or name a table of diagnoses."
        )
    if all(folder.lower() in _PARTS for folder in folders):
        raise DataError(
            f"Folders must be named after diagnoses; got {examples(sorted(set(folders)))} in "
            f"{place.root}, which are parts of a split. Name one of them as the data set, or list "
            "all images with their diagnoses in a table."
        )


def _empty_folders(place: Place, base: str, *, besides: set[str]) -> list[str]:
    """Folders without images beside the others: an empty diagnosis is a fault to be told.

    One that holds what moulage wrote is no diagnosis.
    """
    folder = place.root / base
    if not folder.is_dir():
        return []
    found = [one.name for one in folder.iterdir() if one.is_dir() and is_shown(one.name)]
    empty = [name for name in found if name not in besides]
    ours = outputs_of(open_place(place.root)) if empty else frozenset()
    starts = {name: posixpath.join(base, name, "") for name in empty}
    return [name for name in empty if not any(one.startswith(starts[name]) for one in ours)]


def _with_table(
    frame: pd.DataFrame, place: Place, table: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Add what a table says of the images by their ids; the folder alone says the diagnosis.

    Also returns notes on rows that are empty, and on those that name no image.
    """
    if table is None:
        return frame.reindex(columns=list(COLUMNS)), []
    theirs, empty = without_empty(read_table(place.root, table), table)
    named = {ALIASES.get(name, name): name for name in reversed(theirs.columns)}
    said = theirs[list(named.values())].set_axis(list(named), axis=1)
    if "image_id" not in said.columns:
        raise DataError(
            f"A table beside folders must have a column image_id; got {', '.join(theirs.columns)} "
            f"in {table}. Rename the column that holds the files' names without ending."
        )
    said = said.assign(image_id=[stem_of(str(i)) for i in names_of(said["image_id"], said.index)])
    ours = [name for name in COLUMNS if name in said.columns and name not in frame.columns]
    joined = frame.merge(said[["image_id", *ours]], on="image_id", how="left")
    strangers = said.loc[~said["image_id"].isin(frame["image_id"]), "image_id"]
    shared = frame.loc[frame["path"].map(stem_of).isin(set(strangers))]
    if len(shared):
        raise DataError(
            "A row of a table beside folders must name one image; got names that several bear "
            f"({examples(shared['path'])}) in {table}. Write {examples(shared['image_id'])}."
        )
    notes = [
        f"{len(strangers)} of {len(said)} rows of {table} name no image that is here "
        f"({examples(strangers)})."
    ]
    return joined.reindex(columns=list(COLUMNS)), [*empty, *(notes if len(strangers) else [])]
