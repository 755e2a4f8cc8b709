"""The surrogate of all masks, told from the answers to a few.

In:  masks (P, S) with probabilities (P, K), a diagnosis.   Out: a Surrogate, standard errors (S,).
Knows nothing of images. The values of all masks are interpolated (`fields`), on the scale of the
log-odds where that foretells left-out answers better, and the surrogate is fitted to them. It is
scored on what was answered, not on what was interpolated, which is smoother than the classifier;
and once more on each answer by all others, since weights have seen what they are scored on.
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
    below 0 where their mean would have foretold them better. foretold: of each answer by the
    surrogate of all others, 1 - Σ w · error² / Σ w · (answer - mean)² [allen1974], at the usual
    rates: learned ones have seen every answer, and of a hundred superpixels they fit noise.
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
    near = proximities(masks)
    residuals = values - surrogate.intercept - masks @ surrogate.weights
    scored = replace(
        surrogate,
        score=weighted_r2(values=values, residuals=residuals, weights=near),
        foretold=weighted_r2(
            values=values, residuals=_foretelling_errors(scale, masks, values), weights=near
        ),
    )
    return scored, field.doubt(whole.masks, directions)


def _foretelling_errors(scale: _Scale, masks: NDArray[np.bool_], values: Values) -> Values:
    """Return the error (P,) of each answer's surrogate by all others.

    The field of all others is that of all where the one left out is as they foretell it.
    """
    whole, stretched = population(masks.shape[1]), scale.stretch(values)
    field = fit_field(masks, values=stretched, rates=usual_rates(masks.shape[1]))
    means = field.mean(whole.masks)[:, None] - field.sway(whole.masks) * field.leave_one_out
    told = _put_back_others(scale.shrink(means), whole, masks=masks, values=values)
    return values - _at_own_mask(told, whole, masks)


def _at_own_mask(told: Values, whole: Population, masks: NDArray[np.bool_]) -> Values:
    """Return what the surrogate of each column of values (N, P) says of the mask (P,) it lacks."""
    weights = whole.projector() @ told  # (S, P)
    centre = np.average(whole.masks, axis=0, weights=whole.weights)
    level = np.average(told, axis=0, weights=whole.weights)
    return np.asarray(level + ((masks - centre) * weights.T).sum(axis=1))


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


def _put_back_others(
    told: Values, whole: Population, *, masks: NDArray[np.bool_], values: Values
) -> Values:
    """Do so in columns (N, P), each without the answer that it lacks."""
    if len(told) == 2 ** masks.shape[1]:
        rows, columns = row_of(masks), np.arange(len(masks))
        own = told[rows, columns]
        told[rows] = values[:, None]
        told[rows, columns] = own
    return told
