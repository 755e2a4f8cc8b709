"""Split images into parts so that no lesion is in two of them and each diagnosis keeps its share.

In:  image ids, lesion ids (N,) str, labels (N,) int64 in [0, K), the parts' ratios, a seed.
Out: Split, a row an image, in the order given.
Knows nothing of files, images or models.
Why: one lesion has several photographs; splitting by photograph lets the test set leak into
training. Which part a lesion gets depends on the ids, the labels and the seed, not on row order.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from moulage.arguments import whole_number
from moulage.errors import ConfigError, DataError, ShapeError, examples
from moulage.seeding import generator
from moulage.split import PARTS, Part, Split

_EXACT = 8  # images from which groups of like size count as equals, 8 to 15, 16 to 31 …
_DECIMALS = 9  # two parts equally far behind must tie, whatever their sums' last bit


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """What a deal needs to know of each group.

    of_row (N,) int64 in [0, G), the group of each row; counts (G, K) int64, its images a
    diagnosis. Groups stand in the order of their sorted ids.
    """

    of_row: NDArray[np.int64]
    counts: NDArray[np.int64]


def split_by_group(
    *,
    image_ids: NDArray[np.str_],
    lesion_ids: NDArray[np.str_],
    labels: NDArray[np.int64],
    ratios: Mapping[Part, float],
    seed: int,
) -> Split:
    """Deal whole lesions to parts, so that each part holds its share of each diagnosis.

    Ratios are relative: 60:20:20 equals 0.6:0.2:0.2, and a part of ratio 0 gets nothing. Of
    each diagnosis a part holds its share to within about one lesion, and at least one lesion
    where there are as many lesions as parts; where there are fewer, the larger parts get them
    and `absent_diagnoses` tells which parts go without. No part stays empty.
    """
    check_rows(image_ids=image_ids, lesion_ids=lesion_ids, labels=labels)
    whole_number(seed, "seed")
    parts, shares = shares_of(ratios)
    groups = groups_of(lesion_ids=lesion_ids, labels=labels)
    dealt = deal(groups, shares=shares, rng=generator("split", seed))
    return Split(
        image_ids=np.asarray(image_ids, dtype=str),
        lesion_ids=np.asarray(lesion_ids, dtype=str),
        parts=np.array(parts)[dealt[groups.of_row]],
    )


def absent_diagnoses(
    *, parts: NDArray[np.str_], labels: NDArray[np.int64]
) -> dict[Part, tuple[int, ...]]:
    """Return, for each part that lacks a diagnosis of the others, the labels it lacks."""
    present = np.unique(labels)
    lacking: dict[Part, tuple[int, ...]] = {}
    for part in PARTS:
        lost = np.setdiff1d(present, labels[parts == part])
        if (parts == part).any() and len(lost):
            lacking[part] = tuple(lost.tolist())
    return lacking


def absence_notes(
    split: Split, *, labels: NDArray[np.int64], codes: Sequence[str]
) -> tuple[str, ...]:
    """Return a sentence for each diagnosis that a part lacks; labels are of the split's rows."""
    absent = absent_diagnoses(parts=split.parts, labels=labels)
    notes: list[str] = []
    for label in sorted({label for lost in absent.values() for label in lost}):
        parts = " or ".join(part for part, lost in absent.items() if label in lost)
        n_groups = len(np.unique(split.lesion_ids[labels == label]))
        noun = split.unit if n_groups == 1 else f"{split.unit}s"
        notes.append(f"{codes[label]} stands in no {parts} part: it has {n_groups:,} {noun}.")
    return tuple(notes)


def check_rows(
    *, image_ids: NDArray[np.str_], lesion_ids: NDArray[np.str_], labels: NDArray[np.int64]
) -> None:
    """Refuse columns of unlike length, no rows at all, negative labels and repeated images."""
    lengths = {len(image_ids), len(lesion_ids), len(labels)}
    if len(lengths) != 1 or 0 in lengths:
        raise ShapeError(
            "`image_ids`, `lesion_ids` and `labels` must have one length above 0; got "
            f"{len(image_ids)}, {len(lesion_ids)} and {len(labels)}. Pass a row an image."
        )
    if np.min(labels) < 0:
        raise ShapeError(
            f"`labels` must lie in [0, K); got {int(np.min(labels))}. Number the diagnoses from 0."
        )
    names, counts = np.unique(image_ids, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"An image must have one row; got {int((counts > 1).sum())} images with more "
            f"({examples(names[counts > 1])}). Drop the repeated rows."
        )


def shares_of(ratios: Mapping[Part, float]) -> tuple[tuple[Part, ...], NDArray[np.float64]]:
    """Return the parts of positive ratio in the order of `PARTS`, and their shares of 1."""
    unknown = sorted(set(ratios) - set(PARTS))
    if unknown:
        raise ConfigError(
            f"`ratios` must name {', '.join(PARTS)}; got {examples(unknown)}. Rename the parts."
        )
    if not all(isinstance(r, Real) and math.isfinite(r) and r >= 0 for r in ratios.values()):
        raise ConfigError(
            f"`ratios` must be finite and not negative; got {dict(ratios)}. Write 60, 20, 20."
        )
    parts = tuple(part for part in PARTS if ratios.get(part, 0) > 0)
    if not parts:
        raise ConfigError(
            f"`ratios` must have a part above 0; got {dict(ratios)}. Write 60, 20, 20."
        )
    weights = np.array([ratios[part] for part in parts], dtype=np.float64)
    return parts, weights / weights.sum()


def groups_of(*, lesion_ids: NDArray[np.str_], labels: NDArray[np.int64]) -> Groups:
    """Count the images of each group and diagnosis."""
    names, of_row = np.unique(np.asarray(lesion_ids, dtype=str), return_inverse=True)
    counts = np.zeros((len(names), int(np.max(labels)) + 1), dtype=np.int64)
    np.add.at(counts, (of_row, labels), 1)
    return Groups(of_row=of_row.astype(np.int64), counts=counts)


def deal(
    groups: Groups, *, shares: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the hand of each group `(G,) int64 in [0, len(shares))`.

    Groups come rarest diagnosis first and largest first, so that what is rounded off at the
    end is small; each goes to the hand that is furthest behind its share. Shuffled among
    equals, hence the hands hold lesions of one, two … photographs in like proportion. No hand
    stays without a group.
    """
    n_groups, n_hands = len(groups.counts), len(shares)
    if n_groups < n_hands:
        raise DataError(
            f"A split must have a group for each of its {n_hands} parts; got {n_groups} groups. "
            "Ask for fewer parts or folds."
        )
    rarest = _rarest_diagnosis(groups.counts)
    left = np.bincount(rarest, minlength=groups.counts.shape[1])
    held = np.zeros((n_hands, groups.counts.shape[1]), dtype=np.int64)
    n_held = np.zeros_like(held)
    hands = np.zeros(n_groups, dtype=np.int64)
    for n_dealt, group in enumerate(_order(groups.counts, rarest=rarest, rng=rng)):
        stratum, counts = rarest[group], groups.counts[group]
        hand = _choose(
            behind=_behind(held, counts=counts, shares=shares),
            without=(
                (n_held.sum(axis=1) == 0, n_groups - n_dealt),
                (n_held[:, stratum] == 0, int(left[stratum])),
            ),
        )
        hands[group] = hand
        held[hand] += counts
        n_held[hand] += counts > 0
        left[stratum] -= 1
    return hands


def _rarest_diagnosis(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(G,) the diagnosis of each group that has the fewest images of all."""
    totals = counts.sum(axis=0)
    rank = np.where(counts > 0, totals, totals.sum() + 1)
    return np.asarray(rank.argmin(axis=1), dtype=np.int64)


def _order(
    counts: NDArray[np.int64], *, rarest: NDArray[np.int64], rng: np.random.Generator
) -> Sequence[int]:
    """Order groups by rarity of their diagnosis, then size, then at random.

    Diagnoses of equal size are ordered by their first group, never by their number. Sizes count
    by the image below `_EXACT` and by doublings from there: patients hardly ever have equally
    many images, and in the order of their exact sizes every seed would deal them alike.
    """
    first = np.full(counts.shape[1], len(counts))
    np.minimum.at(first, rarest, np.arange(len(counts)))
    shuffled = rng.permutation(len(counts))
    sizes = counts.sum(axis=1)
    bands = np.where(sizes < _EXACT, sizes, _EXACT + np.frexp(sizes / _EXACT)[1])
    keys = (shuffled, -bands, first[rarest], counts.sum(axis=0)[rarest])
    return [int(group) for group in np.lexsort(keys)]


def _behind(
    held: NDArray[np.int64], *, counts: NDArray[np.int64], shares: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """Say how far each hand lies behind: in shares of this group's diagnoses, then in images."""
    dealt = held.sum(axis=0) + counts
    due = np.outer(shares, dealt) - held  # (hands, K)
    own = (due[:, counts > 0] / dealt[counts > 0]).sum(axis=1)
    return [
        (round(float(a), _DECIMALS), round(float(b), _DECIMALS))
        for a, b in zip(own, due.sum(axis=1), strict=True)
    ]


def _choose(
    *,
    behind: Sequence[tuple[float, float]],
    without: Sequence[tuple[NDArray[np.bool_], int]],
) -> int:
    """Return the hand furthest behind; the last groups are kept for hands without any.

    without: which hands have no group at all, and how many groups are left; the same of this
    group's diagnosis. The first of the two that runs short decides.
    """
    short = (is_bare for is_bare, n_left in without if 0 < n_left <= is_bare.sum())
    hands = np.flatnonzero(next(short, np.ones(len(behind), dtype=np.bool_)))
    return max(hands.tolist(), key=lambda hand: (behind[hand], -hand))
