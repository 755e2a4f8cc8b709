"""ROC curves of one diagnosis against the rest, and how far other lesions would move them.

In:  one or more Scored runs, their lesions, weights (L, R) as for any bootstrap.
Out: sensitivity at each of a fixed grid of false-alarm rates, with a band; the mean over runs.
Knows nothing of figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.metrics import Scored
from moulage.evaluation.resampling import Lesions

GRID = np.linspace(0, 1, 101)
_ENDS = (0.025, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Sensitivity (101,) at the false-alarm rates of `GRID`; low and high hold pointwise 95 %.

    NaN throughout where all or none of the images have the diagnosis.
    """

    sensitivity: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_positives: int


def roc_curve(
    runs: Sequence[Scored], *, diagnosis: int, lesions: Lesions, weights: NDArray[np.float64]
) -> Curve:
    """Return the curve of one diagnosis; its band is where 95 % of the draws lie at each rate."""
    plain = np.mean(
        [_sensitivities(run, diagnosis, np.ones((len(run.labels), 1)))[0] for run in runs], axis=0
    )
    drawn = np.mean(
        [
            _sensitivities(run, diagnosis, weights[of_image])
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
        n_positives=int((runs[0].labels == diagnosis).sum()),
    )


def _sensitivities(
    scored: Scored, diagnosis: int, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N, R) weights -> (R, 101) sensitivities; images of equal score are called together."""
    order = np.argsort(-scored.scores[:, diagnosis], kind="stable")
    scores, is_positive = scored.scores[order, diagnosis], scored.labels[order] == diagnosis
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else order
    found, alarms = (
        np.cumsum(weights[order] * chosen[:, None], axis=0)[last]
        for chosen in (is_positive, ~is_positive)
    )
    return np.stack([_on_grid(*curve) for curve in zip(found.T, alarms.T, strict=True)])


def _on_grid(found: NDArray[np.float64], alarms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join the points of a curve by lines; where it climbs straight up its upper end counts."""
    if not len(found) or not found[-1] or not alarms[-1]:
        return np.full(len(GRID), np.nan)
    rates = np.append(0.0, alarms / alarms[-1])
    shares = np.append(0.0, found / found[-1])
    upper = np.append(np.diff(rates) > 0, True)  # the highest point of each rate
    return np.asarray(np.interp(GRID, rates[upper], shares[upper]), dtype=np.float64)
