"""Tell the value of every mask from the values of a few.

In:  masks (P, S) with values, the masks (N, S) asked about.   Out: means (N,), covariance.
Knows nothing of images or surrogates.
Why: probabilities saturate and superpixels act together, so a line through few values misses
by more than its own noise. A Gaussian process with a linear mean learns from the values how far
each superpixel is felt [rasmussen2006, ch. 2 and 5].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

# A little noise keeps the matrices invertible; it is a millionth of the field's variance.
_NUGGET = 1e-6
_START = 0.3
_BOUNDS = (-7.0, 2.0)
_MOST_STEPS = 40
# Below this share of the largest value, what no line explains is rounding.
_LINEAR = 1e-10

# Where one value alone tells a slope, no other foretells it: the mean does, by what is left here.
_PASSED = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """A random field on masks, seen at a few: mean `basis @ slopes`, covariance `variance · K`.

    rates (S,): masks that differ in superpixel i alone correlate by exp(-rate_i).
    inverse (P, P): of K at the masks seen. leave_one_out (P,): errors at masks left out.
    """

    masks: NDArray[np.bool_]
    rates: NDArray[np.float64]
    inverse: NDArray[np.float64]
    slopes: NDArray[np.float64]
    pulls: NDArray[np.float64]
    variance: float
    leave_one_out: NDArray[np.float64]

    def mean(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the expected value (N,) of each mask."""
        nearness = correlation(masks, self.masks, rates=self.rates)
        return np.asarray(basis(masks) @ self.slopes + nearness @ self.pulls)

    def sway(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return (N, P): how the expected value of each mask moves with each value seen."""
        seen = basis(self.masks)
        weighted = self.inverse @ seen
        slopes = np.linalg.pinv(seen.T @ weighted, hermitian=True) @ weighted.T
        nearness = correlation(masks, self.masks, rates=self.rates)
        pulls = self.inverse - weighted @ slopes
        return np.asarray(basis(masks) @ slopes + nearness @ pulls)

    def doubt(
        self, masks: NDArray[np.bool_], directions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the standard deviation (S,) of directions (S, N) @ values."""
        seen = basis(self.masks)
        across = directions @ correlation(masks, self.masks, rates=self.rates)  # (S, P)
        prior = np.einsum(
            "sn,sn->s", directions @ correlation(masks, masks, rates=self.rates), directions
        )
        known = np.einsum("sp,pq,sq->s", across, self.inverse, across)
        missed = directions @ basis(masks) - across @ self.inverse @ seen
        curvature = np.linalg.pinv(seen.T @ self.inverse @ seen, hermitian=True)
        unsure = np.einsum("sb,bc,sc->s", missed, curvature, missed)
        doubt = np.maximum(prior - known + unsure, 0) * self.variance
        return np.asarray(np.sqrt(doubt), dtype=np.float64)


def fit_field(
    masks: NDArray[np.bool_], *, values: NDArray[np.float64], rates: NDArray[np.float64]
) -> Field:
    """Fit slopes and variance to values (P,) at given rates."""
    seen = basis(masks)
    inverse = _inverse(correlation(masks, masks, rates=rates))
    weighted = inverse @ seen
    curvature = np.linalg.pinv(seen.T @ weighted, hermitian=True)
    slopes = curvature @ (weighted.T @ values)
    annihilator = inverse - weighted @ curvature @ weighted.T
    pulls, left = annihilator @ values, np.diag(annihilator)
    return Field(
        masks=masks,
        rates=rates,
        inverse=inverse,
        slopes=slopes,
        pulls=pulls,
        variance=max(float(values @ pulls), 0.0) / (len(values) - seen.shape[1]),
        leave_one_out=np.divide(pulls, left, out=values - values.mean(), where=left > _PASSED),
    )


def learn_rates(masks: NDArray[np.bool_], *, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rates (S,) that make values (P, K) likeliest, every column with its own scale.

    Restricted likelihood: it sees what no line explains, and each column at a variance of its
    own. Where a line explains all, the rates are the usual ones.
    """
    start = np.log(usual_rates(masks.shape[1]))
    blind = contrasts(masks)
    bent = blind.T @ values  # what no line explains, (P - 1 - S, K)
    sizes = np.sqrt((bent**2).mean(axis=0)) if len(bent) else np.zeros(values.shape[1])
    telling = sizes > _LINEAR * (1 + np.abs(values).max())
    if not telling.any():
        return np.exp(start)
    apart = (masks[:, None] != masks[None]).astype(np.float64)  # (P, P, S)
    found = minimize(
        _unlikelihood,
        start,
        args=(apart, blind, bent[:, telling] / sizes[telling]),
        jac=True,
        method="L-BFGS-B",
        bounds=[_BOUNDS] * len(start),
        options={"maxiter": _MOST_STEPS},
    )
    return np.asarray(np.exp(found.x))


def usual_rates(n_segments: int) -> NDArray[np.float64]:
    """Return the rates (S,) assumed before any value is known."""
    return np.full(n_segments, _START)


def contrasts(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return orthonormal columns (P, P - rank) that see neither an intercept nor any slope."""
    seen = basis(masks)
    return np.asarray(np.linalg.svd(seen)[0][:, np.linalg.matrix_rank(seen) :])


def basis(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (N, 1 + S): a one, and what is kept."""
    return np.concatenate([np.ones((len(masks), 1)), masks], axis=1)


def correlation(
    masks: NDArray[np.bool_], others: NDArray[np.bool_], *, rates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return exp(-Σ rates of the superpixels in which two masks differ), (N, P)."""
    kept, others_kept = masks.astype(np.float64), others.astype(np.float64)
    apart = (kept @ rates)[:, None] + others_kept @ rates - 2 * (kept * rates) @ others_kept.T
    return np.exp(-apart)


def _unlikelihood(
    log_rates: NDArray[np.float64],
    apart: NDArray[np.float64],
    blind: NDArray[np.float64],
    bent: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Return minus the restricted log-likelihood and its slope in the logs of the rates (S,)."""
    rates = np.exp(log_rates)
    near = np.exp(-apart @ rates)
    factor = cho_factor(blind.T @ near @ blind + _NUGGET * np.eye(len(bent)), lower=True)
    pulls = cho_solve(factor, bent)
    variances = np.einsum("rk,rk->k", bent, pulls) / len(bent)
    volume = 2 * np.log(np.diag(factor[0])).sum()
    loss = (len(bent) * np.log(variances).sum() + bent.shape[1] * volume) / 2
    inverse = cho_solve(factor, np.eye(len(bent)))
    to_near = blind @ (bent.shape[1] * inverse - (pulls / variances) @ pulls.T) @ blind.T
    slopes = -np.einsum("pq,pqs->s", to_near * near, apart, optimize=True) * rates / 2
    return float(loss), slopes


def _inverse(near: NDArray[np.float64]) -> NDArray[np.float64]:
    factor = cho_factor(near + _NUGGET * np.eye(len(near)), lower=True)
    return np.asarray(cho_solve(factor, np.eye(len(near))))
