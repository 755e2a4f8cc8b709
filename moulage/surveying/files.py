"""What the files say of themselves: bytes, size, format, JPEG tables, turn, what is broken.

In:  paths below a data set's root, its images or their zips.   Out: a table, a row a file.
Knows nothing of diagnoses or of how the pixels look.
Why: a camera, a clinic or an export leaves its mark in the file; where diagnoses come from
different places, a network can read the place instead of the lesion.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moulage.data.headers import noted_turn, quantisation_steps, read_header
from moulage.data.sources import Sources
from moulage.errors import ImageError

COLUMNS = ("n_bytes", "digest", "format", "width", "height", "turn", "tables", "cause")
_N_THREADS = 2
_BATCH = 512
_UNREAD: dict[str, Any] = {
    "n_bytes": 0,
    "digest": "",
    "format": "",
    "width": 0,
    "height": 0,
    "turn": 1,
    "tables": "",
    "cause": "",
}


def examine_files(
    paths: Sequence[str], *, root: Path, progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Return `COLUMNS`, a row a path; `cause` is empty where the header can be read.

    tables: the mean step of a JPEG's first quantisation table and a digest of it. A turn other
    than 1 is one that some programs follow and others do not.
    """
    rows: list[dict[str, Any]] = []
    with Sources(root) as sources, ThreadPoolExecutor(_N_THREADS) as pool:
        for start in range(0, len(paths), _BATCH):
            few = paths[start : start + _BATCH]
            rows += pool.map(partial(_examine, sources), few)
            if progress:
                progress(len(rows), len(paths))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _examine(sources: Sources, path: str) -> dict[str, Any]:
    try:
        content = sources.read(path)
    except FileNotFoundError:
        return {**_UNREAD, "cause": "missing"}
    except OSError:
        return {**_UNREAD, "cause": "not readable"}
    known = {"n_bytes": len(content), "digest": hashlib.sha256(content).hexdigest()}
    try:
        header = read_header(content)
    except ImageError as error:
        return {**_UNREAD, **known, "cause": error.cause}
    return {
        **known,
        "format": header.format,
        "width": header.width,
        "height": header.height,
        "turn": noted_turn(content, header),
        "tables": _named(quantisation_steps(content)),
        "cause": "",
    }


def _named(steps: tuple[int, ...]) -> str:
    """Name a table by its mean step: the coarser, the smaller the file."""
    if not steps:
        return ""
    digest = hashlib.sha256(np.array(steps, dtype=np.int64).tobytes()).hexdigest()
    return f"{np.mean(steps):.1f} ({digest[:4]})"
