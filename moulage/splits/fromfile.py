"""Read a split from a file and hold it against the catalogue it is meant for.

In:  `image_id,lesion_id,part`, a row an image; a Catalogue.   Out: Split, the catalogue's order.
Knows nothing of how parts were chosen; `splits.leakage.refuse_leak` judges that.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.errors import DataError, examples
from moulage.split import PARTS, Split, positions, read_split


def split_from_file(
    path: Path, *, catalogue: Catalogue, names: Mapping[str, str] = MappingProxyType({})
) -> Split:
    """Read a split file; each image of the catalogue must stand in it, with its own lesion.

    names: lesion ids that the file may still use, and what the catalogue calls them by now.

    Raises DataError on unknown images, images without a part, repeated rows and lesion ids
    that differ from the catalogue's. An image in two parts is kept: that is a leak.
    """
    split = _renamed(read_split(path), names)
    places = positions(split, catalogue.image_ids)
    _refuse_unassigned(places, catalogue=catalogue, path=path)
    _refuse_repeated(split, path=path)
    _refuse_other_lesions(split, places=places, catalogue=catalogue, path=path)
    rank = np.array([PARTS.index(part) for part in split.parts])
    order = np.lexsort((rank, places))
    return replace(split.take(order), unit=catalogue.unit)


def _renamed(split: Split, names: Mapping[str, str]) -> Split:
    lesions = [names.get(name, name) for name in split.lesion_ids.tolist()]
    return replace(split, lesion_ids=np.array(lesions, dtype=str))


def _refuse_unassigned(places: NDArray[np.int64], *, catalogue: Catalogue, path: Path) -> None:
    lost = np.setdiff1d(np.arange(len(catalogue)), places)
    if len(lost):
        raise DataError(
            f"Every image must have a part; got {len(lost)} without one "
            f"({examples(catalogue.image_ids[lost])}) in {path}. Add their rows."
        )


def _refuse_repeated(split: Split, *, path: Path) -> None:
    rows = np.array([f"{i} ({p})" for i, p in zip(split.image_ids, split.parts, strict=True)])
    names, counts = np.unique(rows, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"An image must have one row a part; got {int((counts > 1).sum())} repeated "
            f"({examples(names[counts > 1])}) in {path}. Drop the repeated rows."
        )


def _refuse_other_lesions(
    split: Split, *, places: NDArray[np.int64], catalogue: Catalogue, path: Path
) -> None:
    differs = split.lesion_ids != catalogue.lesion_ids[places]
    if differs.any():
        raise DataError(
            f"A split file must give each image the {catalogue.unit} of the catalogue; got "
            f"{int(differs.sum())} others ({examples(split.image_ids[differs])}) in {path}. "
            f"Copy `{catalogue.unit}_id` from the catalogue; or, where {catalogue.unit}s were tied "
            "by a list of pairs, name that list (`--merge`, `split.merge`)."
        )
