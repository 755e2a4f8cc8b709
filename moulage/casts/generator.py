"""Write a folder of casts in HAM10000's Kaggle layout, and the truth about what was planted.

In:  a folder, a number of photographs, a seed, plantings.
Out: HAM10000_metadata.csv, two folders of JPEGs, one of masks, plantings.csv.
Knows nothing of catalogues or splits: `data/` reads this folder as it reads HAM10000's.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from moulage.casts.cohort import DIAGNOSES, METADATA_COLUMNS, draw_cohort
from moulage.casts.plan import mislabel, plan_copies, plan_lesions
from moulage.casts.planting import EVERYDAY, Planting, Ruler
from moulage.casts.studio import IMAGE_FOLDERS, MASK_FOLDER, Studio
from moulage.casts.truth import copied, truth_table, wrong_labels
from moulage.errors import ConfigError, RunError, nearest
from moulage.files import write_text

METADATA_FILE = "HAM10000_metadata.csv"
PLANTINGS_FILE = "plantings.csv"

_SMALLEST_SIDE, _LARGEST_SIDE, _MOST_IMAGES = 48, 1024, 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Casts:
    """A finished folder: its table as written, and the list of what was planted."""

    folder: Path
    metadata: pd.DataFrame
    plantings: pd.DataFrame

    def __repr__(self) -> str:
        n_images, n_planted = len(self.metadata), len(self.plantings)
        return f"Casts(folder={self.folder!r}, n_images={n_images}, n_planted={n_planted})"


def make_casts(
    folder: Path,
    *,
    n_images: int,
    seed: int,
    size: tuple[int, int] = (200, 150),
    plantings: Sequence[Planting] = EVERYDAY,
    threads: int | None = None,
) -> Casts:
    """Fill a new or empty folder with `n_images` photographs of `size` (width, height) pixels.

    Near-duplicates come on top of `n_images`. A ruler is left out, and not listed, where the
    lesion leaves no room for it. The metadata are written last: a folder without them is
    unfinished. Same arguments, same bytes, whatever the number of threads.
    """
    _check_numbers(n_images, size)
    _check_rulers(plantings)
    table = mislabel(draw_cohort(n_images=n_images, seed=seed), plantings=plantings, seed=seed)
    copies = plan_copies(table, plantings=plantings, seed=seed)
    jobs = plan_lesions(table, plantings=plantings, seed=seed)
    _make_room(folder)
    studio = Studio(folder=folder, seed=seed, size=size, n_first=(n_images + 1) // 2)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        planted = [row for rows in pool.map(studio.shoot, jobs) for row in rows]
        list(pool.map(studio.copy, copies))
    planted += wrong_labels(table)
    truth = truth_table([*planted, *copied(copies, planted, size=size)])
    metadata = pd.concat([table, pd.DataFrame([copy.row for copy in copies])], ignore_index=True)
    metadata = metadata[list(METADATA_COLUMNS)]
    write_text(folder / PLANTINGS_FILE, truth.to_csv(index=False, lineterminator="\n"))
    write_text(folder / METADATA_FILE, metadata.to_csv(index=False, lineterminator="\n"))
    return Casts(folder=folder, metadata=metadata, plantings=truth)


def _check_numbers(n_images: int, size: tuple[int, int]) -> None:
    if not 1 <= n_images <= _MOST_IMAGES:
        raise ConfigError(
            f"`n_images` must lie in [1, {_MOST_IMAGES}]; got {n_images}. Ask for 1000 to begin."
        )
    if len(size) != 2 or not all(_SMALLEST_SIDE <= side <= _LARGEST_SIDE for side in size):
        raise ConfigError(
            f"`size` must be a width and a height in [{_SMALLEST_SIDE}, {_LARGEST_SIDE}] pixels; "
            f"got {size}. Choose (200, 150) to begin."
        )


def _check_rulers(plantings: Sequence[Planting]) -> None:
    for planting in plantings:
        if isinstance(planting, Ruler) and planting.diagnosis not in DIAGNOSES:
            raise ConfigError(
                f"`diagnosis` of a ruler must be one of {', '.join(DIAGNOSES)}; got "
                f"{planting.diagnosis!r}."
                + (nearest(planting.diagnosis, DIAGNOSES) or " Choose one of them.")
            )


def _make_room(folder: Path) -> None:
    """Make the folders, or refuse to mix casts with what is there already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"`folder` must be new or empty; got {folder}, which holds something. Choose another "
            "folder or delete that one."
        )
    try:
        for name in (*IMAGE_FOLDERS, MASK_FOLDER):
            (folder / name).mkdir(parents=True)
    except OSError as error:
        raise RunError(
            f"`folder` must be writable; got '{error.strerror}' for {folder}. Choose another."
        ) from error
