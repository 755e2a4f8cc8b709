"""ROC curves of one diagnosis against the rest, and how far other lesions would move them.

In:  one or more Scored runs, their lesions, how often each is drawn (L, R), as for any bootstrap.
Out: sensitivity at each of a fixed grid of false-alarm rates, with a band; the mean over runs.
Knows nothing of figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.metrics import Scored
from moulage.evaluation.resampling import Lesions, Weights

GRID = np.linspace(0, 1, 101)
_ENDS = (0.025, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Sensitivity (101,) at the false-alarm rates of `GRID`; low and high hold pointwise 95 %.

    NaN throughout where all or none of the images have the diagnosis. n_positives: images that
    have it, each once however many runs tested it.
    """

    sensitivity: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_positives: int


def roc_curve(
    runs: Sequence[Scored],
    *,
    image_ids: Sequence[NDArray[np.str_]],
    diagnosis: int,
    lesions: Lesions,
    weights: Weights,
) -> Curve:
    """Return the curve of one diagnosis; its band is where 95 % of the draws lie at each rate.

    image_ids: a run each, (N,), in the order of its labels.
    """
    positives = [ids[run.labels == diagnosis] for run, ids in zip(runs, image_ids, strict=True)]
    plain = np.mean(
        [
            _sensitivities(run, diagnosis, np.ones((len(run.labels), 1), dtype=np.int64))[0]
            for run in runs
        ],
        axis=0,
    )
    drawn = np.mean(
        [
            _sensitivities(run, diagnosis, weights[of_image].astype(np.int64))
            for run, of_image in zip(runs, lesions.of_images, strict=True)
        ],
        axis=0,
    )
    defined = drawn[~np.isnan(drawn).any(axis=1)]
    band = np.quantile(defined, _ENDS, axis=0) if len(defined) else np.full((2, len(GRID)), np.nan)
    return Curve(
        sensitivity=plain,
        low=band[0],
        high=band[1],
        n_positives=len(np.unique(np.concatenate(positives))),
    )


def _sensitivities(
    scored: Scored, diagnosis: int, counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(N, R) counts -> (R, 101) sensitivities, NaN where a draw lacks one of the two kinds."""
    found, alarms = _steps(scored, diagnosis, counts)
    n_found, n_alarms = found[-1], alarms[-1]
    before = _last_at_most(alarms, _alarms_allowed(n_alarms))
    after = np.minimum(before + 1, len(alarms) - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (_at(found, places) / n_found for places in (before, after))
        left, right = (_at(alarms, places) / n_alarms for places in (before, after))
        slope = np.where(after > before, (high - low) / (right - left), 0.0)
        curves = slope * (GRID[:, None] - left) + low
    curves[:, (n_found == 0) | (n_alarms == 0)] = np.nan
    return np.asarray(curves.T, dtype=np.float64)


def _steps(
    scored: Scored, diagnosis: int, counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return found and false alarms `(T, R)`, from no alarm on.

    Images of equal score are called together, so between two rows the curve is straight. Of a rise
    at one rate only its two ends are there.
    """
    order = np.argsort(-scored.scores[:, diagnosis], kind="stable")
    scores, is_positive = scored.scores[order, diagnosis], scored.labels[order] == diagnosis
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else order
    n_found, n_alarms = (
        np.append(0, np.cumsum(kind)[last]) for kind in (is_positive, ~is_positive)
    )
    is_alarm = np.diff(n_alarms) > 0
    is_end = np.append(is_alarm, True) | np.append(True, is_alarm)
    return (
        _running_sum(counts[order[is_positive]])[n_found[is_end]],
        _running_sum(counts[order[~is_positive]])[n_alarms[is_end]],
    )


def _running_sum(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, R) -> (n + 1, R), a row of zeros first."""
    sums = np.zeros((len(counts) + 1, counts.shape[1]), dtype=np.int64)
    np.cumsum(counts, axis=0, out=sums[1:])
    return sums


def _alarms_allowed(n_alarms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the most alarms of `(R,)` whose rate is not above each of the grid `(101, R)`."""
    rates, total = GRID[:, None], np.maximum(n_alarms, 1)
    allowed = np.floor(rates * total).astype(np.int64)
    allowed += (allowed + 1) / total <= rates  # the product may be rounded the other way
    return np.asarray(np.minimum(allowed - (allowed / total > rates), n_alarms), dtype=np.int64)


def _last_at_most(alarms: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the last place of each column `(T, R)` that is not above its bounds `(G, R)`.

    All columns are searched at once, laid end to end: each begins above the last's end.
    """
    n_places, n_columns = alarms.shape
    lifted = np.arange(n_columns) * (alarms[-1].max() + 1)
    found = np.searchsorted((alarms + lifted).T.ravel(), bounds + lifted, side="right")
    return np.asarray(found - 1 - np.arange(n_columns) * n_places, dtype=np.int64)


def _at(table: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.take_along_axis(table, places, axis=0)
