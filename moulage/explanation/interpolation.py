"""The surrogate of all masks, told from the answers to a few.

In:  masks (P, S) with probabilities (P, K), a diagnosis.   Out: a Surrogate, standard errors (S,).
Knows nothing of images. The values of all masks are interpolated (`fields`), on the scale of the
log-odds where that foretells left-out answers better, and the surrogate is fitted to them. It is
scored on what was answered, not on what was interpolated: that is smoother than the classifier.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from threadpoolctl import ThreadpoolController

from moulage.explanation.designs import Population, population
from moulage.explanation.fields import fit_field, learn_rates, usual_rates
from moulage.explanation.masks import proximities, row_of
from moulage.explanation.surrogate import Surrogate, fit_surrogate, weighted_r2

Values = NDArray[np.float64]
_NEAREST_TO_CERTAIN = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """On which values are interpolated: there, back, and the slope of the way back."""

    stretch: Callable[[Values], Values]
    shrink: Callable[[Values], Values]
    slope: Callable[[Values], Values]


def _log_odds(probabilities: Values) -> Values:
    return np.asarray(logit(np.clip(probabilities, _NEAREST_TO_CERTAIN, 1 - _NEAREST_TO_CERTAIN)))


def _slope_of_odds(log_odds: Values) -> Values:
    return np.asarray(expit(log_odds) * expit(-log_odds))


_PLAIN = _Scale(stretch=np.asarray, shrink=np.asarray, slope=np.ones_like)
_ODDS = _Scale(stretch=_log_odds, shrink=expit, slope=_slope_of_odds)


def surrogate_from_few(
    masks: NDArray[np.bool_], *, probabilities: NDArray[np.float64], diagnosis: int
) -> tuple[Surrogate, NDArray[np.float64]]:
    """Return the surrogate of the population, and standard errors (S,) of what was interpolated.

    The errors are those of the random field, with rates taken as known. All diagnoses tell how
    far a superpixel is felt; the weights are those of one. score: weighted R² on the masks asked,
    below 0 where their mean would have foretold them better.
    """
    with _libraries().limit(limits=1, user_api="blas"):  # matrices of 128 × 128: threads only wait
        return _interpolated(masks, probabilities, diagnosis)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _interpolated(
    masks: NDArray[np.bool_], probabilities: NDArray[np.float64], diagnosis: int
) -> tuple[Surrogate, NDArray[np.float64]]:
    whole = population(masks.shape[1])
    values = probabilities[:, diagnosis]
    scale = _better_scale(masks, values)
    rates = learn_rates(masks, values=scale.stretch(probabilities))
    field = fit_field(masks, values=scale.stretch(values), rates=rates)
    means = field.mean(whole.masks)
    told = _put_back(scale.shrink(means), whole, masks=masks, values=values)
    surrogate = fit_surrogate(whole.masks, values=told, proximities=whole.weights)
    directions = whole.projector() * scale.slope(means)
    score = _score(surrogate, masks, values)
    return replace(surrogate, score=score), field.doubt(whole.masks, directions)


def _score(surrogate: Surrogate, masks: NDArray[np.bool_], values: Values) -> float:
    residuals = values - surrogate.intercept - masks @ surrogate.weights
    return weighted_r2(values=values, residuals=residuals, weights=proximities(masks))


def _better_scale(masks: NDArray[np.bool_], values: Values) -> _Scale:
    if not ((values >= 0) & (values <= 1)).all():
        return _PLAIN
    return min(_PLAIN, _ODDS, key=lambda scale: _left_out(scale, masks, values))


def _left_out(scale: _Scale, masks: NDArray[np.bool_], values: Values) -> float:
    """Return the mean squared error of answers foretold from all others."""
    stretched = scale.stretch(values)
    field = fit_field(masks, values=stretched, rates=usual_rates(masks.shape[1]))
    return float(((scale.shrink(stretched - field.leave_one_out) - values) ** 2).mean())


def _put_back(
    told: Values, whole: Population, *, masks: NDArray[np.bool_], values: Values
) -> Values:
    """Use the answers themselves where the population is all masks, in their own order."""
    n_segments = masks.shape[1]
    if len(told) == 2**n_segments:
        told[row_of(masks)] = values
    return told
