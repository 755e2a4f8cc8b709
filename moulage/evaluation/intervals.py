"""95 % intervals of every metric at once, by drawing lesions again with replacement.

In:  Predictions of one part, a decision rule, an rng.   Out: an Interval a metric.
Knows nothing of parts or of a second classifier (`comparison` draws the same lesions for two).
Why: photographs of one lesion are alike, so drawing images again would count them as new
evidence; a replicate is a weighting of the lesions, measured like any other. The percentile
method was chosen by its coverage: see docs/decisions/intervals.md.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, DataError
from moulage.evaluation.decisions import Rule
from moulage.evaluation.metrics import Scored, score, weighted_metrics
from moulage.predictions import Predictions

LEVEL = 0.95
N_REPLICATES = 2000
_CHUNK = 64  # replicates measured together: as many as fit the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number with its bounds; NaN where not defined.

    n_undefined: replicates in which the metric was not defined and which were left out.
    """

    value: float
    low: float
    high: float
    n_replicates: int = N_REPLICATES
    n_undefined: int = 0


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


def intervals(
    predictions: Predictions,
    *,
    rng: np.random.Generator,
    rule: Rule = "natural",
    costs: NDArray[np.float64] | None = None,
    n_replicates: int = N_REPLICATES,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Return the interval of each of `metric_names`: percentiles of the replicates."""
    scored = (score(predictions, rule=rule, costs=costs),)
    lesions = Lesions.of((predictions,))
    values = mean_values(scored)
    drawn = mean_replicates(
        scored,
        lesions=lesions,
        weights=draw_lesions(lesions.n_lesions, n_replicates=n_replicates, rng=rng),
    )
    return {
        name: unless_constant(
            percentile_interval(value=values[name], replicates=drawn[name], level=level)
        )
        for name in values
    }


def draw_lesions(
    n_lesions: int, *, n_replicates: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how often each replicate draws each lesion `(L, R)`; columns sum to L."""
    if n_replicates < 1:
        raise ConfigError(f"`n_replicates` must be at least 1; got {n_replicates}. Write 2000.")
    counts = rng.multinomial(n_lesions, np.full(n_lesions, 1 / n_lesions), size=n_replicates)
    return np.ascontiguousarray(counts.T, dtype=np.float64)


def mean_values(runs: Sequence[Scored]) -> dict[str, float]:
    """Return each metric, the mean over runs; NaN where one of them is."""
    tables = [weighted_metrics(run, weights=np.ones((len(run.labels), 1))) for run in runs]
    return {name: float(np.mean([table[name][0] for table in tables])) for name in tables[0]}


def mean_replicates(
    runs: Sequence[Scored], *, lesions: Lesions, weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Measure each column of `weights (L, R)`; returns `(R,)` a metric, the mean over runs."""
    tables = [
        replicates(run, weights=weights, of_image=of_image)
        for run, of_image in zip(runs, lesions.of_images, strict=True)
    ]
    return {name: np.mean([table[name] for table in tables], axis=0) for name in tables[0]}


def replicates(
    scored: Scored, *, weights: NDArray[np.float64], of_image: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Measure one run under each column of `weights (L, R)`, a chunk at a time."""
    chunks = [
        weighted_metrics(scored, weights=chunk[of_image]) for chunk in _column_chunks(weights)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def percentile_interval(
    *, value: float, replicates: NDArray[np.float64], level: float = LEVEL
) -> Interval:
    """Return the middle `level` of the replicates that are defined."""
    if not 0 < level < 1:
        raise ConfigError(f"`level` must lie in (0, 1); got {level}. Write 0.95 for 95 %.")
    defined = replicates[~np.isnan(replicates)]
    low = high = math.nan
    if len(defined) and not math.isnan(value):
        low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(
        value=value,
        low=low,
        high=high,
        n_replicates=len(replicates),
        n_undefined=len(replicates) - len(defined),
    )


def unless_constant(interval: Interval) -> Interval:
    """Return the interval without bounds where no replicate differs from another.

    All lesions right, or one lesion alone: drawing again cannot say how sure that is.
    """
    if interval.low < interval.high:
        return interval
    return replace(interval, low=math.nan, high=math.nan)


def as_json(found: Mapping[str, Interval]) -> dict[str, list[float | None]]:
    """Return `[low, high]` a metric; what is not defined is null."""
    return {
        name: [None if math.isnan(end) else end for end in (interval.low, interval.high)]
        for name, interval in found.items()
    }


def _column_chunks(table: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    for start in range(0, table.shape[1], _CHUNK):
        yield np.ascontiguousarray(table[:, start : start + _CHUNK])
