"""Keep what is dear to compute: folders named by their content's key, published by rename.

In:  a kind ("pixels", "activations"), a key (what the content depends on), a builder.
Out: a finished folder, or none: a killed builder leaves only a `.building-*` folder behind.
Knows nothing of images or networks.
Why: a half-written cache that is read as whole gives wrong numbers without a word. A full disk
must raise, so arrays are written with plain writes and mapped only for reading. What is in a
folder is listed when it is published: one that is not so any more is told, and none.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from moulage.errors import ConfigError, RunError, ShapeError
from moulage.seal import fault_among, list_files

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
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*%]')  # and %, which marks their codes
_LONGEST = 200  # bytes, of the 255 that file systems take: room for a suffix and `replacing`
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


def cache_folder() -> Path:
    """Return where caches live: `MOULAGE_CACHE`, else the user's cache directory."""
    if named := os.environ.get("MOULAGE_CACHE"):
        return Path(named)
    return _user_folder("XDG_CACHE_HOME", ".cache", "Caches", "LOCALAPPDATA") / "moulage"


def data_folder() -> Path:
    """Return where lasting records live: `MOULAGE_DATA`, else the user's data directory."""
    if named := os.environ.get("MOULAGE_DATA"):
        return Path(named)
    return _user_folder("XDG_DATA_HOME", ".local/share", "Application Support", "APPDATA") / (
        "moulage"
    )


def digest_of(key: object) -> str:
    """Return 32 hexadecimal digits that are a function of a JSON-able key."""
    text = json.dumps(key, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield where to write a file that then takes the place of `path`: fsync, rename.

    Raises RunError where the disk is full or the folder cannot be written; `path` is then as
    it was before.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def alone_at(path: Path) -> Iterator[None]:
    """Keep other processes that ask for the same out, so that reading and writing are one act.

    They wait, and say so; a killed process keeps nobody out. Where the system or the folder
    allows no lock, nobody is kept out.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.with_name(f".{path.name}.{_LOCK}").open("a")
            stack.enter_context(lock)
            if fcntl is not None:
                _wait_for(lock, path)
        yield


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raises as `replacing` does."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes` does."""
    write_bytes(path, text.encode())


def file_name(name: str) -> str:
    """Return a name that every system takes for a file, less its suffix: most names as they are.

    What a file name cannot hold becomes its code; the rest of a long one becomes a digest.

    >>> file_name("skin/невус 3")
    'skin%2Fневус 3'
    """
    shown = _FORBIDDEN.sub(lambda found: f"%{ord(found[0]):02X}", name)
    if len(shown.encode()) <= _LONGEST:
        return shown
    digest = f"-{digest_of(name)}"
    return shown.encode()[: _LONGEST - len(digest)].decode(errors="ignore") + digest


def separator_of(text: str) -> str:
    """Return what parts a text table's cells: the commonest of `,`, tab and `;` in its first line.

    >>> separator_of("image_id;part\\na,b;test")
    ';'
    """
    return max(",\t;", key=text.partition("\n")[0].count)


def check_ending(path: Path, endings: Sequence[str]) -> None:
    """Raise ConfigError where the name of a file that a user wants written ends otherwise."""
    if path.suffix.lower() not in endings:
        raise ConfigError(
            f"`--out` must end in {' or '.join(endings)}; got '{path}'. Rename the file."
        )


def write_table_beside(path: Path, text: str) -> None:
    """Write `<name>.csv` beside a file that a user named; a table of other columns stays.

    Raises ConfigError there: nobody asked for that name.
    """
    table = path.with_suffix(".csv")
    if table.is_file():
        with table.open(errors="replace") as file:
            header = file.readline()
        if header.rstrip() != text.partition("\n")[0]:
            raise ConfigError(
                f"`--out` must leave room for a table beside it; got {path} where {table.name} "
                "holds other columns. Choose another name."
            )
    write_text(table, text)


def write_json(path: Path, content: object) -> None:
    """Write indented JSON as `write_bytes` does; a NaN is refused, since JSON has none."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


class ArrayWriter:
    """Write a `.npy` file row by row, so that memory holds one batch and a full disk raises."""

    def __init__(self, path: Path, *, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._path = path
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._n_rows = 0

    def __enter__(self) -> Self:
        try:
            self._file = self._path.open("wb")
            header = {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": self._shape,
            }
            np.lib.format.write_array_header_1_0(self._file, header)
        except OSError as error:
            raise _refusal(self._path, error) from error
        return self

    def append(self, rows: NDArray[Any]) -> None:
        """Append `rows (n, …)`; each must have the shape and type that were announced."""
        if rows.shape[1:] != self._shape[1:] or rows.dtype != self._dtype:
            raise ShapeError(
                f"`rows` must have shape (n, {', '.join(map(str, self._shape[1:]))}) and type "
                f"{self._dtype}; got {rows.shape} of {rows.dtype}. Convert them first."
            )
        try:
            self._file.write(np.ascontiguousarray(rows).data)
        except OSError as error:
            raise _refusal(self._path, error) from error
        self._n_rows += len(rows)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError as fault:
            raise _refusal(self._path, fault) from fault
        if error is None and self._n_rows != self._shape[0]:
            raise ShapeError(
                f"`{self._path.name}` must have {self._shape[0]} rows; got {self._n_rows}. "
                "Append every row before the file is closed."
            )


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
        raise _refusal(building, error) from error
    try:
        yield building
        write_json(building / _ABOUT, {**(about or {}), _FILES: list_files(building)})
        write_json(building / _KEY, dict(key))
        _rename(building, room / digest_of(key))
    except OSError as error:
        if isinstance(error, RunError):
            raise
        raise _refusal(building, error) from error
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


def _user_folder(variable: str, linux: str, mac: str, windows: str) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac
    if sys.platform == "win32":
        return Path(os.environ.get(windows, Path.home()))
    return Path(os.environ.get(variable) or Path.home() / linux)


def _refusal(path: Path, error: OSError) -> RunError:
    if isinstance(error, IsADirectoryError):
        return RunError(f"`{path}` must be the name of a file; got a folder's. Name a file.")
    reason = error.strerror or str(error)
    moved = "`--out` names it, where the command has that"
    if path.is_relative_to(data_folder()):
        moved = "MOULAGE_DATA moves the records"
    elif path.is_relative_to(cache_folder()):
        moved = "MOULAGE_CACHE moves the cache"
    return RunError(
        f"`{path}` must be writable and its disk must have room; got '{reason}'. Free space or "
        f"choose another folder ({moved}), then run the same command again."
    )


def _rename(building: Path, folder: Path) -> None:
    try:
        building.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        if not drop_unless_whole(folder, verify=False):  # it is ours that counts
            building.rename(folder)


def _wait_for(lock: IO[str], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.info("waiting for another process, which is at work on %s", path)
        fcntl.flock(lock, fcntl.LOCK_EX)


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
