"""Find lesions that two parts share, refuse them, and make the two dishonest splits on purpose.

In:  a Split, or the columns that one is made of.   Out: shared lesions; leaky Splits.
Knows nothing of files, images or models.
Why: to show what a leak is worth, it must be possible to make one, never by accident.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from moulage.errors import LeakageError
from moulage.split import PARTS, Part, Split
from moulage.splits.grouped import split_by_group


def shared_groups(split: Split) -> dict[tuple[Part, Part], tuple[str, ...]]:
    """Return, for each pair of parts that share any, the lesions that stand in both, sorted."""
    lesions = {part: split.lesion_ids[split.rows_of(part)] for part in PARTS}
    shared = {
        (one, other): tuple(np.intersect1d(lesions[one], lesions[other]).tolist())
        for one, other in combinations(PARTS, 2)
    }
    return {pair: names for pair, names in shared.items() if names}


def refuse_leak(split: Split) -> None:
    """Raise LeakageError, naming the worst pair of parts, where two parts share a lesion."""
    shared = shared_groups(split)
    if not shared:
        return
    (one, other), names = max(shared.items(), key=lambda item: len(item[1]))
    noun = split.unit if len(names) == 1 else f"{split.unit}s"
    raise LeakageError(
        f"A {split.unit} must lie in one part only; got {len(names)} {noun} in both {one} and "
        f"{other} (first: {names[0]}). Make it with `moulage split`, or ask for "
        'the leak by name: `kind = "image"` or `kind = "leaky"`.'
    )


def split_by_image(
    *,
    image_ids: NDArray[np.str_],
    lesion_ids: NDArray[np.str_],
    labels: NDArray[np.int64],
    ratios: Mapping[Part, float],
    seed: int,
) -> Split:
    """Deal single photographs, stratified by diagnosis, as if no two showed one lesion.

    Dishonest: it exists to be compared with `split_by_group`.
    """
    dealt = split_by_group(
        image_ids=image_ids, lesion_ids=image_ids, labels=labels, ratios=ratios, seed=seed
    )
    return replace(dealt, lesion_ids=np.asarray(lesion_ids, dtype=str))


def train_on_test(honest: Split) -> Split:
    """Add every test image of a split to its training part: it stands in two rows.

    Dishonest: this is the paper's error.
    """
    tested = honest.rows_of("test")
    rows = np.concatenate([np.arange(len(honest)), tested])
    added = np.full(len(tested), "train")
    return replace(honest.take(rows), parts=np.concatenate([honest.parts, added]))


def has_sibling_in_training(split: Split) -> NDArray[np.bool_]:
    """Say of each test image, in the split's order, whether training shows its lesion.

    The mean is the share of leaked test images; an honest split has none.
    """
    tested, trained = split.rows_of("test"), split.rows_of("train")
    return np.isin(split.lesion_ids[tested], split.lesion_ids[trained])
