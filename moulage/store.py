"""Keep what is dear to compute: folders named by their content's key, published by rename.

In:  a kind ("pixels", "activations"), a key (what the content depends on), a builder.
Out: a finished folder, or none: a killed builder leaves only a `.building-*` folder behind.
Knows nothing of images or networks; its files are written by `files`.
Why: a half-written cache that is read as whole gives wrong numbers without a word. What is in a
folder is listed when it is published: one that is not so any more is told, and none.
"""

import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moulage.errors import ConfigError, RunError
from moulage.files import cache_folder, refusal_of, write_json
from moulage.seal import digest_of, fault_among, list_files

try:
    import fcntl
except ImportError:  # Windows refuses to delete a file that is open: no lock is needed there
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_BUILDING = ".building-"
_LOCK = "lock"
_KEY, _ABOUT = "key.json", "about.json"
_FILES = "files"  # in about.json: the list; folders of before 2026-11-28 have none
_DIGEST = re.compile(r"[0-9a-f]{32}")
_STALE_S = 24 * 3600
_held: dict[Path, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One finished folder of the cache; `about` is for people and no part of its key.

    fault: what of it is not as it was published, if anything; key and about are then empty.
    """

    folder: Path
    kind: str
    key: Mapping[str, Any]
    about: Mapping[str, Any]
    size_bytes: int
    used_at: float
    fault: str = ""


def find(kind: str, key: Mapping[str, Any], *, verify: bool = False) -> Path | None:
    """Return the finished folder of this key, held against pruning until the process ends.

    One that is not as it was published is told, dropped, and none. That is seen by the sizes of
    its files and by their heads; verify: by every byte.
    """
    folder = cache_folder() / kind / digest_of(key)
    if (folder / _KEY).is_file() and not _hold(folder):
        return None
    if not folder.is_dir() or not drop_unless_whole(folder, verify=verify):
        return None
    with suppress(OSError):  # a read-only cache is as good; it only looks older than it is
        os.utime(folder / _KEY)
    return folder


def drop_unless_whole(folder: Path, *, verify: bool) -> bool:
    """Say whether a folder is as it was published; warn and delete it if not, held or not.

    Who has mapped its files keeps them. verify: read every byte.
    """
    fault = _fault(folder, verify=verify)
    if not fault or not folder.is_dir():  # another may have been faster
        return not fault
    logger.warning("%s is not whole (%s): what it held is computed anew", folder, fault)
    if (handle := _held.pop(folder, None)) is not None:
        os.close(handle)
    with suppress(OSError):
        _delete(folder)
    return False


@contextmanager
def publish(
    kind: str, key: Mapping[str, Any], *, about: Mapping[str, Any] | None = None
) -> Iterator[Path]:
    """Yield an empty folder to fill; at a clean end it becomes the folder of this key.

    about: what lists of the cache say of it, such as its data set; it changes no key.
    Where another builder was faster, ours is dropped: both hold the same content. The disk has
    all of it before it gets its name.
    """
    room = cache_folder() / kind
    building = room / f"{_BUILDING}{digest_of(key)}-{secrets.token_hex(4)}"
    try:
        building.mkdir(parents=True)
    except OSError as error:
        raise refusal_of(building, error) from error
    try:
        yield building
        write_json(building / _ABOUT, {**(about or {}), _FILES: list_files(building)})
        write_json(building / _KEY, dict(key))
        _rename(building, room / digest_of(key))
    except OSError as error:
        if isinstance(error, RunError):
            raise
        raise refusal_of(building, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def entries() -> list[Entry]:
    """List the finished folders of the cache, torn ones too, last used first."""
    folders = (path for path in cache_folder().glob("*/*/") if _DIGEST.fullmatch(path.name))
    found = [_entry(folder) for folder in folders]
    return sorted(found, key=lambda entry: entry.used_at, reverse=True)


def prune(
    *, older_than_s: float | None = None, keep_bytes: int | None = None
) -> tuple[list[Entry], list[Entry]]:
    """Delete entries unused for `older_than_s`, then the oldest until `keep_bytes` are left.

    Returns (deleted, in use): an entry that a living process holds is never touched. What is torn
    goes too, and what killed builders left behind for a day.
    """
    if older_than_s is None and keep_bytes is None:
        raise ConfigError("`prune` must be told an age or a size; got neither. Pass one.")
    _sweep_unfinished()
    now, found = time.time(), entries()
    left = sum(entry.size_bytes for entry in found)
    deleted: list[Entry] = []
    in_use: list[Entry] = []
    for entry in reversed(found):
        is_old = older_than_s is not None and now - entry.used_at > older_than_s
        if not entry.fault and not is_old and (keep_bytes is None or left <= keep_bytes):
            continue
        if not _delete_unless_held(entry.folder):
            in_use.append(entry)
            continue
        deleted.append(entry)
        left -= entry.size_bytes
    return deleted, in_use


def _rename(building: Path, folder: Path) -> None:
    try:
        building.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        if not drop_unless_whole(folder, verify=False):  # it is ours that counts
            building.rename(folder)


def _hold(folder: Path) -> bool:
    """Say whether a folder is held now; it is not where it was pruned while it was waited for."""
    if fcntl is None or folder in _held:
        return True
    try:
        handle = os.open(folder / _LOCK, os.O_RDONLY | os.O_CREAT)
    except OSError:
        return (folder / _KEY).is_file()  # read-only cache: nobody prunes it either
    with suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_SH)
    if not (folder / _KEY).is_file():
        os.close(handle)
        return False
    _held[folder] = handle
    return True


def _delete_unless_held(folder: Path) -> bool:
    """Delete a folder, or leave it to who holds it, or to another that prunes it."""
    try:
        with ExitStack() as stack:
            if fcntl is not None:
                handle = os.open(folder / _LOCK, os.O_RDONLY | os.O_CREAT)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _delete(folder)  # under the lock: who asks for it now finds none
    except OSError:
        return False
    return True


def _delete(folder: Path) -> None:
    """Take a folder out of sight at once, then file by file."""
    doomed = folder.with_name(f"{_BUILDING}doomed-{secrets.token_hex(4)}")
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _fault(folder: Path, *, verify: bool = False) -> str:
    """Say what of a folder is not as it was published, or nothing."""
    words: dict[str, dict[str, Any]] = {}
    for name in (_KEY, _ABOUT):
        try:
            words[name] = _read(folder / name)
        except FileNotFoundError:
            return f"{name} is gone"
        except (ValueError, TypeError):
            return f"{name} is torn"
    if digest_of(words[_KEY]) != folder.name:
        return f"{_KEY} is another's"
    try:
        return fault_among(folder, words[_ABOUT].get(_FILES, {}), verify=verify)
    except (LookupError, TypeError, AttributeError):
        return f"{_ABOUT} is torn"


def _entry(folder: Path) -> Entry:
    files = [file for file in folder.rglob("*") if file.is_file()]
    fault = _fault(folder)
    key, about = ({} if fault else _read(folder / name) for name in (_KEY, _ABOUT))
    about.pop(_FILES, None)
    return Entry(
        folder=folder,
        kind=folder.parent.name,
        key=key,
        about=about,
        size_bytes=sum(file.stat().st_size for file in files),
        used_at=(folder if fault else folder / _KEY).stat().st_mtime,
        fault=fault,
    )


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def _sweep_unfinished() -> None:
    for folder in cache_folder().glob(f"*/{_BUILDING}*"):
        with suppress(FileNotFoundError):  # another that prunes was faster
            if time.time() - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder, ignore_errors=True)
