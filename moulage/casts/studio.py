"""Paint lesions, photograph them with what is planted on them, and write the files.

In:  a job of the plan.   Out: JPEGs and masks in HAM10000's folders; what was planted.
Knows nothing of tables.
Why: a photograph is a function of (seed, lesion, photograph) and its own plantings, so neither
threads nor the other images change a byte of it.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.casts.disguise import apply_disguise, apply_disguise_to_mask
from moulage.casts.lesion import paint_lesion
from moulage.casts.photograph import Photograph, photograph
from moulage.casts.plan import Copy, Job, Shot
from moulage.casts.planting import add_dark_corners, add_hair, add_ruler, draw_tube, ruler_spot
from moulage.casts.truth import Planted
from moulage.errors import RunError
from moulage.seeding import generator

IMAGE_FOLDERS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
MASK_FOLDER = "HAM10000_segmentations_lesion_tschandl"

_JPEG_QUALITY = 93


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """Where photographs are taken: the same folder, seed and size (width, height) for all.

    Images up to number `n_first` lie in the first folder, the others in the second.
    """

    folder: Path
    seed: int
    size: tuple[int, int]
    n_first: int

    def shoot(self, job: Job) -> list[Planted]:
        """Paint one lesion, take and write its photographs; return what was planted."""
        scene = paint_lesion(
            diagnosis=job.diagnosis, seed=self.seed, number=job.lesion, size=self.size
        )
        planted: list[Planted] = []
        for shot in job.shots:
            keys = ("casts", self.seed, "photograph", job.lesion, shot.number)
            taken = photograph(scene, size=self.size, rng=generator(*keys))
            pixels, rows = decorate(taken, shot=shot, keys=keys)
            self._write(shot.image_id, pixels, taken.mask)
            planted += rows
        return planted

    def copy(self, copy: Copy) -> None:
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
        _save(self._image_path(image_id), jpeg.tobytes())
        _save(self._mask_path(image_id), png.tobytes())

    def _image_path(self, image_id: str) -> Path:
        is_second = int(image_id.rpartition("_")[2]) > self.n_first
        return self.folder / IMAGE_FOLDERS[is_second] / f"{image_id}.jpg"

    def _mask_path(self, image_id: str) -> Path:
        return self.folder / MASK_FOLDER / f"{image_id}_segmentation.png"


def decorate(
    taken: Photograph, *, shot: Shot, keys: tuple[int | str, ...]
) -> tuple[NDArray[np.uint8], list[Planted]]:
    """Plant hair, then dark corners, then a ruler where neither lesion nor darkness is.

    A ruler that finds no room is neither drawn nor listed.
    """
    pixels, rows, taboo = taken.pixels, [], _widen(taken.mask)
    if shot.has_hair:
        rng = generator(*keys, "hair")
        n_hairs = int(rng.integers(3, 18))
        pixels = add_hair(pixels, n_hairs=n_hairs, rng=rng)
        numbers = f"hairs={n_hairs}"
        rows.append(Planted(image_id=shot.image_id, kind="hair", numbers=numbers))
    if shot.has_dark_corners:
        tube = draw_tube(generator(*keys, "dark_corners"))
        pixels = add_dark_corners(pixels, tube)
        taboo = taboo | tube.covers(taken.mask.shape)
        numbers = f"radius={tube.radius:.3f}"
        rows.append(
            Planted(image_id=shot.image_id, kind="dark_corners", numbers=numbers, mark=tube)
        )
    rng = generator(*keys, "ruler")
    if shot.has_ruler and (spot := ruler_spot(taboo, rng=rng)):
        pixels = add_ruler(pixels, spot=spot, rng=rng)
        numbers = f"x={spot.x} y={spot.y} width={spot.width} height={spot.height}"
        rows.append(Planted(image_id=shot.image_id, kind="ruler", numbers=numbers, mark=spot))
    return pixels, rows


def _widen(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep a few pixels away from the lesion, so that the JPEG's blocks do too."""
    kernel = np.ones((9, 9), dtype=np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def _save(path: Path, content: bytes) -> None:
    """Write plainly: a folder without its metadata counts as unfinished, so no rename is needed."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise RunError(
            f"`folder` must be writable and have room; got '{error.strerror}' for {path}. Free "
            "space or choose another folder, then start again."
        ) from error


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    code = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    return np.asarray(cv2.imdecode(code, flags), dtype=np.uint8)
