"""Choose, of all pairs of thumbnails, the few that may show one lesion: coarse and quick.

In:  coarse contrast maps, a row an image.   Out: `Candidates`, a row a pair.
Knows nothing of ids or certainty; `alignment` looks closer.
Why: fifty million pairs cannot be aligned. A picture of 12 × 12 with local contrast divided out
still ranks the right partner among the first few, over the eight views and a few zooms, as
products of matrices.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, groupby, product
from operator import itemgetter

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.surveying.contrast import local_contrast
from moulage.surveying.frames import lit
from moulage.views import N_VIEWS, apply_view

Maps = NDArray[np.float32]
Rows = NDArray[np.int64]
Progress = Callable[[int, int], None]

ZOOMS = (1.0, 0.88, 0.76)  # the centre's side that one of both shows of the other
_SIDE = 12
_SURROUND = 25  # side of the box that counts as local, of 64 pixels
_BLOCK = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coarse:
    """Unit vectors (N, side²) float32 of each image's whole and of its centres, by zoom."""

    centres: tuple[Maps, ...]

    def __len__(self) -> int:
        return len(self.centres[0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Pairs worth a closer look, a row each.

    first, second (n,): rows of the images. view (n,): what lays the first as the second lies.
    zoom (n,): the side of the first's window that the second shows; above 1 if it shows more.
    score (n,): their coarse correlation.
    """

    first: Rows
    second: Rows
    view: Rows
    zoom: NDArray[np.float64]
    score: Maps

    def __len__(self) -> int:
        return len(self.first)


def make_coarse(greys: NDArray[np.uint8]) -> Coarse:
    """Reduce grey thumbnails (N, H, W) to what the coarse stage compares."""
    maps = [local_contrast(grey, lit(grey), surround=_SURROUND) for grey in greys]
    return Coarse(
        centres=tuple(np.stack([_unit(_centre(one, zoom)) for one in maps]) for zoom in ZOOMS)
    )


def choose_candidates(
    coarse: Coarse,
    other: Coarse | None = None,
    *,
    groups: NDArray[np.int64] | None = None,
    n_best: int,
    progress: Progress | None = None,
) -> Candidates:
    """Return each image's `n_best` likeliest partners, each pair once, without regard to order.

    other: partners are looked for there, not among the images themselves. groups (N,): images of
    one group are no pair.
    """
    found = _Best(len(coarse), n_best), _Best(len(other or coarse), n_best)
    blocks = list(_blocks(len(coarse), None if other is None else len(other)))
    done = count(1)
    for rows, with_these in groupby(blocks, key=itemgetter(0)):
        turned = _turned(coarse, rows)
        for _, columns in with_these:
            scores = _scores(turned, other or coarse, columns)
            if other is None:
                _forbid(scores, rows, columns, groups)
            found[0].take(scores, rows, columns)
            if other is not None or rows != columns:
                (found[0] if other is None else found[1]).take(scores.T, columns, rows)
            if progress:
                progress(next(done), len(blocks))
    pairs = _union(found, is_within=other is None)
    return _explain(coarse, other or coarse, pairs)


class _Best:
    """The best partners of each row so far."""

    def __init__(self, n_rows: int, n_best: int) -> None:
        self.scores = np.full((n_rows, n_best), -1, dtype=np.float32)
        self.partners = np.full((n_rows, n_best), -1, dtype=np.int64)

    def take(self, scores: Maps, rows: slice, columns: slice) -> None:
        """Let the columns compete for the rows' places; in most rows none wins one."""
        n_best = self.scores.shape[1]
        worst = self.scores[rows].min(axis=1, keepdims=True)
        won = np.flatnonzero((scores > worst).any(axis=1))
        scores, chosen = scores[won], won + rows.start
        names = np.broadcast_to(np.arange(columns.start, columns.stop), scores.shape)
        all_scores = np.concatenate([self.scores[chosen], scores], axis=1)
        all_names = np.concatenate([self.partners[chosen], names], axis=1)
        kept = np.argpartition(all_scores, -n_best, axis=1)[:, -n_best:]
        self.scores[chosen] = np.take_along_axis(all_scores, kept, axis=1)
        self.partners[chosen] = np.take_along_axis(all_names, kept, axis=1)


def _centre(maps: Maps, zoom: float) -> Maps:
    """Return the centre of a map, `zoom` of each side, as (side, side)."""
    side = maps.shape[0]
    edge = (1 - zoom) * (side - 1) / 2
    matrix = np.array([[zoom, 0.0, edge], [0.0, zoom, edge]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    window = maps if zoom == 1 else cv2.warpAffine(maps, matrix, (side, side), flags=flags)
    return np.asarray(cv2.resize(window, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _unit(window: Maps) -> Maps:
    centred = window.ravel() - window.mean()
    return np.asarray(centred / np.sqrt(centred @ centred + np.float32(1e-6)), dtype=np.float32)


def _blocks(n_rows: int, n_columns: int | None) -> Iterator[tuple[slice, slice]]:
    """Yield blocks of the table of pairs; of a table with itself the upper half."""
    width = n_rows if n_columns is None else n_columns
    for top, left in product(range(0, n_rows, _BLOCK), range(0, width, _BLOCK)):
        if n_columns is not None or left >= top:
            yield slice(top, min(top + _BLOCK, n_rows)), slice(left, min(left + _BLOCK, width))


def _trials() -> Iterator[tuple[int, int, int]]:
    """Yield (view, the first's zoom, the second's zoom), zooms by their place in `ZOOMS`."""
    zooms = [
        (0, 0),
        *((k, 0) for k in range(1, len(ZOOMS))),
        *((0, k) for k in range(1, len(ZOOMS))),
    ]
    yield from ((view, one, two) for view in range(N_VIEWS) for one, two in zooms)


def _viewed(vectors: Maps, view: int) -> Maps:
    squares = vectors.reshape(len(vectors), _SIDE, _SIDE, 1)
    return np.ascontiguousarray(apply_view(squares, view)).reshape(vectors.shape)


def _turned(coarse: Coarse, rows: slice) -> list[tuple[Maps, int]]:
    """Return, for each trial, the first's vectors of some rows and the second's zoom."""
    return [(_viewed(coarse.centres[one][rows], view), two) for view, one, two in _trials()]


def _scores(turned: list[tuple[Maps, int]], other: Coarse, columns: slice) -> Maps:
    """Return the best correlation over all trials (rows, columns)."""
    best: Maps | None = None
    for vectors, two in turned:
        scores = vectors @ other.centres[two][columns].T
        best = scores if best is None else np.maximum(best, scores, out=best)
    assert best is not None, "there are trials"
    return best


def _forbid(scores: Maps, rows: slice, columns: slice, groups: NDArray[np.int64] | None) -> None:
    """Strike out an image with itself, and images of one group."""
    names = np.arange(max(rows.stop, columns.stop)) if groups is None else groups
    scores[names[rows, None] == names[None, columns]] = -1


def _union(found: tuple["_Best", "_Best"], *, is_within: bool) -> NDArray[np.int64]:
    """Return the chosen pairs (n, 2), each once; smaller row first where both are of one table."""
    own = _pairs_of(found[0])
    if is_within:
        return np.unique(np.sort(own, axis=1), axis=0)
    return np.unique(np.concatenate([own, _pairs_of(found[1])[:, ::-1]]), axis=0)


def _pairs_of(best: "_Best") -> NDArray[np.int64]:
    rows, places = np.nonzero(best.scores > -1)
    return np.stack([rows, best.partners[rows, places]], axis=1)


def _explain(coarse: Coarse, other: Coarse, pairs: NDArray[np.int64]) -> Candidates:
    """Find the trial that each pair's score came from."""
    first, second = pairs[:, 0], pairs[:, 1]
    trials = list(_trials())
    scores = np.stack(
        [
            np.einsum(
                "nd,nd->n",
                _viewed(coarse.centres[one][first], view),
                other.centres[two][second],
            )
            for view, one, two in trials
        ]
    )
    chosen = scores.argmax(axis=0) if len(pairs) else np.zeros(0, dtype=np.int64)
    views, ones, twos = np.array(trials, dtype=np.int64).T
    sides = np.array(ZOOMS)
    return Candidates(
        first=first,
        second=second,
        view=views[chosen],
        zoom=sides[ones[chosen]] / sides[twos[chosen]],
        score=np.asarray(scores[chosen, np.arange(len(pairs))], dtype=np.float32),
    )
