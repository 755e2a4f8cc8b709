"""Lesions drawn again with replacement, and every metric measured on each draw.

In:  one or more Scored runs and the lesions of their images.   Out: Drawn, a mean over the runs.
Knows nothing of intervals or p values.
Why: photographs of one lesion are alike, so drawing images again would count them as new
evidence. A replicate is a weighting of the lesions, measured like any other weighting.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from moulage.arrays import rng_of
from moulage.errors import ConfigError, DataError
from moulage.evaluation.influence import influences
from moulage.evaluation.metrics import (
    Scored,
    image_sums,
    is_ranked,
    metric_names,
    metrics_of_sums,
    weighted_metrics,
    weighted_rankings,
)
from moulage.evaluation.recalls import Recalls, recalls_of
from moulage.evaluation.undefined import ratio
from moulage.predictions import Predictions

# (L, R): two bytes hold any count of a draw, one holds a swap
Weights = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float64]
_CHUNK = 64  # replicates measured together: as many as fit the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesions:
    """The lesions of one or more runs: of_images, a run each, (N,) int64 in [0, n_lesions)."""

    of_images: tuple[NDArray[np.int64], ...]
    n_lesions: int

    @classmethod
    def of(cls, runs: Sequence[Predictions]) -> Self:
        """Number the lesions of all runs together; a run may lack some."""
        if not all(len(run) for run in runs) or not runs:
            raise DataError(
                "An interval must be drawn from one or more images; got none. "
                "Choose a part that has images."
            )
        everyone = np.concatenate([run.lesion_ids for run in runs])
        names, of_all = np.unique(everyone, return_inverse=True)
        ends = np.cumsum([len(run) for run in runs])[:-1]
        return cls(of_images=tuple(np.split(of_all, ends)), n_lesions=len(names))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Every metric, by name: its value, its replicates (R,) and the lesions' influences (L,).

    n_counted: of a share of images, how many equally large lesions are counted, see
    `counted_lesions`; differences have none. n_carrying: of a metric of ranks, the lesions of the
    fewer kind, see `carrying_lesions`. recalls: what balanced accuracy is the mean of.
    """

    values: Mapping[str, float]
    replicates: Mapping[str, NDArray[np.float64]]
    influences: Mapping[str, NDArray[np.float64]]
    n_counted: Mapping[str, float] = field(default_factory=dict)
    n_carrying: Mapping[str, float] = field(default_factory=dict)
    recalls: Recalls | None = None

    def minus(self, other: Self) -> "Drawn":
        """Return the differences in what both have, of the same lesions by the same weights."""
        names = [name for name in self.values if name in other.values]
        return Drawn(
            values={name: self.values[name] - other.values[name] for name in names},
            replicates={name: self.replicates[name] - other.replicates[name] for name in names},
            influences={name: self.influences[name] - other.influences[name] for name in names},
            n_carrying=self.n_carrying,
            recalls=self.recalls.minus(other.recalls) if self.recalls and other.recalls else None,
        )


def draw_lesions(n_lesions: int, *, n_replicates: int, rng: np.random.Generator) -> Weights:
    """Return how often each replicate draws each lesion `(L, R)`; columns sum to L."""
    if n_replicates < 2:
        raise ConfigError(f"`n_replicates` must be at least 2; got {n_replicates}. Write 2000.")
    rng = rng_of(rng)
    counts = np.empty((n_lesions, n_replicates), dtype=np.uint16)
    for replicate in range(n_replicates):
        drawn = rng.integers(n_lesions, size=n_lesions)
        counts[:, replicate] = np.bincount(drawn, minlength=n_lesions)
    return counts


def resample(
    runs: Sequence[Scored],
    *,
    lesions: Lesions,
    weights: Weights,
    names: Collection[str] | None = None,
) -> Drawn:
    """Measure the runs as they are, and under each column of `weights (L, R)`.

    names: of the metrics wanted, all if None; those that need no ranking cost next to nothing.
    """
    return Drawn(
        values=mean_values(runs, names=names),
        replicates=mean_replicates(runs, lesions=lesions, weights=weights, names=names),
        influences=mean_influences(runs, lesions=lesions, names=names),
        n_counted=counted_lesions(runs, lesions=lesions),
        n_carrying=carrying_lesions(runs, lesions=lesions),
        recalls=recalls_of(runs, of_images=lesions.of_images, n_lesions=lesions.n_lesions),
    )


def mean_values(
    runs: Sequence[Scored], *, names: Collection[str] | None = None
) -> dict[str, float]:
    """Return each metric, the mean over runs; NaN where one of them is."""
    tables = [weighted_metrics(run, weights=np.ones((len(run.labels), 1))) for run in runs]
    return {name: float(np.mean([t[name][0] for t in tables])) for name in _chosen(runs, names)}


def mean_replicates(
    runs: Sequence[Scored],
    *,
    lesions: Lesions,
    weights: Weights,
    names: Collection[str] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return each metric under each column of `weights (L, R)`, `(R,)`, the mean over runs."""
    tables = [
        replicates(run, weights=weights, of_image=of_image, names=names)
        for run, of_image in zip(runs, lesions.of_images, strict=True)
    ]
    return {name: np.mean([table[name] for table in tables], axis=0) for name in tables[0]}


def mean_influences(
    runs: Sequence[Scored], *, lesions: Lesions, names: Collection[str] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return the influence of each lesion `(L,)` on each metric, the mean over runs."""
    tables = [
        {
            name: np.bincount(of_image, weights=slopes, minlength=lesions.n_lesions)
            for name, slopes in influences(run).items()
        }
        for run, of_image in zip(runs, lesions.of_images, strict=True)
    ]
    return {name: np.mean([t[name] for t in tables], axis=0) for name in _chosen(runs, names)}


def replicates(
    scored: Scored,
    *,
    weights: Weights,
    of_image: NDArray[np.int64],
    names: Collection[str] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Measure one run under each column of `weights (L, R)`."""
    chosen = _chosen((scored,), names)
    of_lesions = lesion_sums(scored, of_image=of_image, n_lesions=len(weights))
    tables = []
    for chunk in column_chunks(weights):
        table = metrics_of_sums(chunk.T @ of_lesions, scored.diagnoses)
        if any(map(is_ranked, chosen)):
            table |= weighted_rankings(scored, weights=chunk[of_image], names=chosen)
        tables.append(table)
    return {name: np.concatenate([table[name] for table in tables]) for name in chosen}


def lesion_sums(
    scored: Scored, *, of_image: NDArray[np.int64], n_lesions: int
) -> NDArray[np.float64]:
    """Add `image_sums` up over the photographs of each lesion `(L, K² + 2)`."""
    of_images = image_sums(scored)
    sums = np.zeros((n_lesions, of_images.shape[1]))
    np.add.at(sums, of_image, of_images)
    return sums


def draw_share(
    *,
    hits: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    of_image: NDArray[np.int64],
    weights: Weights,
) -> Drawn:
    """Draw the share of the counted images `(N,)` that are hits, under the name "share"."""
    n_lesions = len(weights)
    found, asked = (
        np.bincount(of_image, weights=chosen, minlength=n_lesions)
        for chosen in (hits & counted, counted)
    )
    value = float(found.sum() / asked.sum()) if asked.any() else math.nan
    shares = [ratio(found @ chunk, asked @ chunk) for chunk in column_chunks(weights)]
    return Drawn(
        values={"share": value},
        replicates={"share": np.concatenate(shares)},
        influences={"share": (found - value * asked) / max(asked.sum(), 1)},
        n_counted={"share": float(asked.sum() ** 2 / max((asked**2).sum(), 1))},
    )


def counted_lesions(runs: Sequence[Scored], *, lesions: Lesions) -> dict[str, float]:
    """Return the `equal_size` of the lesions in a share.

    For accuracy, and for each recall and precision. A lesion weighs its share of the photographs
    counted, summed over the runs: folds of different lesions count them all, seeds on the same
    lesions no more than one of them.
    """
    sizes: dict[str, NDArray[np.float64]] = {}
    for run, of_image in zip(runs, lesions.of_images, strict=True):
        counted = {"accuracy": np.ones(len(run.labels), dtype=np.bool_)}
        for k, code in enumerate(run.diagnoses):
            counted |= {f"recall.{code}": run.labels == k, f"precision.{code}": run.decisions == k}
        for name, rows in counted.items():
            of_run = np.bincount(of_image[rows], minlength=lesions.n_lesions)
            sizes[name] = sizes.get(name, 0.0) + of_run / max(of_run.sum(), 1)
    return {name: equal_size(of_lesions) for name, of_lesions in sizes.items()}


def carrying_lesions(runs: Sequence[Scored], *, lesions: Lesions) -> dict[str, float]:
    """Return the lesions of the fewer kind behind each area and average precision.

    Over all runs; 1 where one of them has but one lesion of a kind. A macro metric is 1 where one
    of its diagnoses is, else infinite: each diagnosis' lesions show in its effective size.
    """
    codes = runs[0].diagnoses
    least = [_fewer([run.labels == k for run in runs], lesions) for k in range(len(codes))]
    macro = 1.0 if 1.0 in least else math.inf
    found = {}
    for metric in ("auroc", "average_precision"):
        found[f"macro_{metric}"] = macro
        found |= {f"{metric}.{code}": n for code, n in zip(codes, least, strict=True)}
    return found


def equal_size(weights: NDArray[np.number]) -> float:
    """Return (Σ w)² / Σ w², how many equally heavy lesions would tell as much [kish1965].

    >>> equal_size(np.array([50.0, *[1.0] * 20]))
    1.9444444444444444
    """
    total = float(weights.sum())
    return total**2 / float((weights**2).sum()) if total > 0 else 0.0


def _fewer(positives: Sequence[NDArray[np.bool_]], lesions: Lesions) -> float:
    """Return the lesions of positives or of negatives, whichever are fewer; 1 if so in any run."""
    seen = np.zeros((2, lesions.n_lesions), dtype=np.bool_)
    for is_positive, of_image in zip(positives, lesions.of_images, strict=True):
        of_run = np.zeros_like(seen)
        of_run[is_positive.astype(np.int64), of_image] = True
        if of_run.sum(axis=1).min() == 1:
            return 1.0
        seen |= of_run
    return float(seen.sum(axis=1).min())


def _chosen(runs: Sequence[Scored], names: Collection[str] | None) -> tuple[str, ...]:
    return metric_names(runs[0].diagnoses) if names is None else tuple(names)


def column_chunks(table: Weights) -> Iterator[NDArray[np.float64]]:
    """Give the columns in float64, as many at a time as fit the processor's cache."""
    for start in range(0, table.shape[1], _CHUNK):
        yield np.ascontiguousarray(table[:, start : start + _CHUNK], dtype=np.float64)
