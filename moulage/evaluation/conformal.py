"""Sets of diagnoses that hold the truth at a stated level, whatever the classifier is worth.

In:  probabilities (n, K) and labels (n,) of lesions that did not train, one photograph each.
Out: a quantile for all diagnoses and one for each; sets (N, K) bool for any probabilities.
Knows nothing of parts: the caller says whether these images also chose the epoch.
Split conformal prediction [vovk2005]: the truth's score on a new lesion is as likely to hold any
rank among the fitted ones. `lac` scores 1 − p, which gives the smallest sets [sadinle2019]; `aps`
sums what is more probable, which gives hard images more room [romano2020]. Under both the most
probable diagnosis scores 0: no set is empty, and the level is kept at least, not exactly. A
classifier that is right more often than that has sets of one, which hold the truth as often as it
is right. A temperature fitted on the same lesions is no part of the proof.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moulage.arguments import one_of
from moulage.arrays import check_labels
from moulage.errors import ConfigError, ShapeError
from moulage.predictions import Predictions

Method = Literal["lac", "aps"]
METHODS: tuple[Method, ...] = ("lac", "aps")
ALPHA = 0.10
_TIE = 1e-12  # a sum of probabilities may end a bit beyond the quantile that it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformal:
    """Quantiles of the truth's score; infinity takes a diagnosis into every set.

    marginal: one for all. by_diagnosis: one each, by code. n_lesions: fitted on, by code.
    """

    method: Method
    alpha: float
    marginal: float
    by_diagnosis: dict[str, float]
    n_lesions: dict[str, int]

    @property
    def always(self) -> tuple[str, ...]:
        """Diagnoses with too few lesions for a quantile; they are in every set by diagnosis."""
        return tuple(code for code, q in self.by_diagnosis.items() if math.isinf(q))


def fit_conformal(
    predictions: Predictions, *, method: Method = "lac", alpha: float = ALPHA
) -> Conformal:
    """Fit on predictions of lesions that did not train, a row a lesion (`one_photograph_each`)."""
    one_of(method, "method", METHODS)
    if not 0 < alpha < 1:
        raise ConfigError(f"`alpha` must lie in (0, 1); got {alpha}. Write 0.1 for 90 % sets.")
    if len(np.unique(predictions.lesion_ids)) < len(predictions):
        raise ShapeError(
            "Conformal sets must be fitted on one photograph a lesion; got "
            f"{len(predictions)} of {len(np.unique(predictions.lesion_ids))} lesions. "
            "Choose them with `one_photograph_each`."
        )
    labels = predictions.labels
    check_labels(labels, n_rows=len(labels), n_classes=len(predictions.diagnoses))
    scores = scores_of(predictions.probabilities(), method=method)
    truth = scores[np.arange(len(labels)), labels]
    codes = predictions.diagnoses
    return Conformal(
        method=method,
        alpha=alpha,
        marginal=conformal_quantile(truth, alpha=alpha),
        by_diagnosis={
            code: conformal_quantile(truth[labels == k], alpha=alpha)
            for k, code in enumerate(codes)
        },
        n_lesions={code: int((labels == k).sum()) for k, code in enumerate(codes)},
    )


def conformal_quantile(scores: NDArray[np.float64], *, alpha: float) -> float:
    """Return the ⌈(n + 1)(1 − α)⌉-th smallest score; infinity where n is too small.

    >>> conformal_quantile(np.arange(9.0), alpha=0.1), conformal_quantile(np.arange(8.0), alpha=0.1)
    (8.0, inf)
    """
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - _TIE)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def least_lesions(alpha: float) -> int:
    """Return how many lesions a diagnosis needs for a finite quantile.

    >>> least_lesions(0.1), least_lesions(0.05)
    (9, 19)
    """
    return math.ceil((1 - alpha) / alpha - _TIE)


def sets_of(
    fitted: Conformal, probabilities: NDArray[np.float64], *, is_by_diagnosis: bool
) -> NDArray[np.bool_]:
    """Return which diagnoses are in each image's set `(N, K)`; the most probable one always is."""
    limits: NDArray[np.float64] | float = fitted.marginal
    if is_by_diagnosis:
        limits = np.array(list(fitted.by_diagnosis.values()))
    return np.asarray(scores_of(probabilities, method=fitted.method) <= limits + _TIE)


def scores_of(probabilities: NDArray[np.float64], *, method: Method) -> NDArray[np.float64]:
    """Return the score of each diagnosis `(N, K)`: 0 for the most probable, more for the rest."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    falling = np.take_along_axis(probabilities, order, axis=1)
    ranked = falling.cumsum(axis=1) - falling if method == "aps" else 1 - falling
    ranked[:, :1] = 0.0
    scores = np.empty_like(ranked)
    np.put_along_axis(scores, order, ranked, axis=1)
    return scores


def one_photograph_each(predictions: Predictions, *, rng: np.random.Generator) -> Predictions:
    """Choose one photograph of each lesion by lot: siblings are no new evidence."""
    shuffled = rng.permutation(len(predictions))
    _, first = np.unique(predictions.lesion_ids[shuffled], return_index=True)
    return predictions.take(np.sort(shuffled[first]))
