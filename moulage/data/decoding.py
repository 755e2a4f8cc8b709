"""Decode many image files with threads, a bounded batch at a time, in order.

In:  paths of files, a size, a resize rule.   Out: batches of squares, and what cannot be read.
Knows nothing of catalogues or caches.
Why: the decoder releases the interpreter's lock, so threads are enough; a batch is the most that
memory ever holds.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moulage.data.complaints import listening
from moulage.data.images import Resize, check_complaints, check_layout, decode_aloud
from moulage.data.outputs import without_outputs
from moulage.data.sources import IMAGE_ENDINGS, Place, Sources, left_aside, open_place
from moulage.errors import DataError, ImageError, examples

N_THREADS = min(8, os.cpu_count() or 1)
_BATCH_BYTES = 16 << 20
_MOST_ROWS = 256

Square = NDArray[np.uint8]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file that could not be decoded; `row` is its place among those asked for."""

    row: int
    path: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Some of the files asked for, in order.

    pixels: (n, H, W, 3) uint8 in [0, 255], RGB. rows (n,) int64, paths: which files these are.
    unreadable: those in between that are not. n_seen: how many of all are behind us.
    """

    pixels: Square
    rows: NDArray[np.int64]
    paths: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    n_seen: int


def list_image_files(paths: Sequence[Path]) -> list[str]:
    """Return files as named, and the images of each folder or zip named, in order, each once.

    Told are pictures that moulage drew, masks and files that are no readable images there, and
    files named more than once, of which the first name counts. Raises DataError where a folder or
    zip has no images.
    """
    listed: list[str] = []
    for path in map(Path, paths):
        if path.is_dir() or path.suffix.lower() == ".zip":
            everything = open_place(path)
            place = without_outputs(everything)
            for note in (
                *_outputs_aside(everything.images(), place.images(), path),
                *_masks_aside(place, path),
                *left_aside(place.strangers()),
            ):
                _log.warning(note)
            images = place.images()
            if not images:
                raise DataError(
                    f"A folder or zip must hold images ({', '.join(IMAGE_ENDINGS)}); got none "
                    f"among {len(everything.names)} files in {path}. Name the folder that has them."
                )
            listed += [f"{place.root}/{name}" for name in images]
        else:
            listed.append(str(path))
    return _each_once(listed)


def _outputs_aside(images: list[str], left: list[str], path: Path) -> list[str]:
    ours = sorted({*images} - {*left})
    if not ours:
        return []
    return [
        f"{len(ours)} {'image is a picture' if len(ours) == 1 else 'images are pictures'} that "
        f"moulage drew ({examples(ours)}), passed over in {path}: name one by one what to read."
    ]


def _masks_aside(place: Place, path: Path) -> list[str]:
    masks = place.masks()
    if not masks:
        return []
    return [
        f"{len(masks)} files in {path} are called as lesion masks are ({examples(masks)}) and are "
        "passed over: name those that are photographs one by one."
    ]


def _each_once(names: list[str]) -> list[str]:
    """Return the first name of each file, however its folder is written; others are told."""
    folders: dict[str, str] = {}
    first: dict[tuple[str, str], str] = {}
    again = []
    for name in names:
        folder, base = os.path.split(name)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        if (key := (folders[folder], base)) in first:
            again.append(name)
        first.setdefault(key, name)
    if again:
        _log.warning(
            f"{len(again)} files were named more than once ({examples(again)}) and count once."
        )
    return list(first.values())


def decode_batches(
    paths: Sequence[str | Path],
    *,
    size_px: int,
    resize: Resize,
    threads: int = N_THREADS,
    root: Path | None = None,
) -> Iterator[Batch]:
    """Yield batches of at most 256 rows and 16 MiB; paths are relative to `root` if given."""
    names = [str(path) for path in paths]
    check_layout(size_px=size_px, resize=resize)
    n_rows = max(1, min(_MOST_ROWS, _BATCH_BYTES // (3 * size_px * size_px)))
    with Sources(root or Path()) as sources, ThreadPoolExecutor(threads) as pool:
        read = partial(_read_square, sources, size_px=size_px, resize=resize)
        for start in range(0, len(names), n_rows):
            few = names[start : start + n_rows]
            yield _decode(few, start, read=read, pool=pool, size_px=size_px)


def _decode(
    names: Sequence[str],
    start: int,
    *,
    read: Callable[[str], Square | ImageError],
    pool: ThreadPoolExecutor,
    size_px: int,
) -> Batch:
    with listening() as ear:
        outcomes = list(pool.map(read, names))
        if ear.news():  # one of them is corrupt: alone, each is heard by itself
            outcomes = [_heard_alone(read(name), ear.news()) for name in names]
    pairs = list(enumerate(zip(names, outcomes, strict=True), start=start))
    good = [(row, name, made) for row, (name, made) in pairs if not isinstance(made, ImageError)]
    shape = (0, size_px, size_px, 3)
    return Batch(
        pixels=np.stack([made for *_, made in good]) if good else np.empty(shape, np.uint8),
        rows=np.array([row for row, *_ in good], dtype=np.int64),
        paths=tuple(name for _, name, _ in good),
        unreadable=tuple(
            Unreadable(row=row, path=name, cause=made.cause)
            for row, (name, made) in pairs
            if isinstance(made, ImageError)
        ),
        n_seen=start + len(names),
    )


def _heard_alone(made: Square | ImageError, heard: str) -> Square | ImageError:
    try:
        check_complaints(heard)
    except ImageError as error:
        return error
    return made


def _read_square(
    sources: Sources, name: str, *, size_px: int, resize: Resize
) -> Square | ImageError:
    try:
        return decode_aloud(sources.read(name), size_px=size_px, resize=resize)
    except ImageError as error:
        return error
    except FileNotFoundError:
        return ImageError("missing", f"An image file must exist; got none at {name}. Restore it.")
    except OSError as error:
        return ImageError("not readable", f"`{name}` must be readable; got '{error}'. Restore it.")
