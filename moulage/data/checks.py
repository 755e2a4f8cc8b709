"""Find every fault of a catalogue and tell them in one message.

In:  a catalogue, its ages perhaps still as written.   Out: faults; an error that lists them all.
Knows nothing of pixels: whether a file can be decoded is seen when it is.
Why: faults told one at a time cost a run each.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.covariates import NO_WORDS, OLDEST, is_known
from moulage.data.paths import goal_of, judge_paths
from moulage.data.rows import is_blank, names_of, rows_of
from moulage.errors import DataError, examples

_Names = NDArray[np.object_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule that a catalogue breaks: the rule, what breaks it, the cure."""

    rule: str
    got: str
    names: tuple[str, ...]
    cure: str

    def __str__(self) -> str:
        return (
            f"{self.rule}; got {len(self.names)} {self.got} ({examples(self.names)}). {self.cure}"
        )


def check_catalogue(catalogue: Catalogue, *, places: "pd.Index[int] | None" = None) -> None:
    """Raise one DataError that counts every fault, names its first three and says the cure.

    places: as `find_faults` has them.
    """
    faults = find_faults(catalogue, places=places)
    if len(faults) == 1:
        raise DataError(f"{faults[0]} [{catalogue.root}]")
    if faults:
        listed = "".join(f"\n  {place}. {fault}" for place, fault in enumerate(faults, start=1))
        raise DataError(
            f"A catalogue must be free of faults; got {len(faults)} kinds in "
            f"{catalogue.root}. Mend them all:{listed}"
        )


def find_faults(catalogue: Catalogue, *, places: "pd.Index[int] | None" = None) -> list[Fault]:
    """Return every kind of fault once, with all its names.

    Groups that may hold several lesions, as patients do, may show several diagnoses. places:
    where each row stood in its file, which names those without an id; its own name is the word
    for it, `line` or `row`.
    """
    frame = catalogue.frame
    called = names_of(frame["image_id"], rows_of(len(frame)) if places is None else places)
    faults = [
        *_id_faults(frame, called),
        *_diagnosis_faults(frame, called, catalogue.codes),
        *_age_faults(frame, called),
        *_path_faults(frame, called, catalogue.root),
    ]
    return faults + (_group_faults(frame) if catalogue.unit == "lesion" else [])


def _id_faults(frame: pd.DataFrame, called: _Names) -> list[Fault]:
    ids = frame["image_id"]
    no_image_id = is_blank(ids).to_numpy()
    no_lesion_id = ~is_known(frame["lesion_id"]) & ~no_image_id
    twice = ids[~no_image_id & ids.duplicated(keep="first")].unique()
    return _told(
        Fault(
            rule="Every row must have an image id",
            got="without",
            names=tuple(called[no_image_id]),
            cure="Fill the column, or delete these rows.",
        ),
        Fault(
            rule="Every image must have a lesion id",
            got="without",
            names=tuple(called[no_lesion_id]),
            cure="Fill the column, with the image id where a lesion has one photograph; NA, "
            "unknown and other words for none are no ids.",
        ),
        Fault(
            rule="An image id must be a name, without folders",
            got="that are paths",
            names=tuple(map(str, ids[ids.astype(str).str.contains(r"[/\\]", regex=True)])),
            cure="Call the column `path`, or strip the folders.",
        ),
        Fault(
            rule="An image id must stand in one row only",
            got="that stand in more",
            names=tuple(map(str, twice)),
            cure="Delete the repeated rows, or rename files that differ.",
        ),
    )


def _diagnosis_faults(frame: pd.DataFrame, called: _Names, codes: tuple[str, ...]) -> list[Fault]:
    blank = is_blank(frame["diagnosis"])
    strange = frame.loc[~blank & ~frame["diagnosis"].isin(codes), "diagnosis"]
    used = set(frame.loc[~blank, "diagnosis"].unique())
    spelt = pd.Series(sorted(used), dtype=object)
    bare = spelt.str.strip().str.lower()
    return _told(
        Fault(
            rule="Diagnoses must differ by more than case and spaces",
            got="that do not",
            names=_counted(frame, spelt[bare.duplicated(keep=False)]),
            cure="Write each in one way, or join them in `[dataset.classes]`.",
        ),
        Fault(
            rule="A diagnosis must be the name of one",
            got="that are words for none",
            names=_counted(frame, spelt[bare.isin(NO_WORDS)]),
            cure="Delete these rows, or give them a diagnosis.",
        ),
        Fault(
            rule="Every image must have a diagnosis",
            got="without",
            names=tuple(called[blank]),
            cure="Fill the column, or delete these rows.",
        ),
        Fault(
            rule=f"A diagnosis must be one of {', '.join(codes)}",
            got="that nobody knows",
            names=_counted(frame, strange.unique()),
            cure="Correct them, or name them in `[dataset.classes]`.",
        ),
        Fault(
            rule="Every diagnosis must have an image",
            got="without",
            names=tuple(code for code in codes if code not in used),
            cure="Name only the diagnoses that have images in `[dataset.classes]`.",
        ),
    )


def _age_faults(frame: pd.DataFrame, called: _Names) -> list[Fault]:
    years = pd.to_numeric(frame["age"], errors="coerce")
    is_possible = years.between(0, OLDEST) | is_blank(frame["age"])
    return _told(
        Fault(
            rule=f"An age must lie in [0, {OLDEST}] years",
            got="that do not",
            names=_with(called, frame["age"], ~is_possible),
            cure="Correct them, or empty the cells.",
        )
    )


def _path_faults(frame: pd.DataFrame, called: _Names, root: Path) -> list[Fault]:
    paths = frame["path"].fillna("").astype(str)
    verdicts = judge_paths(paths.to_numpy(dtype=str), root)
    of_its_own = paths.mask(frame["image_id"].duplicated())  # a repeated id is told of already
    is_astray = verdicts == "astray"
    astray = zip(called[is_astray], paths[is_astray], strict=True)
    is_shared = of_its_own.duplicated(keep=False) & of_its_own.notna() & (paths != "")
    return _told(
        Fault(
            rule="Every image must have its file",
            got="without",
            names=tuple(called[verdicts == "missing"]),
            cure="Unpack or download the rest, or delete these rows from the table.",
        ),
        Fault(
            rule="Every image must have a file of its own",
            got="that share one",
            names=_with(called, frame["path"], is_shared),
            cure="Correct the paths or the ids, or delete rows that repeat an image.",
        ),
        Fault(
            rule="A path must stay below the data set's folder",
            got="that leave it",
            names=_with(called, frame["path"], verdicts == "outside"),
            cure="Copy the files into the folder, or name as `path` a folder that holds them all, "
            "and below it the `table` and, for relative paths, the `images` they start from.",
        ),
        Fault(
            rule="A link must lead to a file below the data set's folder",
            got="that do not",
            names=tuple(f"{i}: {path} is a link to {goal_of(path, root)}" for i, path in astray),
            cure="Put the files themselves in the links' place, as `cp -rL` copies them, or name "
            "as `path` a folder that holds them all; delete links that lead nowhere.",
        ),
    )


def _group_faults(frame: pd.DataFrame) -> list[Fault]:
    rows = frame.loc[is_known(frame["lesion_id"]) & ~is_blank(frame["diagnosis"])]
    pairs = rows[["lesion_id", "diagnosis"]].drop_duplicates()
    torn = pairs.loc[pairs["lesion_id"].duplicated(), "lesion_id"].unique()
    return _told(
        Fault(
            rule="A lesion must have one diagnosis",
            got="with several",
            names=tuple(map(str, torn)),
            cure="Correct its rows; if the ids are patients', name the column `group`.",
        )
    )


def _counted(frame: pd.DataFrame, codes: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{code!r} in {int((frame['diagnosis'] == code).sum())} rows" for code in codes)


def _told(*faults: Fault) -> list[Fault]:
    return [fault for fault in faults if fault.names]


def _with(
    called: _Names, column: "pd.Series[str]", chosen: "pd.Series[bool] | NDArray[np.bool_]"
) -> tuple[str, ...]:
    rows = np.asarray(chosen, dtype=bool)
    return tuple(f"{i}: {value}" for i, value in zip(called[rows], column[rows], strict=True))
