"""Keep a catalogue's images, decoded once, as one array of squares in the cache.

In:  a catalogue, a size, a resize rule.   Out: `Pixels`, a memory map with a row an image.
Knows nothing of diagnoses or networks.
Why: an epoch must not pay for decoding. A batch is held in memory, rows are written in order,
and the folder is published whole: a killed build is never read.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage import files, store
from moulage.catalogue import Catalogue
from moulage.data.decoding import N_THREADS, Batch, Unreadable, decode_batches
from moulage.data.images import Resize
from moulage.data.sources import Sources
from moulage.errors import DataError, examples
from moulage.seal import digest_of

Progress = Callable[[int, int], None]

_KIND = "pixels"
_ARRAY, _BROKEN, _DIGEST = "pixels.npy", "unreadable.json", "digest.txt"
_DECODER = 2  # raise it when the same file would become other pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pixels:
    """The decoded images of a catalogue.

    array: (N, H, W, 3) uint8 in [0, 255], RGB, a read-only memory map. image_ids (N,) str and
    rows (N,) int64: the catalogue's rows that remain; `catalogue.take(pixels.rows)` matches the
    array row by row. skipped: the others and why. key: what is computed from these is keyed by it.
    digest: a function of the array alone, wherever the files lie.
    """

    array: NDArray[np.uint8]
    key: str
    digest: str
    image_ids: NDArray[np.str_]
    rows: NDArray[np.int64]
    skipped: tuple[Unreadable, ...] = ()


def build_pixels(
    catalogue: Catalogue,
    *,
    size_px: int,
    resize: Resize,
    threads: int = N_THREADS,
    unreadable: Literal["refuse", "skip"] = "refuse",
    verify: bool = False,
    progress: Progress | None = None,
) -> Pixels:
    """Return the catalogue's pixels, from the cache or decoded now.

    A source is known by path, size and time, or a zip member's CRC; `verify` hashes all bytes, and
    those of the cache.
    unreadable: "refuse" raises a DataError that counts causes, "skip" leaves such images out.
    progress: called with (done, all) after each batch that is decoded.
    """
    key = _key(catalogue, size_px=size_px, resize=resize, verify=verify)
    refuses = unreadable == "refuse"
    folder = store.find(_KIND, key, verify=verify)
    if folder is None:
        _build(catalogue, key, resize=resize, threads=threads, refuses=refuses, progress=progress)
        folder = store.find(_KIND, key)
    assert folder is not None, "what was just published is found"
    skipped = _read_broken(folder / _BROKEN)
    _check_broken(skipped, catalogue, refuses=refuses)
    rows = np.delete(np.arange(len(catalogue)), [fault.row for fault in skipped])
    return Pixels(
        array=np.load(folder / _ARRAY, mmap_mode="r")[: len(rows)],
        key=digest_of(key),
        digest=(folder / _DIGEST).read_text(),
        image_ids=catalogue.image_ids[rows],
        rows=rows,
        skipped=skipped,
    )


def _key(catalogue: Catalogue, *, size_px: int, resize: Resize, verify: bool) -> dict[str, Any]:
    paths = catalogue.frame["path"].tolist()
    know = Sources.digest if verify else _stamp
    with Sources(catalogue.root) as sources:
        known = [(path, know(sources, path)) for path in paths]
    return {
        "sources": digest_of([None if verify else str(catalogue.root), known]),
        "n_images": len(paths),
        "size_px": size_px,
        "resize": resize,
        "decoder": f"{_DECODER}, OpenCV {cv2.__version__}",
    }


def _stamp(sources: Sources, path: str) -> tuple[int, ...] | str:
    try:
        return sources.stamp(path)
    except OSError as error:  # told when it is decoded
        return type(error).__name__


def _build(
    catalogue: Catalogue,
    key: Mapping[str, Any],
    *,
    resize: Resize,
    threads: int,
    refuses: bool,
    progress: Progress | None,
) -> None:
    """Fill and publish the folder of a key; nothing is published where a file is refused."""
    batches = decode_batches(
        catalogue.frame["path"].tolist(),
        root=catalogue.root,
        size_px=key["size_px"],
        resize=resize,
        threads=threads,
    )
    about = {"dataset": catalogue.name, "root": str(catalogue.root)}
    with store.publish(_KIND, key, about=about) as folder:
        broken, digest = _write(folder / _ARRAY, batches, _shape(key), progress)
        _check_broken(broken, catalogue, refuses=refuses)
        files.write_json(folder / _BROKEN, [asdict(fault) for fault in broken])
        files.write_text(folder / _DIGEST, digest)


def _write(
    path: Path, batches: Iterator[Batch], shape: tuple[int, ...], progress: Progress | None
) -> tuple[list[Unreadable], str]:
    """Write the rows that can be decoded, in order, then an empty one for each that cannot.

    Returns what cannot, and the sha256 of what can.
    """
    broken: list[Unreadable] = []
    seen = hashlib.sha256()
    with files.ArrayWriter(path, shape=shape, dtype=np.uint8) as writer:
        for batch in batches:
            writer.append(batch.pixels)
            seen.update(batch.pixels.data)
            broken += batch.unreadable
            if progress:
                progress(batch.n_seen, shape[0])
        for _ in broken:
            writer.append(np.zeros((1, *shape[1:]), dtype=np.uint8))
    return broken, seen.hexdigest()


def _shape(key: Mapping[str, Any]) -> tuple[int, ...]:
    return key["n_images"], key["size_px"], key["size_px"], 3


def _read_broken(path: Path) -> tuple[Unreadable, ...]:
    return tuple(Unreadable(**fields) for fields in json.loads(path.read_text()))


def _check_broken(broken: Sequence[Unreadable], catalogue: Catalogue, *, refuses: bool) -> None:
    if not broken or not (refuses or len(broken) == len(catalogue)):
        return
    counts = ", ".join(f"{cause} {n}" for cause, n in Counter(f.cause for f in broken).items())
    named = examples(f"{fault.path}: {fault.cause}" for fault in broken)
    raise DataError(
        f"Every image must be readable; got {len(broken)} that are not ({counts}) in "
        f"{catalogue.root} ({named}). Replace these files, take their "
        'rows out of the table, or, in a study, skip them with `images.unreadable = "skip"`.'
    )
