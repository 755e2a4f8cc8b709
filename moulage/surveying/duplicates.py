"""Find pictures of one lesion that carry different lesion ids: the leaks that no id can show.

In:  a `Gallery`, or two: thumbnails and ids.   Out: pairs, the most certain first.
Knows nothing of splits, folders or pages.
Why: a copy that was re-encoded, scaled, flipped, turned, cropped or brightened has another
digest, another size and another hash. `candidates` picks a few partners an image, `alignment`
lays them over each other.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal, TypeVar

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.data.images import decode
from moulage.errors import ShapeError
from moulage.surveying.alignment import (
    Alignment,
    Level,
    align,
    approach,
    coarse_contrast,
    make_level,
    zoom,
)
from moulage.surveying.candidates import Candidates, choose_candidates, make_coarse
from moulage.surveying.frames import trim_bars
from moulage.views import apply_view

Evidence = Literal["same bytes", "same pixels", "same lesion"]
T = TypeVar("T", bound=np.generic)
Progress = Callable[[int, int], None]

SIDE = 64  # of the thumbnails that the numbers below were measured with
THRESHOLD = 0.55
_N_BEST = 6
_TOLD_EVERY = 1000
_ALIKE = 2.0  # mean difference of grey levels below which the files themselves are compared


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gallery:
    """Images to look through, a row each.

    thumbnails: (N, 64, 64, 3) uint8 in [0, 255], RGB, whole frames squashed. image_ids,
    lesion_ids (N,) str. read: the bytes of an image's file by row; without it no pair counts as
    the same bytes or pixels.
    """

    thumbnails: NDArray[np.uint8]
    image_ids: NDArray[np.str_]
    lesion_ids: NDArray[np.str_]
    read: Callable[[int], bytes] | None = None

    def __post_init__(self) -> None:
        shape = self.thumbnails.shape
        lengths = {len(self.thumbnails), len(self.image_ids), len(self.lesion_ids)}
        if shape[1:] != (SIDE, SIDE, 3) or len(lengths) > 1:
            raise ShapeError(
                f"`thumbnails` must have shape (N, {SIDE}, {SIDE}, 3), with an id a row; got "
                f"{shape}, {len(self.image_ids)} image ids and {len(self.lesion_ids)} lesion ids. "
                'Build them with `build_pixels(size_px=64, resize="squash")`.'
            )

    def __len__(self) -> int:
        return len(self.thumbnails)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two images that show one lesion, though their ids do not say so.

    certainty, in [0, 1]: 1 for the same bytes or pixels. agreement: correlation of fine detail
    once aligned. view: what lays the first image as the other lies. scale: the side of the other
    in sides of the first, so below 1 where the other is a crop. row, other_row: where they stand.
    tied_by: the list of pairs by which splits keep both lesion ids together already, or nothing.
    """

    image_id: str
    other_id: str
    lesion_id: str
    other_lesion_id: str
    evidence: Evidence
    certainty: float
    agreement: float
    view: int
    scale: float
    row: int
    other_row: int
    tied_by: str = ""


def find_near_duplicates(
    gallery: Gallery,
    other: Gallery | None = None,
    *,
    threshold: float = THRESHOLD,
    progress: Progress | None = None,
) -> tuple[Pair, ...]:
    """Return pairs across lesion ids at or above a certainty, the most certain first.

    other: a second gallery; then pairs lie across both, and ids are not compared. Each image is
    held against its few likeliest partners only, and against one of those with its very pixels.
    progress: called with (done, all), first for choosing partners, then for aligning them.
    """
    greys = _greys(gallery)
    others = greys if other is None else _greys(other)
    groups = np.unique(gallery.lesion_ids, return_inverse=True)[1].astype(np.int64)
    candidates = choose_candidates(
        make_coarse(greys),
        None if other is None else make_coarse(others),
        groups=groups,
        n_best=_N_BEST,
        progress=progress,
    )
    judged = _judge(candidates, greys, others, progress)
    found = [
        _pair(gallery, other or gallery, candidates, place, alignment)
        for place, alignment in judged
        if certainty_of(alignment) >= threshold
    ]
    pairs = {(pair.row, pair.other_row): pair for pair in found}
    pairs |= {(twin.row, twin.other_row): twin for twin in _twins(gallery, other)}
    return tuple(
        sorted(pairs.values(), key=lambda pair: (-pair.certainty, pair.image_id, pair.other_id))
    )


def certainty_of(found: Alignment) -> float:
    """Return how certain an alignment is, in [0, 1]."""
    return float(np.clip(found.texture, 0, 1))


def pairs_table(pairs: Iterable[Pair]) -> pd.DataFrame:
    """Return the table of `near_duplicates.csv`; `confirmed` is for the reader to fill in.

    It says yes already where nothing is left to judge: the same bytes or pixels, pairs tied
    before. So the table, filled in, can stand for the list that tied them.
    """
    columns = [name for name in Pair.__slots__ if name not in ("row", "other_row")]
    frame = pd.DataFrame([asdict(pair) for pair in pairs], columns=columns)
    is_known = frame["evidence"].isin(["same bytes", "same pixels"]) | (frame["tied_by"] != "")
    return frame.round({"certainty": 4, "agreement": 4, "scale": 3}).assign(
        confirmed=np.where(is_known, "yes", "")
    )


def _greys(gallery: Gallery) -> NDArray[np.uint8]:
    """Return grey thumbnails (N, H, W)."""
    greys = np.empty(gallery.thumbnails.shape[:3], dtype=np.uint8)
    for row, thumbnail in enumerate(gallery.thumbnails):
        greys[row] = trim_bars(cv2.cvtColor(np.asarray(thumbnail), cv2.COLOR_RGB2GRAY))
    return greys


def _judge(
    candidates: Candidates,
    greys: NDArray[np.uint8],
    others: NDArray[np.uint8],
    progress: Progress | None,
) -> list[tuple[int, Alignment]]:
    """Align each candidate; they come sorted by their first image, whose levels are kept."""
    coarse = np.stack([coarse_contrast(grey) for grey in greys])
    moving = coarse if others is greys else np.stack([coarse_contrast(grey) for grey in others])
    levels: dict[int, Level] = {}
    judged, row = [], -1
    for place in range(len(candidates)):
        first, view = int(candidates.first[place]), int(candidates.view[place])
        second = candidates.second[place]
        levels = levels if first == row else {}
        row = first
        if view not in levels:
            levels[view] = make_level(_viewed(coarse[first], view))
        start = zoom(1 / float(candidates.zoom[place]))
        found = approach(levels[view], moving[second], start=start)
        judged.append((place, align(_viewed(greys[first], view), others[second], found=found)))
        if progress and place % _TOLD_EVERY == 0:
            progress(place, len(candidates))
    return judged


def _viewed(thumbnail: NDArray[T], view: int) -> NDArray[T]:
    return np.ascontiguousarray(apply_view(thumbnail[..., None], view)[..., 0])


def _pair(
    gallery: Gallery, other: Gallery, candidates: Candidates, place: int, found: Alignment
) -> Pair:
    row, other_row = int(candidates.first[place]), int(candidates.second[place])
    evidence = _evidence(gallery, other, row, other_row)
    return Pair(
        **_ids(gallery, other, row, other_row),
        evidence=evidence,
        certainty=certainty_of(found) if evidence == "same lesion" else 1.0,
        agreement=found.agreement,
        view=int(candidates.view[place]),
        scale=_scale(found),
        row=row,
        other_row=other_row,
    )


def _ids(gallery: Gallery, other: Gallery, row: int, other_row: int) -> dict[str, str]:
    return {
        "image_id": str(gallery.image_ids[row]),
        "other_id": str(other.image_ids[other_row]),
        "lesion_id": str(gallery.lesion_ids[row]),
        "other_lesion_id": str(other.lesion_ids[other_row]),
    }


def _twins(gallery: Gallery, other: Gallery | None) -> Iterator[Pair]:
    """Yield files of the same bytes or pixels, blank ones too: each with one other lesion's."""
    alike: dict[bytes, list[int]] = {}
    for row, thumbnail in enumerate(gallery.thumbnails):
        alike.setdefault(thumbnail.tobytes(), []).append(row)
    for row, thumbnail in enumerate((other or gallery).thumbnails):
        lesion = gallery.lesion_ids[row] if other is None else None
        fits = (
            partner
            for partner in alike.get(thumbnail.tobytes(), [])
            if other or (partner < row and gallery.lesion_ids[partner] != lesion)
        )
        if (partner := next(fits, None)) is None:
            continue
        evidence = _evidence(gallery, other or gallery, partner, row)
        if evidence != "same lesion":
            yield Pair(
                **_ids(gallery, other or gallery, partner, row),
                evidence=evidence,
                certainty=1.0,
                agreement=1.0,
                view=0,
                scale=1.0,
                row=partner,
                other_row=row,
            )


def _scale(found: Alignment) -> float:
    a, b, _, c, d, _ = found.motion
    return float(1 / np.sqrt(abs(a * d - b * c)))


def _evidence(gallery: Gallery, other: Gallery, row: int, other_row: int) -> Evidence:
    one, two = gallery.thumbnails[row], other.thumbnails[other_row]
    apart = np.abs(one.astype(np.int16) - two.astype(np.int16)).mean()
    if gallery.read is None or other.read is None or apart > _ALIKE:
        return "same lesion"
    contents = gallery.read(row), other.read(other_row)
    if contents[0] == contents[1]:
        return "same bytes"
    first, second = (decode(content) for content in contents)
    return "same pixels" if np.array_equal(first, second) else "same lesion"
