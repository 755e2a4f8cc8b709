"""Split images into k folds, so that each image is tested once by a classifier that never saw it.

In:  image ids, lesion ids (N,) str, labels (N,) int64 in [0, K), the number of folds, a seed.
Out: k Splits of the same rows; in split i the test part is fold i.
Knows nothing of files, images or models.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError
from moulage.seeding import generator, seed_of
from moulage.split import PARTS, Part, Split
from moulage.splits.grouped import check_rows, deal, groups_of, split_by_group

REST: Mapping[Part, float] = {"train": 3.0, "validation": 1.0}


def split_in_folds(
    *,
    image_ids: NDArray[np.str_],
    lesion_ids: NDArray[np.str_],
    labels: NDArray[np.int64],
    n_folds: int,
    seed: int,
    rest: Mapping[Part, float] = REST,
) -> tuple[Split, ...]:
    """Return one grouped, stratified split a fold; `rest` are the ratios of the other parts."""
    if n_folds < 2:
        raise ConfigError(f"`n_folds` must be at least 2; got {n_folds}. Write `folds = 5`.")
    if rest.get("test", 0) or not rest.get("train", 0):
        raise ConfigError(
            f"`rest` must hold train and not test; got {dict(rest)}. The fold itself is the test."
        )
    image_ids, lesion_ids = np.asarray(image_ids, dtype=str), np.asarray(lesion_ids, dtype=str)
    check_rows(image_ids=image_ids, lesion_ids=lesion_ids, labels=labels)
    groups = groups_of(lesion_ids=lesion_ids, labels=labels)
    shares = np.full(n_folds, 1 / n_folds)
    folds = deal(groups, shares=shares, rng=generator("folds", n_folds, seed))[groups.of_row]
    splits = []
    for fold in range(n_folds):
        parts = np.full(len(folds), "test", dtype=f"<U{max(map(len, PARTS))}")
        others = np.flatnonzero(folds != fold)
        parts[others] = split_by_group(
            image_ids=image_ids[others],
            lesion_ids=lesion_ids[others],
            labels=labels[others],
            ratios=rest,
            seed=seed_of("fold", n_folds, seed, fold),
        ).parts
        splits.append(Split(image_ids=image_ids, lesion_ids=lesion_ids, parts=parts))
    return tuple(splits)
