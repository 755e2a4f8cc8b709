"""Files that are broken, blank, tiny, turned, or there twice.

In:  the table of `files`, looks of `appearance`, ids, what could not be decoded.
Out: faults, a row each, by kind.
Knows nothing of how files are decoded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Kind = Literal["unreadable", "blank", "tiny", "turned", "upright", "twice"]
KINDS: Mapping[Kind, str] = {
    "unreadable": "cannot be read",
    "blank": "show nothing, one shade all over",
    "tiny": "are smaller than 64 pixels",
    "turned": "carry a note to be turned, which not every program follows",
    "upright": "stand upright where nearly all lie on their side, or the other way round",
    "twice": "have the bytes of another file",
}
TINY_PX = 64
_BLANK_CONTRAST = 2.0  # grey levels
_NEARLY_ALL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of one image; `detail` is in words, `other` the first file of the same bytes."""

    kind: Kind
    row: int
    image_id: str
    detail: str
    other: str = ""


def find_faults(
    *,
    files: pd.DataFrame,
    looks: pd.DataFrame,
    looked_at: NDArray[np.int64],
    unreadable: Mapping[int, str],
    image_ids: NDArray[np.str_],
) -> tuple[Fault, ...]:
    """Return every fault, kinds in the order of `KINDS`, rows ascending within.

    looks: a row for each of `looked_at`, the rows of `files` that could be decoded.
    unreadable: row → cause, of the others.
    """
    rows: list[tuple[Kind, int, str, str]] = []
    causes = {
        **{row: cause for row, cause in enumerate(files["cause"].tolist()) if cause},
        **unreadable,
    }
    rows += [("unreadable", row, cause, "") for row, cause in sorted(causes.items())]
    contrast = looks["contrast"].to_numpy(dtype=np.float64)
    rows += [
        ("blank", int(looked_at[place]), f"grey levels deviate by {contrast[place]:.1f}", "")
        for place in np.flatnonzero(contrast < _BLANK_CONTRAST)
    ]
    rows += _sizes(files)
    rows += _twice(files["digest"].tolist(), image_ids)
    order = list(KINDS)
    return tuple(
        Fault(kind=kind, row=row, image_id=str(image_ids[row]), detail=detail, other=other)
        for kind, row, detail, other in sorted(rows, key=lambda one: (order.index(one[0]), one[1]))
    )


def count_faults(faults: Sequence[Fault]) -> dict[Kind, int]:
    """Return how many images have each kind of fault; kinds without any are left out."""
    counts = {kind: sum(fault.kind == kind for fault in faults) for kind in KINDS}
    return {kind: count for kind, count in counts.items() if count}


def _sizes(files: pd.DataFrame) -> list[tuple[Kind, int, str, str]]:
    width, height = files["width"].to_numpy(), files["height"].to_numpy()
    is_known = files["cause"].to_numpy(dtype=str) == ""
    found: list[tuple[Kind, int, str, str]] = []
    for row in np.flatnonzero(is_known & (np.minimum(width, height) < TINY_PX)):
        found.append(("tiny", int(row), f"{width[row]} × {height[row]}", ""))
    turns = files["turn"].to_numpy()
    for row in np.flatnonzero(is_known & (turns != 1)):
        found.append(("turned", int(row), f"EXIF orientation {turns[row]}", ""))
    lies, stands = is_known & (width > height), is_known & (height > width)
    n_long = int(lies.sum() + stands.sum())
    for few in (lies, stands):
        if n_long and 0 < few.sum() <= (1 - _NEARLY_ALL) * n_long:
            for row in np.flatnonzero(few):
                found.append(("upright", int(row), f"{width[row]} × {height[row]}", ""))
    return found


def _twice(digests: Sequence[str], image_ids: NDArray[np.str_]) -> list[tuple[Kind, int, str, str]]:
    first: dict[str, int] = {}
    found: list[tuple[Kind, int, str, str]] = []
    for row, digest in enumerate(digests):
        if digest and first.setdefault(digest, row) != row:
            other = str(image_ids[first[digest]])
            found.append(("twice", row, f"the same bytes as {other}", other))
    return found
