"""How well near-duplicates are found: planted in casts and in any data set, by kind of disguise.

In:  casts, and a data set.   Out: a table of recall by kind, precision, and pairs reported among
images in which nothing was planted.
A pair is true if both images show one lesion, siblings of the source included. Pairs known to be
real (see `splits.merging`) are left out of precision. The disguises of `casts.disguise`
come first, then others that nothing was fitted to. Run as
`python -m benchmarks.near_duplicates [--data DIR] [--cost]`; --cost times four times the images.
"""

import argparse
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks._folders import apart
from moulage.casts.disguise import KINDS, apply_disguise, draw_disguise
from moulage.casts.generator import PLANTINGS_FILE, make_casts
from moulage.casts.planting import EVERYDAY, NearDuplicates
from moulage.catalogue import Catalogue
from moulage.data.dataset import open_dataset
from moulage.data.images import decode, resize_image
from moulage.data.pixels import build_pixels
from moulage.data.sources import Sources
from moulage.seeding import generator
from moulage.splits.merging import Merger, find_merger
from moulage.surveying.duplicates import SIDE, THRESHOLD, Gallery, find_near_duplicates
from moulage.views import N_VIEWS, apply_view

Picture = NDArray[np.uint8]
Foreign = Callable[[Picture, np.random.Generator], Picture]

N_EACH = 34
N_CASTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planted:
    """A gallery with copies in it.

    lesions (N,): which lesion each image shows, in truth. kinds (N,): the disguise of a copy, ""
    where the image is as it was.
    """

    name: str
    gallery: Gallery
    lesions: NDArray[np.str_]
    kinds: NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """recall: of each kind, the share of copies paired with a photograph of their lesion.

    precision: of all pairs but the known ones. n_clean: pairs without a copy, n_known of them
    known to be real; clean_images: among so many. seconds: of the processor.
    """

    name: str
    recall: Mapping[str, float]
    n_each: int
    precision: float
    n_reported: int
    n_clean: int
    n_known: int
    clean_images: int
    seconds: float

    @property
    def clean_per_10000(self) -> float:
        """Pairs reported per 10,000 images in which nothing was planted, known ones left out."""
        return 1e4 * (self.n_clean - self.n_known) / self.clean_images


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a data set to plant in, besides casts")
    parser.add_argument("--n-each", type=int, default=N_EACH, help="copies of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cost", action="store_true", help="time quarters of the images instead")
    chosen = parser.parse_args(arguments)
    if chosen.cost:
        print_cost(chosen.data)
        return
    with apart() as folder:
        casts = plant_casts(folder / "casts", n_each=chosen.n_each, seed=chosen.seed)
        print_score(measure(casts))
    if chosen.data:
        kinds = {**OWN, **FOREIGN}
        print_score(measure(plant(chosen.data, kinds, n_each=chosen.n_each, seed=chosen.seed)))


def measure(planted: Planted) -> Score:
    """Look for near-duplicates, and hold what is found against the truth."""
    started = time.process_time()
    pairs = find_near_duplicates(planted.gallery)
    seconds = time.process_time() - started
    rows = np.array([(pair.row, pair.other_row) for pair in pairs]).reshape(-1, 2)
    is_clean = (planted.kinds[rows] == "").all(axis=1)
    is_true = planted.lesions[rows[:, 0]] == planted.lesions[rows[:, 1]]
    n_known = int((is_clean & is_true).sum())
    found = set(rows[is_true].ravel().tolist())
    kinds = [kind for kind in dict.fromkeys(planted.kinds.tolist()) if kind]
    copies = {kind: np.flatnonzero(planted.kinds == kind).tolist() for kind in kinds}
    n_judged = len(pairs) - n_known
    return Score(
        name=planted.name,
        recall={kind: sum(r in found for r in rows) / len(rows) for kind, rows in copies.items()},
        n_each=min(len(rows) for rows in copies.values()),
        precision=int((is_true & ~is_clean).sum()) / max(1, n_judged),
        n_reported=len(pairs),
        n_clean=int(is_clean.sum()),
        n_known=n_known,
        clean_images=int((planted.kinds == "").sum()),
        seconds=seconds,
    )


def print_score(score: Score) -> None:
    """Print one table."""
    print(f"\n{score.name}, {score.n_each} copies of each kind, certainty {THRESHOLD:g} or more")
    for kind, recall in score.recall.items():
        print(f"  {kind:<16} recall {recall:.3f}")
    print(f"  {'all':<16} recall {np.mean(list(score.recall.values())):.3f}")
    print(f"  precision {score.precision:.3f} of {score.n_reported - score.n_known} pairs")
    print(
        f"  among {score.clean_images:,} images as they were: {score.n_known} pairs known to be "
        f"real, {score.n_clean - score.n_known} others: {score.clean_per_10000:.1f} per 10,000"
    )
    print(f"  {score.seconds:.0f} s of the processor")


def plant_casts(folder: Path, *, n_each: int, seed: int, n_images: int = N_CASTS) -> Planted:
    """Draw casts with near-duplicates among them, and read them from their files."""
    plantings = [*EVERYDAY, NearDuplicates(n_each=n_each)]
    make_casts(folder, n_images=n_images, seed=seed, plantings=plantings)
    catalogue, gallery, _ = _open(folder)
    truth = pd.read_csv(folder / PLANTINGS_FILE)
    copies = truth[truth["kind"] == "near_duplicate"].set_index("image_id")
    lesion_of = dict(zip(catalogue.image_ids, catalogue.lesion_ids, strict=True))
    shown = [lesion_of[copies["source"].get(image, image)] for image in catalogue.image_ids]
    kinds = [copies["detail"].get(image, "") for image in catalogue.image_ids]
    return Planted(
        name=f"{n_images:,} casts",
        gallery=gallery,
        lesions=np.array(shown),
        kinds=np.array(kinds),
    )


def plant(data: Path, kinds: Mapping[str, Foreign], *, n_each: int, seed: int) -> Planted:
    """Disguise images of a data set in memory, and add them under lesion ids of their own."""
    catalogue, gallery, merger = _open(data)
    rng = generator("near-duplicates", seed)
    wanted = [kind for kind in kinds for _ in range(n_each)]
    sources = rng.permutation(len(gallery))[: len(wanted)].tolist()
    assert gallery.read is not None
    copies = [
        resize_image(kinds[kind](decode(gallery.read(row)), rng), size_px=SIDE, resize="squash")
        for kind, row in zip(wanted, sources, strict=True)
    ]
    names = np.array([f"copy-{place}" for place in range(len(copies))])
    lesions = np.array([merger.tied.get(name, name) for name in gallery.lesion_ids.tolist()])
    return Planted(
        name=f"{catalogue.name}, {len(kinds)} kinds",
        gallery=Gallery(
            thumbnails=np.concatenate([gallery.thumbnails, np.stack(copies)]),
            image_ids=np.concatenate([gallery.image_ids, names]),
            lesion_ids=np.concatenate([gallery.lesion_ids, names]),
        ),
        lesions=np.concatenate([lesions, lesions[sources]]),
        kinds=np.array([""] * len(gallery) + wanted),
    )


def print_cost(data: Path) -> None:
    """Time a search through the quarters of a data set's images: four times as many."""
    catalogue = open_dataset(data).catalogue
    pixels = build_pixels(catalogue, size_px=2 * SIDE, resize="squash", unreadable="skip").array
    quarters = [pixels[:, y : y + SIDE, x : x + SIDE] for y in (0, SIDE) for x in (0, SIDE)]
    names = np.arange(4 * len(pixels)).astype(str)
    gallery = Gallery(thumbnails=np.concatenate(quarters), image_ids=names, lesion_ids=names)
    started, used = time.perf_counter(), time.process_time()
    pairs = find_near_duplicates(gallery)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(gallery):,} images: {time.perf_counter() - started:.0f} s, of the processor "
        f"{time.process_time() - used:.0f} s, {peak:.0f} MiB at most, {len(pairs)} pairs"
    )


def _open(data: Path) -> tuple[Catalogue, Gallery, Merger]:
    opened = open_dataset(data)
    catalogue = opened.catalogue
    pixels = build_pixels(catalogue, size_px=SIDE, resize="squash")
    paths = catalogue.frame["path"].tolist()

    def read(row: int) -> bytes:
        with Sources(catalogue.root) as sources:
            return sources.read(paths[row])

    gallery = Gallery(
        thumbnails=np.asarray(pixels.array),
        image_ids=catalogue.image_ids,
        lesion_ids=catalogue.lesion_ids,
        read=read,
    )
    return catalogue, gallery, find_merger("auto", catalogue=catalogue, kind=opened.kind)


def _own(kind: str) -> Foreign:
    return lambda picture, rng: apply_disguise(picture, draw_disguise(kind, rng=rng))  # type: ignore[arg-type]


def _tilted(picture: Picture, rng: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    degrees = float(rng.uniform(3, 10) * rng.choice([-1, 1]))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.1)
    return np.asarray(
        cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def _recoloured(picture: Picture, rng: np.random.Generator) -> Picture:
    curve, gains = rng.uniform(0.7, 1.4), rng.uniform(0.75, 1.3, 3)
    return np.clip(255 * (picture / 255) ** curve * gains, 0, 255).astype(np.uint8)


def _noisy(picture: Picture, rng: np.random.Generator) -> Picture:
    return np.clip(picture + rng.normal(0, 10, picture.shape), 0, 255).astype(np.uint8)


def _blurred(picture: Picture, rng: np.random.Generator) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 2)), dtype=np.uint8)


def _padded(picture: Picture, rng: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    edge = max(0, (width - height) // 2)
    bars = cv2.copyMakeBorder(picture, edge, edge, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return np.asarray(bars, dtype=np.uint8)


def _stamped(picture: Picture, rng: np.random.Generator) -> Picture:
    place = (10, int(picture.shape[0] * rng.uniform(0.1, 0.95)))
    written = cv2.putText(
        picture.copy(), "IMG 0234", place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1
    )
    return np.asarray(written, dtype=np.uint8)


def _all_at_once(picture: Picture, rng: np.random.Generator) -> Picture:
    """Crop, turn, scale, light and re-encode."""
    for kind in ("cropped", "scaled", "brightened", "reencoded"):
        picture = _own(kind)(picture, rng)
    return np.ascontiguousarray(apply_view(picture, int(rng.integers(N_VIEWS))))


OWN: Mapping[str, Foreign] = {kind: _own(kind) for kind in KINDS}
FOREIGN: Mapping[str, Foreign] = {
    "all at once": _all_at_once,
    "tilted 3-10 deg": _tilted,
    "recoloured": _recoloured,
    "noisy": _noisy,
    "blurred": _blurred,
    "padded": _padded,
    "stamped": _stamped,
}


if __name__ == "__main__":
    main()
