"""Files: written whole or not at all, named so that every system takes them.

In:  a path and its content.   Out: the file, whole; else what was there before, and a RunError.
Knows nothing of what files mean: only where cache and records lie, and what parts a table's cells.
Why: a half-written file that is read as whole gives wrong numbers without a word. A full disk
must raise, so arrays are written with plain writes, never through a map.
"""

import json
import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from moulage.errors import ConfigError, RunError, ShapeError
from moulage.seal import digest_of

try:
    import fcntl
except ImportError:  # Windows: nobody is kept out there
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*%]')  # and %, which marks their codes
_LONGEST = 200  # bytes, of the 255 that file systems take: room for a suffix and `replacing`


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
        raise refusal_of(path, error) from error
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
            lock = path.with_name(f".{path.name}.lock").open("a")
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
            raise refusal_of(self._path, error) from error
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
            raise refusal_of(self._path, error) from error
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
            raise refusal_of(self._path, fault) from fault
        if error is None and self._n_rows != self._shape[0]:
            raise ShapeError(
                f"`{self._path.name}` must have {self._shape[0]} rows; got {self._n_rows}. "
                "Append every row before the file is closed."
            )


def refusal_of(path: Path, error: OSError) -> RunError:
    """Return what to raise where a path cannot be written: why, and what moves it elsewhere."""
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


def _user_folder(variable: str, linux: str, mac: str, windows: str) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac
    if sys.platform == "win32":
        return Path(os.environ.get(windows, Path.home()))
    return Path(os.environ.get(variable) or Path.home() / linux)


def _wait_for(lock: IO[str], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.info("waiting for another process, which is at work on %s", path)
        fcntl.flock(lock, fcntl.LOCK_EX)
