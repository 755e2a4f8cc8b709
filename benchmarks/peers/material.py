"""The images that all sides are given: files, labels and one split without leaks, as two tables.

In:  a data set of any known kind, or none: then casts are drawn.
Out: a folder with `images.csv`, `split.csv` and copies of the files; beside it new ones to predict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from moulage.casts.generator import make_casts
from moulage.data.dataset import read_dataset
from moulage.data.sources import Sources
from moulage.split import Part, write_split
from moulage.splits.grouped import split_by_group

LEAST = 200  # images: fewer leave a diagnosis without a part
RATIOS: Mapping[Part, float] = {"train": 0.6, "validation": 0.2, "test": 0.2}
_NEW_SIZE, _NEW_QUALITY, _NOISE = (600, 450), 92, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Where the files and tables lie, and how many images there are."""

    folder: Path
    n_images: int

    @property
    def table(self) -> pd.DataFrame:
        """Every image: path, diagnosis, part."""
        return read_table(self.folder)


def read_table(folder: Path) -> pd.DataFrame:
    """Return every image of a given folder: image_id, lesion_id, path, diagnosis, part."""
    images, split = pd.read_csv(folder / "images.csv"), pd.read_csv(folder / "split.csv")
    images["path"] = [str(folder / path) for path in images["path"]]
    return images.merge(split[["image_id", "part"]], on="image_id")


def give(folder: Path, *, data: Path | None, n_images: int) -> Given:
    """Copy some images of a data set, 0 meaning all, and write their tables.

    They are taken at even distances: tables are often sorted by diagnosis. They have a folder of
    their own within the one named: casts, and new files to predict, are not of the data set.
    """
    if data is None:
        data = make_casts(folder / "casts", n_images=n_images or 2_000, seed=0).folder
    folder = folder / "given"
    folder.mkdir()
    catalogue = read_dataset(data)
    n_images = min(n_images or len(catalogue), len(catalogue))
    catalogue = catalogue.take(np.arange(n_images) * len(catalogue) // n_images)
    split = split_by_group(
        image_ids=catalogue.image_ids,
        lesion_ids=catalogue.lesion_ids,
        labels=catalogue.labels,
        ratios=RATIOS,
        seed=0,
    )
    paths = catalogue.frame["path"]
    names = [f"files/{number:06d}{Path(path).suffix}" for number, path in enumerate(paths)]
    (folder / "files").mkdir()
    with Sources(catalogue.root) as sources:
        for path, name in zip(paths, names, strict=True):
            (folder / name).write_bytes(sources.read(path))
    catalogue.frame.assign(path=names).to_csv(folder / "images.csv", index=False)
    write_split(split, folder / "split.csv")
    return Given(folder=folder, n_images=n_images)


def enlarge(given: Given, n_images: int) -> Path:
    """Write some images anew as JPEGs of 600 × 450 with a sensor's noise."""
    rng, folder = np.random.default_rng(0), given.folder.parent / "new"
    folder.mkdir()
    for name in given.table["path"][:n_images]:
        image = cv2.imread(name)
        large = cv2.resize(image, _NEW_SIZE, interpolation=cv2.INTER_CUBIC)
        noisy = np.clip(large + rng.normal(0, _NOISE, large.shape), 0, 255).astype(np.uint8)
        file = folder / f"{Path(name).stem}.jpg"
        cv2.imwrite(str(file), noisy, [cv2.IMWRITE_JPEG_QUALITY, _NEW_QUALITY])
    return folder
