"""Say of each path of a catalogue whether its file is there, and below the root.

In:  paths relative to a root, a zip's member as `part_1.zip!/a.jpg`.   Out: a verdict a path.
Knows nothing of diagnoses or pixels.
Why: files are looked up folder by folder, not one by one, so that 40,000 rows take a fraction of
a second; a link that leads out of the root is found without following any other.
"""

import os
import posixpath
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import MEMBER

_FROM_TOP = re.compile("/|[A-Za-z]:/")

Verdict = Literal["found", "missing", "outside"]


def judge_paths(paths: NDArray[np.str_], root: Path) -> NDArray[np.str_]:
    """Return a `Verdict` (N,) for each path (N,)."""
    real_root = os.path.realpath(root)
    verdict_of: dict[str, Verdict] = {}
    for holder, names in _by_holder(set(paths.tolist())).items():
        verdict_of |= _judge_holder(holder, names, real_root)
    return np.array([verdict_of[path] for path in paths.tolist()], dtype=str)


def leaves_root(path: str) -> bool:
    """Say whether a path, as text, points outside of the folder it is relative to.

    >>> leaves_root("images/../../secret.jpg"), leaves_root("images/../a.jpg")
    (True, False)
    """
    slashed = path.replace("\\", "/")
    if _FROM_TOP.match(slashed):
        return True
    return ".." in slashed and posixpath.normpath(slashed).split("/")[0] == ".."


def _by_holder(paths: Iterable[str]) -> dict[str, list[str]]:
    """Group paths by their folder, or by their zip (`…zip!/`)."""
    groups: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        archive, inside, _ = path.partition(MEMBER)
        groups[archive + MEMBER if inside else posixpath.dirname(path)].append(path)
    return groups


def _judge_holder(holder: str, paths: list[str], root: str) -> dict[str, Verdict]:
    if not holder.endswith(MEMBER):
        return _judge_folder(holder, paths, root)
    archive = holder.removesuffix(MEMBER)
    verdict = _judge_folder(posixpath.dirname(archive), [archive], root)[archive]
    if verdict != "found":
        return dict.fromkeys(paths, verdict)
    members = _members(Path(root, archive))
    return {path: "found" if path.partition(MEMBER)[2] in members else "missing" for path in paths}


def _judge_folder(folder: str, paths: list[str], root: str) -> dict[str, Verdict]:
    real = os.path.realpath(Path(root, folder))
    if not _is_below(real, root):
        return dict.fromkeys(paths, "outside")
    files = _files(real)
    return {path: _judge_file(path, files, root) for path in paths}


def _judge_file(path: str, files: Mapping[str, bool], root: str) -> Verdict:
    if leaves_root(path):
        return "outside"
    name = posixpath.basename(path)
    if name not in files:
        return "missing"
    is_link = files[name]
    return (
        "found" if not is_link or _is_below(os.path.realpath(Path(root, path)), root) else "outside"
    )


def _files(folder: str) -> dict[str, bool]:
    """Return file name → whether it is a link."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.is_symlink() for entry in entries if entry.is_file()}
    except OSError:  # no such folder, or none that may be read: its files are missing
        return {}


def _members(archive: Path) -> frozenset[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return frozenset(opened.namelist())
    except (OSError, zipfile.BadZipFile):
        return frozenset()


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
