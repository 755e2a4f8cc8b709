"""Find and read the files of a data set, loose below its root or inside zips there.

In:  a folder, a zip or a table file.   Out: a `Place`, its root and the names of all its files;
their bytes. A name is relative to the root, with forward slashes; a zip's member reads
`part_1.zip!/ISIC_0024306.jpg`.
Knows nothing of what the files mean.
Why: the original downloads are zips of gigabytes, which need not be unpacked to be read.
"""

import hashlib
import io
import os
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from moulage.catalogue import MEMBER
from moulage.data.paths import split_member
from moulage.data.rows import Lines, lines_of, places_of, rows_of, too_long
from moulage.errors import DataError, examples

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jfif")
TABLE_ENDINGS = (".csv", ".tsv", ".tab", ".parquet")
_TEXT_ENDINGS = (".txt", ".md", ".json", ".toml", ".yaml", ".xml", ".html", ".pdf", ".ini", ".db")
_WORKBOOK_ENDINGS = (".xlsx", ".xlsm", ".xls", ".ods")
MASK_SUFFIX = "_segmentation"
_HEADER_BYTES = 1 << 16
_HIDDEN = (".", "__MACOSX")
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a data set lies: `names` of all files below `root`, loose ones before zipped ones."""

    root: Path
    names: tuple[str, ...]

    def images(self, below: str | None = None) -> list[str]:
        """Return the names of photographs, not of lesion masks, perhaps below one folder."""
        return [
            name
            for name in self.names
            if is_image(name) and not is_mask(name) and (below is None or _lies_below(name, below))
        ]

    def masks(self) -> list[str]:
        """Return the names of lesion masks."""
        return [name for name in self.names if is_image(name) and is_mask(name)]

    def tables(self) -> list[str]:
        """Return the names of files that may hold a table."""
        return [name for name in self.names if name.lower().endswith(TABLE_ENDINGS)]

    def workbooks(self) -> list[str]:
        """Return the names of spreadsheets, which are not read."""
        return [name for name in self.names if name.lower().endswith(_WORKBOOK_ENDINGS)]

    def strangers(self) -> list[str]:
        """Return the names of files that are no readable images, no tables and no text."""
        known = (*IMAGE_ENDINGS, *TABLE_ENDINGS, *_WORKBOOK_ENDINGS, *_TEXT_ENDINGS)
        return [name for name in self.names if not name.lower().endswith(known)]


def open_place(path: Path) -> Place:
    """List a folder, one zip, or the folder of one table file."""
    if not path.exists():
        raise DataError(
            f"`path` must be a folder, a zip or a table that exists; got {path}. Correct the path."
        )
    if path.is_dir():
        return Place(root=path.resolve(), names=tuple(_list_folder(path.resolve())))
    root = path.parent.resolve()
    if _is_zip(path.name):
        return Place(root=root, names=tuple(_list_zip(root, path.name)))
    if zipfile.is_zipfile(path):
        raise DataError(
            f"A zip must have a name that ends in .zip; got {path}. Rename it, or export it as CSV "
            "if it is a workbook."
        )
    return Place(root=root, names=tuple(_list_folder(root)))


def is_image(name: str) -> bool:
    """Say whether a name ends as the names of readable images do."""
    return name.lower().endswith(IMAGE_ENDINGS)


def is_mask(name: str) -> bool:
    """Say whether an image is called as the outline of a lesion is."""
    return MASK_SUFFIX in name and stem_of(name).endswith(MASK_SUFFIX)


def left_aside(strangers: list[str]) -> list[str]:
    """Return a note on files that lie where images do and cannot be read as such."""
    if not strangers:
        return []
    is_one = len(strangers) == 1
    what = (
        "file beside the images is no image" if is_one else "files beside the images are no images"
    )
    left_out = "is left out" if is_one else "are left out"
    return [
        f"{len(strangers)} {what} that can be read ({examples(strangers)}) and {left_out}: convert "
        "pictures to PNG or JPEG."
    ]


def stem_of(name: str) -> str:
    """Return an image's name without its folders and its ending; an id may have dots of its own.

    >>> stem_of("part_1.zip!/images/ISIC_0024306.jpg"), stem_of("lesion6.2")
    ('ISIC_0024306', 'lesion6.2')
    """
    base = name.rpartition("/")[2]
    stem, _, ending = base.rpartition(".")
    return stem if stem and f".{ending.lower()}" in IMAGE_ENDINGS else base


def by_stem(names: Iterable[str]) -> dict[str, str]:
    """Return stem → name; of several files with one stem the first counts."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(stem_of(name), name)
    return found


def by_base(names: Iterable[str]) -> dict[str, str]:
    """Return file name without folders → name, as written and by `base_of`; the first counts."""
    found: dict[str, str] = {}
    listed = list(names)
    for name in listed:
        found.setdefault(name.rpartition("/")[2], name)
    for name in listed:
        found.setdefault(base_of(name), name)
    return found


def base_of(name: str) -> str:
    """Return an image's name without its folders, its ending in small letters.

    >>> base_of("images/IMG_1.JPG")
    'IMG_1.jpg'
    """
    base, stem = name.rpartition("/")[2], stem_of(name)
    return stem + base[len(stem) :].lower()


def is_shown(name: str) -> bool:
    """Say whether a file or folder is one of the user's, and not the system's."""
    return not name.startswith(_HIDDEN)


class Sources:
    """Reads files below a root; zips stay open in between. Threads may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._zips: dict[str, zipfile.ZipFile] = {}
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for archive in self._zips.values():
            archive.close()

    def read(self, name: str) -> bytes:
        """Return a file's bytes; raises OSError, also where a zip is damaged or lacks it."""
        inside = split_member(name)
        if inside is None:
            return (self._root / name).read_bytes()
        archive, member = inside
        with _as_os_errors(name):
            return self._zip(archive).read(member)

    def digest(self, name: str) -> str:
        """Return a digest of a file's bytes, or the kind of error where it cannot be read."""
        try:
            return hashlib.sha256(self.read(name)).hexdigest()
        except OSError as error:
            return type(error).__name__

    def head(self, name: str) -> bytes:
        """Return a file's first 64 KiB."""
        inside = split_member(name)
        if inside is None:
            with (self._root / name).open("rb") as file:
                return file.read(_HEADER_BYTES)
        archive, member = inside
        with _as_os_errors(name), self._zip(archive).open(member) as file:
            return file.read(_HEADER_BYTES)

    def stamp(self, name: str) -> tuple[int, ...]:
        """Return what changes when a file does: size, time and who may read it, or a zip member's
        size and CRC.

        Raises OSError as `read` does.
        """
        inside = split_member(name)
        if inside is None:
            # Asked of every image; a Path of each takes longer.
            status = os.stat(f"{self._root}{os.sep}{name}")  # noqa: PTH116
            return status.st_size, status.st_mtime_ns, status.st_mode
        archive, member = inside
        with _as_os_errors(name):
            info = self._zip(archive).getinfo(member)
        return info.file_size, info.CRC

    def _zip(self, archive: str) -> zipfile.ZipFile:
        with self._opening:
            if archive not in self._zips:
                self._zips[archive] = zipfile.ZipFile(self._root / archive)
            return self._zips[archive]


@contextmanager
def _as_os_errors(name: str) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise FileNotFoundError(f"no such file in its zip: {name}") from error
    except _ZIP_FAULTS as error:
        raise OSError(f"damaged zip at {name}: {error}") from error


def read_table(root: Path, name: str, *, n_rows: int | None = None) -> pd.DataFrame:
    """Read CSV (comma, tab or semicolon) as text, or Parquet as it is; empty cells are NaN.

    n_rows: the first so many alone; of a CSV file no others are parsed. The index says where each
    row stands: "line", as the file counts them, or "row".
    """
    with Sources(root) as sources:
        content = sources.read(name)
    try:
        if name.lower().endswith(".parquet"):
            frame = pd.read_parquet(io.BytesIO(content)).iloc[:n_rows]
            frame = frame.reset_index() if any(frame.index.names) else frame
            return frame.set_axis(rows_of(len(frame)))
        lines = lines_of(content.decode("utf-8-sig"))
        frame = _parse_text(lines, n_rows)
    except (ValueError, OSError) as error:  # pandas' and pyarrow's faults are of these two kinds
        raise _refusal(content, name, root, error) from error
    if len(frame) and not isinstance(frame.index, pd.RangeIndex):  # it took cells that are too many
        raise _refusal(content, name, root, DataError("rows longer than the header"))
    _refuse_twins(lines, name)
    return frame.set_axis(places_of(lines, len(frame)) if n_rows is None else rows_of(len(frame)))


def header_of(root: Path, name: str) -> tuple[str, ...]:
    """Return the column names of a table, or nothing where there are none."""
    if name.lower().endswith(".parquet"):
        return _parquet_header(root, name)
    with Sources(root) as sources:
        lines = lines_of(sources.head(name).decode("utf-8-sig", errors="replace"))
    text = lines.text.partition("\n")[0].strip()
    return tuple(cell.strip().strip('"') for cell in text.split(lines.separator))


def _parquet_header(root: Path, name: str) -> tuple[str, ...]:
    try:
        if split_member(name) is None:
            return tuple(pq.read_schema(root / name).names)
        with Sources(root) as sources:
            return tuple(pq.read_schema(io.BytesIO(sources.read(name))).names)
    except (ValueError, OSError, pa.ArrowException):  # no table: told by whoever reads it
        return ()


def _parse_text(lines: Lines, n_rows: int | None) -> pd.DataFrame:
    frame = pd.read_csv(
        io.StringIO(lines.text),
        sep=lines.separator,
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        nrows=n_rows,
    )
    return frame.rename(columns=str.strip)


def _refusal(content: bytes, table: str, root: Path, error: Exception) -> DataError:
    """Return what is wrong with a table that cannot be read, in one line."""
    if isinstance(error, UnicodeDecodeError) or table.lower().endswith(".parquet"):
        said = " ".join(str(error).split())
        return DataError(
            f"`{table}` must be a table in UTF-8; got '{said}' in {root}. Export it again as CSV."
        )
    lines = lines_of(content.decode("utf-8-sig"))
    n_cells, longer = too_long(lines)
    if longer:
        return DataError(
            f"Every row of `{table}` must have no more cells than its header, which has {n_cells}; "
            f"got {len(longer)} that have ({examples(longer)}) in {root}. Put text that holds "
            f"{lines.separator!r} into quotation marks, or delete the cells beyond."
        )
    said = " ".join(str(error).split())
    return DataError(
        f"`{table}` must be a table with a header and closed quotation marks; got '{said}' in "
        f"{root}. Export it again as CSV."
    )


def _refuse_twins(lines: Lines, table: str) -> None:
    """Refuse a column that stands twice: pandas renames the second, and the first would count."""
    header = pd.read_csv(
        io.StringIO(lines.text),
        sep=lines.separator,
        header=None,
        nrows=1,
        dtype=str,
        na_filter=False,
    )
    names = header.iloc[0].str.strip()
    twins = names[(names != "") & names.duplicated()].unique()
    if len(twins):
        raise DataError(
            f"A table must have a column once; got {examples(twins)} more than once in {table}. "
            "Keep the one that is right."
        )


def _lies_below(name: str, folder: str) -> bool:
    if _is_zip(folder) and name.startswith(folder + MEMBER):
        return True
    return name.startswith(f"{folder.rstrip('/')}/")


def _list_folder(root: Path) -> Iterator[str]:
    found = sorted(_walk(root))
    yield from (name for name in found if not _is_zip(name))
    for archive in filter(_is_zip, found):
        yield from _list_zip(root, archive)


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _walk(root: Path) -> Iterator[str]:
    """Follow links, once each: what leaves the root is reported later, not overlooked here."""
    seen: set[str] = set()
    for folder, below, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(filter(is_shown, below))
        relative = Path(folder).relative_to(root).as_posix()
        start = "" if relative == "." else f"{relative}/"
        yield from (start + name for name in files if not name.startswith("."))


def _list_zip(root: Path, archive: str) -> list[str]:
    try:
        with zipfile.ZipFile(root / archive) as opened:
            members = sorted(opened.namelist())
    except (OSError, *_ZIP_FAULTS) as error:
        raise DataError(
            f"`{archive}` must be a whole zip; got '{error}' in {root}. Download it again."
        ) from error
    return [archive + MEMBER + member for member in members if _is_member(member)]


def _is_member(member: str) -> bool:
    parts = member.split("/")
    return bool(parts[-1]) and all(map(is_shown, parts))
