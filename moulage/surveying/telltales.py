"""Columns and files that give the diagnosis away, out of fold and by group.

In:  columns of words or numbers (N,), labels (N,) int64 in [0, K), folds (N,) int64.
Out: for each column its macro AUROC on lesions never counted, and what chance would reach.
Knows nothing of where a column comes from; `AFTER_DIAGNOSIS` alone knows names.
Why: a file's size or border cannot be a sign of disease; a column filled in after the diagnosis
cannot help to find it. What predicts nonetheless is a telltale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import erfc, sqrt
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.evaluation.exact import holm
from moulage.evaluation.undefined import mean_defined, ratio
from moulage.seeding import generator
from moulage.splits.grouped import deal, groups_of
from moulage.surveying.exploration import UNSAID, words_of

Kind = Literal["metadata", "file", "border"]
Column = NDArray[np.str_] | NDArray[np.float64]

AFTER_DIAGNOSIS: Mapping[str, str] = {
    "dx_type": "how a diagnosis was confirmed is known only once it is",
}
N_FOLDS = 5
N_SHUFFLES = 99
SIGNIFICANT = 0.05
_MOST_LEVELS = 64
_BINS = 16
_FEWEST = 10  # images of a level of its own
_PRIOR_IMAGES = 10.0  # how many images the natural prior weighs within a level
_PURE_CHANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Telltale:
    """How well one column alone tells the diagnosis.

    auroc: mean over diagnoses and folds. chance: mean and deviation of the same with the lesions'
    labels shuffled. best: the diagnosis that it tells best, one told by luck only where all are,
    with its AUROC; best_p_value counts as many tests as there are diagnoses. NaN where there is
    nothing to tell apart. p_family, best_p_family: Holm's correction over the survey's columns.
    """

    name: str
    kind: Kind
    n_levels: int
    auroc: float
    chance: tuple[float, float]
    best: str
    best_auroc: float
    p_value: float
    best_p_value: float
    p_family: float = float("nan")
    best_p_family: float = float("nan")

    @property
    def known_after(self) -> str:
        """Why the column cannot be known before the diagnosis; empty where it may be."""
        return AFTER_DIAGNOSIS.get(self.name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PureLevel:
    """A word whose images all have one diagnosis, though by chance they would not."""

    column: str
    level: str
    diagnosis: str
    n_images: int
    n_lesions: int


def grouped_folds(*, lesion_ids: NDArray[np.str_], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each image's fold `(N,) int64`, whole lesions dealt as evenly as they go.

    As many folds as there are lesions where these are fewer than five.
    """
    groups = groups_of(lesion_ids=lesion_ids, labels=labels)
    n_folds = min(N_FOLDS, len(groups.counts))
    hands = deal(groups, shares=np.full(n_folds, 1 / n_folds), rng=generator("survey", 0))
    return hands[groups.of_row]


def as_column(cells: "pd.Series[Any]") -> Column:
    """Read a column of unknown meaning: numbers where all of many cells are, else words."""
    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.notna().sum() == cells.notna().sum() and numbers.nunique() > _BINS:
        return numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    return words_of(cells)


def find_telltales(
    columns: Mapping[str, Column],
    *,
    kinds: Mapping[str, Kind],
    labels: NDArray[np.int64],
    lesion_ids: NDArray[np.str_],
    folds: NDArray[np.int64],
    diagnoses: Sequence[str],
) -> tuple[Telltale, ...]:
    """Return every column's power, the strongest first, those that tell nothing last."""
    order = {name: place for place, name in enumerate(columns)}
    found = [
        _telltale(
            name, kinds[name], levels_of(column), labels=labels, lesion_ids=lesion_ids,
            folds=folds, diagnoses=diagnoses,
        )
        for name, column in columns.items()
    ]  # fmt: skip
    family = holm([telltale.p_value for telltale in found])
    of_best = holm([telltale.best_p_value for telltale in found])
    judged = [
        replace(one, p_family=p, best_p_family=best_p)
        for one, p, best_p in zip(found, family, of_best, strict=True)
    ]
    return tuple(sorted(judged, key=lambda one: (-np.nan_to_num(one.auroc), order[one.name])))


def find_pure_levels(
    columns: Mapping[str, Column],
    *,
    labels: NDArray[np.int64],
    lesion_ids: NDArray[np.str_],
    diagnoses: Sequence[str],
) -> tuple[PureLevel, ...]:
    """Return words of one diagnosis only, the most images first; numbers have none.

    Only where so many lesions would share it by chance less often than once in a million.
    """
    labels_of_lesion = labels[np.unique(lesion_ids, return_index=True)[1]]
    prior = np.bincount(labels_of_lesion, minlength=len(diagnoses)) / len(labels_of_lesion)
    images = pd.DataFrame({"label": labels, "lesion": lesion_ids})
    found: list[PureLevel] = []
    for column, words in columns.items():
        if np.issubdtype(words.dtype, np.floating):
            continue
        told = images[words != UNSAID].groupby(words[words != UNSAID])
        counts = told["label"].agg(["first", "nunique", "size"]).join(told["lesion"].nunique())
        found += [
            PureLevel(
                column=column,
                level=str(level),
                diagnosis=diagnoses[label],
                n_images=int(n_images),
                n_lesions=int(n_lesions),
            )
            for level, label, n_labels, n_images, n_lesions in counts.itertuples()
            if n_labels == 1 and prior[label] ** n_lesions <= _PURE_CHANCE
        ]
    return tuple(sorted(found, key=lambda pure: -pure.n_images))


def levels_of(column: Column) -> NDArray[np.int64]:
    """Return each row's level `(N,) int64`: its word, or which sixteenth its number lies in.

    A missing value is a level; words of fewer than ten images, and all beyond 64, share one.
    """
    if np.issubdtype(column.dtype, np.floating):
        return _binned(column.astype(np.float64))
    words, of_row, counts = np.unique(column, return_inverse=True, return_counts=True)
    rank = np.empty(len(words), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(words))
    rank[counts < _FEWEST] = _MOST_LEVELS
    return np.unique(np.minimum(rank, _MOST_LEVELS - 1)[of_row], return_inverse=True)[1]


def out_of_fold_areas(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the AUROC of each fold and diagnosis `(F, K)` from `counts (F, L, K)`.

    A level's score is its share of the diagnosis in the other folds, drawn to the natural prior
    as if by ten images. NaN where a fold lacks the diagnosis, or has nothing else.
    """
    elsewhere = counts.sum(axis=0, keepdims=True) - counts
    totals = elsewhere.sum(axis=1, keepdims=True)
    prior = totals / np.maximum(totals.sum(axis=2, keepdims=True), 1)
    scores = (elsewhere + _PRIOR_IMAGES * prior) / (
        elsewhere.sum(axis=2, keepdims=True) + _PRIOR_IMAGES
    )
    scores = np.round(scores.swapaxes(1, 2), 12)  # (F, L, K) -> (F, K, L)
    positives = counts.swapaxes(1, 2).astype(np.float64)
    negatives = positives.sum(axis=1, keepdims=True) - positives
    above = scores[..., :, None] > scores[..., None, :]
    level = scores[..., :, None] == scores[..., None, :]
    won = np.einsum("fki,fkij,fkj->fk", positives, above + 0.5 * level, negatives)
    n_pairs = positives.sum(axis=2) * negatives.sum(axis=2)
    return ratio(won, n_pairs)


def _telltale(
    name: str,
    kind: Kind,
    levels: NDArray[np.int64],
    *,
    labels: NDArray[np.int64],
    lesion_ids: NDArray[np.str_],
    folds: NDArray[np.int64],
    diagnoses: Sequence[str],
) -> Telltale:
    shape = (int(folds.max()) + 1, int(levels.max()) + 1, len(diagnoses))
    place = (folds * shape[1] + levels) * shape[2]
    areas = out_of_fold_areas(_counted(place, labels, shape))
    by_diagnosis = mean_defined(areas.T)
    auroc = float(mean_defined(by_diagnosis))
    can_tell = shape[1] > 1 and not np.isnan(auroc)
    nothing = np.full((1, len(diagnoses)), np.nan)
    shuffles = _shuffles(name, place, labels, lesion_ids, shape) if can_tell else nothing
    chance = _mean_and_deviation(mean_defined(shuffles))
    luck = _luck(by_diagnosis, shuffles)
    best = int(np.nanargmax(by_diagnosis - (luck >= SIGNIFICANT))) if can_tell else 0
    return Telltale(
        name=name,
        kind=kind,
        n_levels=shape[1],
        auroc=auroc if can_tell else float("nan"),
        chance=chance,
        best=diagnoses[best],
        best_auroc=float(by_diagnosis[best]),
        p_value=_beyond(auroc, chance),
        best_p_value=float(luck[best]),
    )


def _shuffles(
    name: str,
    place: NDArray[np.int64],
    labels: NDArray[np.int64],
    lesion_ids: NDArray[np.str_],
    shape: tuple[int, int, int],
) -> NDArray[np.float64]:
    """Return each diagnosis' AUROC under shuffled labels `(99, K)`; a lesion keeps one label."""
    _, first, lesion = np.unique(lesion_ids, return_index=True, return_inverse=True)
    rng, of_lesion = generator("telltale", name), labels[first]
    shuffled = (rng.permutation(of_lesion)[lesion] for _ in range(N_SHUFFLES))
    areas = (out_of_fold_areas(_counted(place, drawn, shape)) for drawn in shuffled)
    return np.array([mean_defined(area.T) for area in areas])


def _counted(
    place: NDArray[np.int64], labels: NDArray[np.int64], shape: tuple[int, int, int]
) -> NDArray[np.int64]:
    return np.bincount(place + labels, minlength=int(np.prod(shape))).reshape(shape)


def _luck(by_diagnosis: NDArray[np.float64], shuffles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each diagnosis' p value `(K,)` times K.

    Never less than the share of shuffles that reach as much: of two lesions, which share a level
    or do not, the normal tail alone knows too little.
    """
    tails = [
        _beyond(float(area), _mean_and_deviation(drawn))
        for area, drawn in zip(by_diagnosis, shuffles.T, strict=True)
    ]
    reached = (shuffles >= by_diagnosis).mean(axis=0)
    p_values: NDArray[np.float64] = np.maximum(tails, reached) * len(tails)
    return p_values.clip(max=1)


def _mean_and_deviation(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values))


def _beyond(auroc: float, chance: tuple[float, float]) -> float:
    """Return the one-sided p value; a mean of many areas is normal enough for its tail."""
    mean, deviation = chance
    if np.isnan(mean) or np.isnan(auroc):
        return float("nan")
    return 0.5 * erfc((auroc - mean) / deviation / sqrt(2)) if deviation > 0 else 1.0


def _binned(values: NDArray[np.float64]) -> NDArray[np.int64]:
    is_known = ~np.isnan(values)
    if not is_known.any():
        return np.zeros(len(values), dtype=np.int64)
    edges = np.unique(np.quantile(values[is_known], np.arange(1, _BINS) / _BINS))
    bins = np.where(is_known, np.searchsorted(edges, values, side="right"), len(edges) + 1)
    return np.unique(bins, return_inverse=True)[1].astype(np.int64)
