"""95 % intervals of every metric at once, from lesions drawn again with replacement.

In:  Predictions of one part, a decision rule, an rng.   Out: an Interval a metric.
Knows nothing of parts or of a second classifier (`comparison` draws the same lesions for two).
Why: percentiles of the draws miss the truth too often where few lesions carry a metric. So the
draws give the standard error, and the bounds are Student's t on the metric's own scale, with as
many lesions as carry the metric: of the methods tried, this one covers
(docs/decisions/intervals.md).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri, stdtrit

from moulage.errors import ConfigError
from moulage.evaluation.decisions import PlainRule
from moulage.evaluation.metrics import score
from moulage.evaluation.recalls import Recalls
from moulage.evaluation.resampling import Drawn, Lesions, draw_lesions, equal_size, resample
from moulage.evaluation.scales import DIFFERENCE, SHARE, Bounds, bounds_of, shrink, slope, stretch
from moulage.predictions import Predictions

LEVEL = 0.95
N_REPLICATES = 2000
_ROUNDING = 1e-12  # of a value: what sums leave where nothing varies
TELLING = 10.0  # effective lesions below which the draws of a share say little
_SEEN = 5.0  # the same for a share that is one of a mean's
_LEAST = 2.0  # effective lesions below which those of a metric of the whole matrix say nothing
_OF_THE_MATRIX = frozenset({"f1", "macro_f1", "matthews", "cohen_kappa"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number with its bounds; NaN where not defined.

    standard_error: over lesions; that of balanced accuracy is made of its recalls', see
    `balanced_interval`. n_effective: how many equally telling lesions would tell as much, at most
    their number. n_undefined: replicates in which the metric is not defined; they
    are left out. A macro metric is defined, and not counted, where a replicate lacks a diagnosis:
    it is the mean over the others there.
    """

    value: float
    low: float
    high: float
    standard_error: float
    n_effective: float
    n_undefined: int = 0


def intervals(
    predictions: Predictions,
    *,
    rng: np.random.Generator,
    rule: PlainRule = "natural",
    n_replicates: int = N_REPLICATES,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Return the interval of each of `metric_names`.

    Where no draw differs from another, drawing again cannot say how sure that is, and little where
    a lesion or two differ from all others: shares of images have exact bounds there (see
    `binomial_bounds`), and balanced accuracy the bounds of its recalls together;
    other metrics that never vary have none. Nor has one of ranks where a single lesion is all of
    a kind: nothing there shows what another would have done. Nor have F1, macro F1, Matthews'
    correlation and Cohen's kappa where fewer than two effective lesions carry them, as where one
    of hundreds is wrong.
    """
    scored = score(predictions, rule=rule)
    lesions = Lesions.of((predictions,))
    weights = draw_lesions(lesions.n_lesions, n_replicates=n_replicates, rng=rng)
    return intervals_of(resample((scored,), lesions=lesions, weights=weights), level=level)


def intervals_of(drawn: Drawn, *, level: float = LEVEL) -> dict[str, Interval]:
    """Return the interval of each metric that was drawn."""
    found = {
        name: student_interval(drawn, name, bounds=bounds_of(name), level=level)
        for name in drawn.values
    }
    return _with_balanced(found, drawn, recall_intervals, level=level)


def difference_intervals(drawn: Drawn, *, level: float = LEVEL) -> dict[str, Interval]:
    """Return the interval of each difference (see `Drawn.minus`), on the plain scale.

    A difference that no lesion shows is nought and has no bounds: other lesions might show one.
    Where none shows one in log loss either, both answer alike, and the bounds are nought too.
    One in balanced accuracy has the bounds of its recalls' differences together.
    """
    found = {
        name: student_interval(drawn, name, bounds=DIFFERENCE, level=level) for name in drawn.values
    }
    if drawn.values.get("log_loss") == 0 and not drawn.influences["log_loss"].any():
        return {name: replace(one, low=one.value, high=one.value) for name, one in found.items()}
    if drawn.recalls is None or not drawn.recalls.slopes.any():
        return found
    return _with_balanced(found, drawn, difference_of_recalls, level=level)


def unpaired_difference(one: Interval, other: Interval, *, level: float = LEVEL) -> Interval:
    """Return one minus the other, measured on test parts that differ [satterthwaite1946].

    Lesions that stand in both parts make the true error smaller, hence this interval too wide
    rather than too narrow. A side that never varies, as where every lesion is right, has the error
    of its exact bounds, of the same `level`; without such bounds the difference has none.
    """
    value = one.value - other.value
    squares = [_error_of(interval, level) ** 2 for interval in (one, other)]
    error = math.sqrt(sum(squares))
    spread = sum(s**2 / i.n_effective for s, i in zip(squares, (one, other), strict=True) if s)
    n_effective = error**4 / spread if spread else math.nan
    low, high = student_bounds(
        value, error, n_effective=n_effective, bounds=DIFFERENCE, level=level
    )
    return Interval(value=value, low=low, high=high, standard_error=error, n_effective=n_effective)


def _error_of(interval: Interval, level: float) -> float:
    if interval.standard_error == 0:
        return normal_error(interval.low, interval.high, level=level)
    return interval.standard_error


def normal_error(low: float, high: float, *, level: float) -> float:
    """Return the standard error of a normal number with bounds as far apart."""
    return (high - low) / 2 / float(ndtri((1 + level) / 2))


def recall_intervals(recalls: Recalls, *, level: float) -> list[Interval]:
    """Return the interval of each recall, as one of those that a mean is made of.

    Student's t where five effective lesions or more carry a recall, with as many as carry the mean
    of all. Else the exact bounds that any share has (see `binomial_bounds`), and the standard
    error of a normal share with bounds as far apart.
    """
    each = [_recall_interval(recalls, k, level=level) for k in range(len(recalls.weights))]
    n_effective = balanced_interval(recalls, each).n_effective
    found = []
    for k, one in enumerate(each):
        if _is_seen(recalls, k):
            n_all = max(n_effective, one.n_effective)
            low, high = student_bounds(
                one.value, one.standard_error, n_effective=n_all, bounds=SHARE, level=level
            )
            one = replace(one, low=low, high=high)
        found.append(one)
    return found


def difference_of_recalls(recalls: Recalls, *, level: float) -> list[Interval]:
    """Return the interval of each difference between two recalls on the same lesions.

    Student's t where ten effective lesions or more differ, else the adjusted bounds of Agresti and
    Min: half a lesion is added to each cell of the table of both right, one right, none right
    [agresti2005]. A lesion of several photographs, or runs, differs by a share of one.
    """
    return [_recall_difference(recalls, k, level=level) for k in range(len(recalls.weights))]


def balanced_interval(
    recalls: Recalls, each: Sequence[Interval], *, n_undefined: int = 0
) -> Interval:
    """Return the interval of the weighed mean of numbers that have bounds each.

    The distances from each number to its bounds are added as standard errors are, low and high
    apart [zou2008]: what a recall of 1 may lack to the truth counts, though it never varies.
    Lesions that stand under two diagnoses make recalls alike, and count as their correlation.
    n_effective: the numbers' own, weighed by their variances [satterthwaite1946].
    """
    value = float(recalls.weights @ recalls.values)
    alike = recalls.correlations()

    def size(lengths: Sequence[float]) -> float:
        weighed = recalls.weights * np.array(lengths)
        return math.sqrt(max(float(weighed @ alike @ weighed), 0.0))

    errors = recalls.weights * np.array([one.standard_error for one in each])
    spread = float((errors**4 / np.array([one.n_effective for one in each])).sum())
    return Interval(
        value=value,
        low=value - size([one.value - one.low for one in each]),
        high=value + size([one.high - one.value for one in each]),
        standard_error=size([one.standard_error for one in each]),
        n_effective=float((errors**2).sum()) ** 2 / spread,
        n_undefined=n_undefined,
    )


def _with_balanced(
    found: dict[str, Interval],
    drawn: Drawn,
    intervals_of_each: Callable[..., list[Interval]],
    *,
    level: float,
) -> dict[str, Interval]:
    name, recalls = "balanced_accuracy", drawn.recalls
    if name not in found or recalls is None:
        return found
    n_undefined = found[name].n_undefined
    each = intervals_of_each(recalls, level=level)
    return {**found, name: balanced_interval(recalls, each, n_undefined=n_undefined)}


def _recall_interval(recalls: Recalls, k: int, *, level: float) -> Interval:
    value, n_effective = float(recalls.values[k]), effective_size(recalls.slopes[k])
    if _is_seen(recalls, k):
        error = _error_over_lesions(recalls, k)
        low, high = student_bounds(value, error, n_effective=n_effective, bounds=SHARE, level=level)
    else:
        n_effective = equal_size(recalls.shares[k])
        low, high = binomial_bounds(value, n_effective, level=level)
        error = normal_error(low, high, level=level)
    return Interval(value=value, low=low, high=high, standard_error=error, n_effective=n_effective)


def _is_seen(recalls: Recalls, k: int) -> bool:
    return 0 < recalls.values[k] < 1 and effective_size(recalls.slopes[k]) >= _SEEN


def _recall_difference(recalls: Recalls, k: int, *, level: float) -> Interval:
    value, n_effective = float(recalls.values[k]), effective_size(recalls.slopes[k])
    if n_effective >= TELLING:
        error = _error_over_lesions(recalls, k)
        low, high = student_bounds(
            value, error, n_effective=n_effective, bounds=DIFFERENCE, level=level
        )
    else:
        seen = recalls.shares[k] > 0
        shares, slopes = recalls.shares[k, seen], recalls.slopes[k, seen]
        n_effective = equal_size(shares)
        square = float((shares * (slopes / shares + value) ** 2).sum())
        more = n_effective + 2
        middle = n_effective * value / more
        error = math.sqrt(((n_effective * square + 1) / more - middle**2) / more)
        reach = float(ndtri((1 + level) / 2)) * error
        low, high = min(value, max(middle - reach, -1)), max(value, min(middle + reach, 1))
    return Interval(value=value, low=low, high=high, standard_error=error, n_effective=n_effective)


def _error_over_lesions(recalls: Recalls, k: int) -> float:
    n_lesions = int((recalls.shares[k] > 0).sum())
    return math.sqrt(n_lesions / (n_lesions - 1) * float((recalls.slopes[k] ** 2).sum()))


def student_interval(drawn: Drawn, name: str, *, bounds: Bounds, level: float) -> Interval:
    """Return Student's t interval on the scale of `bounds`."""
    if not 0 < level < 1:
        raise ConfigError(f"`level` must lie in (0, 1); got {level}. Write 0.95 for 95 %.")
    value, replicates = drawn.values[name], drawn.replicates[name]
    defined = replicates[~np.isnan(replicates)]
    error = float(defined.std(ddof=1)) if len(defined) > 1 else math.nan
    error = float(without_rounding(np.array(error), value))
    n_carrying = drawn.n_carrying.get(name, math.inf)
    if error > 0 and n_carrying < 2:
        error = math.nan  # the draws vary, but not with the luck of the lone lesion
    influence = without_rounding(drawn.influences[name], value)
    n_effective = carried_size(influence, n_carrying=n_carrying)
    if name.partition(".")[0] in _OF_THE_MATRIX and n_effective < _LEAST:
        n_effective = math.nan
    is_told = value not in bounds and n_effective >= TELLING
    if name in drawn.n_counted and not is_told and not math.isnan(value):
        n_effective = drawn.n_counted[name]
        low, high = binomial_bounds(value, n_effective, level=level)
    else:
        low, high = student_bounds(
            value, error, n_effective=n_effective, bounds=bounds, level=level
        )
    return Interval(
        value=value,
        low=low,
        high=high,
        standard_error=error,
        n_effective=n_effective,
        n_undefined=len(replicates) - len(defined),
    )


def without_rounding(numbers: NDArray[np.float64], value: float) -> NDArray[np.float64]:
    """Return how far a value varies, 0 where that is no more than its sums were rounded by."""
    is_rounding = np.abs(numbers) <= _ROUNDING * max(1.0, abs(value))
    return np.where(is_rounding, 0.0, numbers)


def binomial_bounds(share: float, n: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact bounds of a share of n independent trials [clopper1934].

    With every lesion right it may still be that one in so many is not: of 100, one in 28.

    >>> low, high = binomial_bounds(1.0, 100)
    >>> round(1 / (1 - low)), high
    (28, 1.0)
    """
    if not n:
        return math.nan, math.nan
    hits, tail = share * n, (1 - level) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return low, high


def student_bounds(
    value: float, error: float, *, n_effective: float, bounds: Bounds, level: float
) -> tuple[float, float]:
    """Return the ends of Student's t interval; NaN where an error or the scale gives none."""
    if not error > 0 or math.isnan(n_effective) or not bounds[0] < value < bounds[1]:
        return math.nan, math.nan
    reach = float(stdtrit(n_effective, (1 + level) / 2)) * error * slope(value, bounds)
    middle = stretch(value, bounds)
    return shrink(middle - reach, bounds), shrink(middle + reach, bounds)


def carried_size(influence: NDArray[np.float64], *, n_carrying: float) -> float:
    """Return `effective_size`, at most the lesions of the fewer kind; NaN unless they are two.

    A single lesion of a kind is its kind's mean, so its influence is 0, however lucky it was.
    """
    return min(effective_size(influence), n_carrying) if n_carrying >= 2 else math.nan


def effective_size(influence: NDArray[np.float64]) -> float:
    """Return (Σ u²)² / Σ u⁴, the number of equal influences that vary as much.

    NaN if all are 0 [satterthwaite1946].

    >>> effective_size(np.array([1.0, -1.0, 1.0, -1.0, 0.0, 0.0]))
    4.0
    """
    squares = (influence / np.abs(influence).max(initial=np.finfo(float).tiny)) ** 2
    total = float(squares.sum())
    return total**2 / float((squares**2).sum()) if total > 0 else math.nan


def as_json(found: Mapping[str, Interval]) -> dict[str, list[float | None]]:
    """Return `[low, high]` a metric; what is not defined is null."""
    return {
        name: [None if math.isnan(end) else end for end in (interval.low, interval.high)]
        for name, interval in found.items()
    }
