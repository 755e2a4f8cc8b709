"""Tell what moulage itself wrote where the images lie.

In:  a place.   Out: the names of files that are surveys', splits', runs', explanations'; the place
without them.
Why: they are known by what is in them, not by their names, so that a diagnosis may be called
`survey`.
"""

import json
import posixpath
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from moulage.catalogue import MEMBER
from moulage.data.sources import Place, Sources, header_of
from moulage.split import UNITS

# Keys of the files in a study's folder and in a run's; of what `explain` and `units` write.
_STUDY, _RUN = frozenset(("experiments", "not_run")), frozenset(("resolved",))
_EXPLAINED = frozenset(("run", "study", "diagnoses", "manner", "shortcuts", "images"))
_DISSECTED = frozenset(("run", "study", "diagnoses", "n_validation", "units", "alike"))
_PAGE = b'<meta name="generator" content="moulage">'
# What `moulage split` and `lr` write; the first columns of what `survey` and `audit` do.
_SPLITS = tuple(("image_id", f"{unit}_id", "part") for unit in UNITS)
_SUSPECTS = ("suspect", "given", "suggested", "given_probability", "suggested_probability")
_RATES = ("learning_rate", "loss", "smoothed_loss")
_PAIRS = ("image_id", "other_id", "lesion_id", "other_lesion_id", "evidence", "certainty")
# What `predict` begins with, and `features`: their diagnoses are not the data set's.
_ANSWERS = ("path", "diagnosis", "diagnosis_balanced")
_IDS = tuple(("image_id", f"{unit}_id", "diagnosis") for unit in UNITS)
_FEATURES = tuple((*ids, "feature_0") for ids in _IDS)


def without_outputs(place: Place, *, but: str | None = None) -> Place:
    """Return a place without what moulage wrote there; `but`, a table asked for by name, stays."""
    ours = outputs_of(place)
    return replace(place, names=tuple(n for n in place.names if n == but or n not in ours))


def outputs_of(place: Place) -> frozenset[str]:
    """Return the loose files that moulage wrote: studies, runs, and what other commands leave.

    What lies in the folder of a study or a run is part of it; the place's root is never one.
    """
    loose = [name for name in place.names if MEMBER not in name]
    folders = tuple(f"{folder}/" for folder in _run_folders(place.root, loose))
    pictures = _pictures(place.root, loose)
    return frozenset(
        n for n in loose if n.startswith(folders) or n in pictures or _is_output(place.root, n)
    )


def _run_folders(root: Path, names: list[str]) -> list[str]:
    """Return the folders of studies, and of runs that were copied out of one."""
    there = set(names)
    found = []
    for name in names:
        folder, _, base = name.rpartition("/")
        is_study = base == "study.json" and _has_keys(root / name, json.loads, _STUDY)
        is_run = base == "study.toml" and _has_keys(root / name, tomllib.loads, _RUN)
        if folder and (is_study or (is_run and f"{folder}/catalogue.parquet" in there)):
            found.append(folder)
    return found


def _pictures(root: Path, names: list[str]) -> frozenset[str]:
    """Return the pictures that lie where commands put them, beside the numbers they go with.

    Sheets of `explain`, also those of an earlier call; maps of `units`; the curve of `lr`.
    """
    starts = []
    curves = set()
    for name in names:
        folder, _, base = name.rpartition("/")
        if base == "explanations.json" and _has_keys(root / name, json.loads, _EXPLAINED):
            starts.append(posixpath.join(folder, "explanations/"))
        if base == "units.json" and _has_keys(root / name, json.loads, _DISSECTED):
            starts.append(posixpath.join(folder, "units-"))
        if base.endswith(".csv") and header_of(root, name) == _RATES:
            curves.add(name.removesuffix(".csv"))
    pngs = {name: name[: -len(".png")] for name in names if name.lower().endswith(".png")}
    return frozenset(n for n, stem in pngs.items() if stem in curves or _follows(stem, starts))


def _follows(stem: str, starts: list[str]) -> bool:
    return any(stem.startswith(s) and "/" not in stem.removeprefix(s) for s in starts)


def _has_keys(path: Path, parse: Callable[[str], object], keys: frozenset[str]) -> bool:
    try:
        content = parse(path.read_text())
    except (ValueError, OSError):  # somebody else's file, whatever it is
        return False
    return isinstance(content, dict) and keys <= set(content)


def _is_output(root: Path, name: str) -> bool:
    """Say whether a file is a page of ours, or a table: by its first columns or its metadata."""
    try:
        if name.endswith(".html"):
            with Sources(root) as sources:
                return _PAGE in sources.head(name)
        if name.endswith(".csv"):
            header = header_of(root, name)
            begins = any(header[: len(ours)] == ours for ours in (_PAIRS, _SUSPECTS, _ANSWERS))
            is_beside = header in _IDS and (root / name).with_suffix(".npy").is_file()
            return header in (*_SPLITS, _RATES) or begins or is_beside
        if name.endswith(".parquet"):
            schema = pq.read_schema(root / name)
            meta = json.loads((schema.metadata or {}).get(b"moulage", b"{}"))
            return "prior" in meta or tuple(schema.names[: len(_FEATURES[0])]) in _FEATURES
    except (ValueError, OSError, pa.ArrowException):  # no table: told by whoever reads it
        return False
    return False
