"""Write a folder of casts in HAM10000's Kaggle layout, and the truth about what was planted.

In:  a folder, a number of photographs, a seed, plantings.
Out: HAM10000_metadata.csv, two folders of JPEGs, one of masks, plantings.csv.
Knows nothing of catalogues or splits: `data/` reads this folder as it reads HAM10000's.
Why: a photograph is a function of (seed, lesion, photograph) and its own plantings, so neither
threads nor the other images change a byte of it.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.casts import cohort
from moulage.casts.cohort import DIAGNOSES, METADATA_COLUMNS, draw_cohort
from moulage.casts.disguise import (
    Disguise,
    apply_disguise,
    apply_disguise_to_mask,
    plan_near_duplicates,
)
from moulage.casts.lesion import paint_lesion
from moulage.casts.photograph import Photograph, photograph
from moulage.casts.planting import (
    EVERYDAY,
    DarkCorners,
    Hair,
    NearDuplicates,
    Planting,
    Ruler,
    WrongLabels,
    add_dark_corners,
    add_hair,
    add_ruler,
    draw_tube,
    ruler_spot,
)
from moulage.errors import ConfigError, RunError, nearest
from moulage.seeding import generator
from moulage.store import write_text

METADATA = "HAM10000_metadata.csv"
PLANTINGS = "plantings.csv"
PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
MASKS = "HAM10000_segmentations_lesion_tschandl"
PLANTING_COLUMNS = ("image_id", "kind", "detail", "numbers", "source")

_JPEG_QUALITY = 93
_SMALLEST_SIDE, _LARGEST_SIDE, _MOST_IMAGES = 48, 1024, 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Casts:
    """A finished folder: its table as written, and the list of what was planted."""

    folder: Path
    metadata: pd.DataFrame
    plantings: pd.DataFrame


def make_casts(
    folder: Path,
    *,
    n_images: int,
    seed: int,
    size: tuple[int, int] = (200, 150),
    plantings: Sequence[Planting] = EVERYDAY,
    threads: int | None = None,
) -> Casts:
    """Fill `folder` with `n_images` photographs of `size` (width, height) and their truth.

    Near-duplicates come on top of `n_images`. A ruler is left out, and not listed, where the
    lesion leaves no room for it. `plantings.csv` lists, a row each: image_id; kind
    (near_duplicate, ruler, hair, dark_corners, wrong_label); detail (the disguise, or the true
    diagnosis); numbers; source (the image that was copied). A copy shows what its source shows,
    so it repeats the source's rows. The metadata are written last.
    """
    _check(folder, n_images, size, plantings)
    table = _mislabel(draw_cohort(n_images=n_images, seed=seed), plantings, seed)
    studio = _Studio(folder=folder, seed=seed, size=size, n_first=(n_images + 1) // 2)
    jobs = _jobs(table, plantings, seed)
    n_threads = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(n_threads) as pool:
        planted = [row for rows in pool.map(studio.shoot_lesion, jobs) for row in rows]
        planted += _wrong_label_rows(table)
        copies = _plan_copies(table, plantings, seed)
        list(pool.map(studio.copy, copies))
    planted += _copied_rows(copies, planted)
    metadata = pd.concat([table, pd.DataFrame([copy.row for copy in copies])], ignore_index=True)
    return _finish(folder, metadata[list(METADATA_COLUMNS)], planted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shot:
    """One photograph to take, and what is to be planted on it."""

    image_id: str
    number: int
    has_hair: bool
    has_dark_corners: bool
    has_ruler: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One lesion to paint, and its photographs."""

    lesion: int
    diagnosis: str
    shots: tuple[_Shot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """One near-duplicate to make: its row of metadata, its source and its disguise."""

    row: dict[str, object]
    source: str
    disguise: Disguise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planted:
    """One row of the ground truth."""

    image_id: str
    kind: str
    detail: str = ""
    numbers: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Studio:
    """Where photographs are taken: the same folder, seed and size for all."""

    folder: Path
    seed: int
    size: tuple[int, int]
    n_first: int

    def shoot_lesion(self, job: _Job) -> list[_Planted]:
        """Paint one lesion, take and write its photographs; return what was planted."""
        scene = paint_lesion(
            diagnosis=job.diagnosis, seed=self.seed, number=job.lesion, size=self.size
        )
        planted: list[_Planted] = []
        for shot in job.shots:
            keys = ("casts", self.seed, "photograph", job.lesion, shot.number)
            taken = photograph(scene, size=self.size, rng=generator(*keys))
            pixels, rows = _decorate(taken, shot, keys)
            self._write(shot.image_id, pixels, taken.mask)
            planted += rows
        return planted

    def copy(self, copy: _Copy) -> None:
        """Write one near-duplicate and its mask."""
        pixels = _read(self._image_path(copy.source), cv2.IMREAD_COLOR_RGB)
        mask = _read(self._mask_path(copy.source), cv2.IMREAD_GRAYSCALE) > 127
        self._write(
            str(copy.row["image_id"]),
            apply_disguise(pixels, copy.disguise),
            apply_disguise_to_mask(mask, copy.disguise),
        )

    def _write(self, image_id: str, pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
        quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        _, jpeg = cv2.imencode(".jpg", pixels[..., ::-1], quality)
        _, png = cv2.imencode(".png", mask.astype(np.uint8) * 255)
        self._image_path(image_id).write_bytes(jpeg.tobytes())
        self._mask_path(image_id).write_bytes(png.tobytes())

    def _image_path(self, image_id: str) -> Path:
        is_second = int(image_id.rpartition("_")[2]) > self.n_first
        return self.folder / PARTS[is_second] / f"{image_id}.jpg"

    def _mask_path(self, image_id: str) -> Path:
        return self.folder / MASKS / f"{image_id}_segmentation.png"


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    code = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    return np.asarray(cv2.imdecode(code, flags), dtype=np.uint8)


def _check(
    folder: Path, n_images: int, size: tuple[int, int], plantings: Sequence[Planting]
) -> None:
    if not 1 <= n_images <= _MOST_IMAGES:
        raise ConfigError(
            f"`n_images` must lie in [1, {_MOST_IMAGES}]; got {n_images}. Ask for 1,000 to begin."
        )
    if len(size) != 2 or not all(_SMALLEST_SIDE <= side <= _LARGEST_SIDE for side in size):
        raise ConfigError(
            f"`size` must be a width and a height in [{_SMALLEST_SIDE}, {_LARGEST_SIDE}] pixels; "
            f"got {size}. Choose (200, 150) for a start."
        )
    for planting in plantings:
        if isinstance(planting, Ruler) and planting.diagnosis not in DIAGNOSES:
            raise ConfigError(
                f"`diagnosis` of a ruler must be one of {', '.join(DIAGNOSES)}; got "
                f"{planting.diagnosis!r}. {nearest(planting.diagnosis, DIAGNOSES)}".strip()
            )
    _make_room(folder)


def _make_room(folder: Path) -> None:
    """Make the folders, or refuse to mix casts with what is there already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"`folder` must be new or empty; got {folder}, which holds something. Choose another "
            "folder or delete that one."
        )
    try:
        for name in (*PARTS, MASKS):
            (folder / name).mkdir(parents=True)
    except OSError as error:
        raise RunError(
            f"`folder` must be writable; got '{error.strerror}' for {folder}. Choose another."
        ) from error


def _mislabel(table: pd.DataFrame, plantings: Sequence[Planting], seed: int) -> pd.DataFrame:
    """Add the column `truth`, and write other diagnoses for the lesions that were chosen."""
    table = table.assign(truth=table["dx"])
    for place, planting in enumerate(plantings):
        if isinstance(planting, WrongLabels):
            rng = generator("casts", seed, "wrong_label", place)
            for lesion in _choose(table["lesion_id"].unique(), planting.share, rng):
                is_his = table["lesion_id"] == lesion
                truth = table.loc[is_his, "truth"].iloc[0]
                stated = str(rng.choice([code for code in DIAGNOSES if code != truth]))
                table.loc[is_his, ["dx", "dx_type"]] = (stated, cohort.draw_dx_type(stated, rng))
    return table


def _wrong_label_rows(table: pd.DataFrame) -> list[_Planted]:
    wrong = table[table["dx"] != table["truth"]]
    return [
        _Planted(image_id=image, kind="wrong_label", detail=truth)
        for image, truth in zip(wrong["image_id"], wrong["truth"], strict=True)
    ]


def _jobs(table: pd.DataFrame, plantings: Sequence[Planting], seed: int) -> list[_Job]:
    chosen: dict[type, set[str]] = {Hair: set(), DarkCorners: set(), Ruler: set()}
    for place, planting in enumerate(plantings):
        if isinstance(planting, Hair | DarkCorners | Ruler):
            rng = generator("casts", seed, type(planting).__name__, place)
            chosen[type(planting)].update(_images_for(planting, table, rng))
    return [
        _Job(
            lesion=cohort.lesion_number(str(lesion)),
            diagnosis=str(rows["truth"].iloc[0]),
            shots=tuple(
                _Shot(
                    image_id=image,
                    number=number,
                    has_hair=image in chosen[Hair],
                    has_dark_corners=image in chosen[DarkCorners],
                    has_ruler=image in chosen[Ruler],
                )
                for image, number in zip(rows["image_id"], rows["photograph"], strict=True)
            ),
        )
        for lesion, rows in table.groupby("lesion_id", sort=True)
    ]


def _images_for(
    planting: Hair | DarkCorners | Ruler, table: pd.DataFrame, rng: np.random.Generator
) -> list[str]:
    """Choose images by the diagnosis that is written, which is what a classifier learns."""
    if not isinstance(planting, Ruler):
        return _choose(table["image_id"], planting.share, rng)
    is_his = table["dx"] == planting.diagnosis
    return [
        *_choose(table.loc[is_his, "image_id"], planting.share, rng),
        *_choose(table.loc[~is_his, "image_id"], planting.share_elsewhere, rng),
    ]


def _choose(names: Iterable[str], share: float, rng: np.random.Generator) -> list[str]:
    """Choose a share of the names, rounded to a whole number of them."""
    shuffled = rng.permutation(np.array(list(names), dtype=str))
    return [str(name) for name in shuffled[: round(share * len(shuffled))]]


def _decorate(
    taken: Photograph, shot: _Shot, keys: tuple[int | str, ...]
) -> tuple[NDArray[np.uint8], list[_Planted]]:
    """Plant hair, then dark corners, then a ruler where neither lesion nor darkness is."""
    pixels, rows, forbidden = taken.pixels, [], _widen(taken.mask)
    if shot.has_hair:
        rng = generator(*keys, "hair")
        n_hairs = int(rng.integers(3, 22))
        pixels = add_hair(pixels, n_hairs=n_hairs, rng=rng)
        rows.append(_Planted(image_id=shot.image_id, kind="hair", numbers=f"hairs={n_hairs}"))
    if shot.has_dark_corners:
        rng = generator(*keys, "dark_corners")
        tube = draw_tube(rng)
        pixels = add_dark_corners(pixels, tube)
        height, width = forbidden.shape
        forbidden = forbidden | (tube.light((height, width)) < 0.5)
        rows.append(
            _Planted(
                image_id=shot.image_id, kind="dark_corners", numbers=f"radius={tube.radius:.3f}"
            )
        )
    if shot.has_ruler:
        rng = generator(*keys, "ruler")
        spot = ruler_spot(forbidden, rng=rng)
        if spot:
            pixels = add_ruler(pixels, spot=spot, rng=rng)
            box = "x={} y={} width={} height={}".format(*spot)
            rows.append(_Planted(image_id=shot.image_id, kind="ruler", numbers=box))
    return pixels, rows


def _widen(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep a few pixels away from the lesion, so that the JPEG's blocks do too."""
    kernel = np.ones((9, 9), dtype=np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def _plan_copies(table: pd.DataFrame, plantings: Sequence[Planting], seed: int) -> list[_Copy]:
    copies: list[_Copy] = []
    n_lesions = table["lesion_id"].nunique()
    for place, planting in enumerate(plantings):
        if isinstance(planting, NearDuplicates):
            rng = generator("casts", seed, "near_duplicates", place)
            plan = plan_near_duplicates(
                len(table), n_each=planting.n_each, rng=rng, kinds=planting.kinds
            )
            for source, how in plan:
                number = len(copies) + 1
                row = cohort.draw_lesion(table["dx"].iloc[source], n_lesions + number, seed)
                row["image_id"] = cohort.image_id(len(table) + number)
                copies.append(
                    _Copy(row=row, source=str(table["image_id"].iloc[source]), disguise=how)
                )
    return copies


def _copied_rows(copies: list[_Copy], planted: list[_Planted]) -> list[_Planted]:
    rows: list[_Planted] = []
    for copy in copies:
        image = str(copy.row["image_id"])
        rows.append(
            _Planted(
                image_id=image,
                kind="near_duplicate",
                detail=copy.disguise.kind,
                numbers=str(copy.disguise),
                source=copy.source,
            )
        )
        rows += [
            _Planted(image_id=image, kind=row.kind, detail=row.detail, source=copy.source)
            for row in planted
            if row.image_id == copy.source
        ]
    return rows


def _finish(folder: Path, metadata: pd.DataFrame, planted: list[_Planted]) -> Casts:
    rows = [[getattr(row, name) for name in PLANTING_COLUMNS] for row in planted]
    truth = pd.DataFrame(rows, columns=list(PLANTING_COLUMNS))
    truth = truth.sort_values(["image_id", "kind"], kind="stable", ignore_index=True)
    write_text(folder / PLANTINGS, truth.to_csv(index=False, lineterminator="\n"))
    write_text(folder / METADATA, metadata.to_csv(index=False, lineterminator="\n"))
    return Casts(folder=folder, metadata=metadata, plantings=truth)
