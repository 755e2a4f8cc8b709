"""What is fitted beside a classifier so that its answers can be acted on.

In:  Predictions of images that did not train; what was asked for: a level, a risk, costs.
Out: Trust, kept with the run: quantiles of sets, the least confidence to answer, a threshold for
"is it malignant?".
Knows nothing of parts, files or the test part: the caller says which images these are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.abstention import RISK, confidence_of, is_right, threshold_at_risk
from moulage.evaluation.benefit import cost_table
from moulage.evaluation.clinics import stated_prior
from moulage.evaluation.conformal import (
    ALPHA,
    METHODS,
    Conformal,
    Method,
    fit_conformal,
    one_photograph_each,
    sets_of,
)
from moulage.evaluation.thresholds import is_any_of, score_of, threshold_at_sensitivity
from moulage.evaluation.undefined import or_null
from moulage.predictions import Predictions

METHOD: Method = "lac"
SENSITIVITY = 0.90


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the study asks of decisions.

    alpha: sets miss the truth this often. risk: wrong among the answered. cost: truth → decision
    → cost, what is not said costs 1. clinic: shares of diagnoses elsewhere.
    """

    alpha: float = ALPHA
    risk: float = RISK
    cost: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    clinic: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What was fitted, on which images.

    sets: a Conformal a method. answer_from: the least confidence to answer; infinity where the
    risk cannot be kept. malignant: codes asked for together, called from malignant_from (NaN
    where the images had only one kind). note: a sentence on whose images these were.
    """

    asked: Asked
    n_images: int
    n_lesions: int
    sets: tuple[Conformal, ...]
    answer_from: float
    malignant: tuple[str, ...]
    malignant_from: float
    note: str = ""

    def fitted(self) -> Conformal:
        """Return the quantiles of the sets that users are shown."""
        return next(one for one in self.sets if one.method == METHOD)

    def set_members(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return the sets that users are shown `(N, K)`: a level for each diagnosis."""
        return sets_of(self.fitted(), probabilities, is_by_diagnosis=True)

    def answers(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which images are sure enough to be answered `(N,)`."""
        return np.asarray(probabilities.max(axis=1, initial=0) >= self.answer_from)

    def as_json(self) -> dict[str, Any]:
        """Return plain values; infinities and what is not defined are null."""
        return {
            **{name: getattr(self, name) for name in ("n_images", "n_lesions", "note")},
            "asked": asdict(self.asked),
            "sets": [_conformal_as_json(one) for one in self.sets],
            "answer_from": or_null(self.answer_from),
            "malignant": list(self.malignant),
            "malignant_from": or_null(self.malignant_from),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `as_json` gave."""
        return cls(
            asked=Asked(**content["asked"]),
            n_images=content["n_images"],
            n_lesions=content["n_lesions"],
            sets=tuple(_conformal_from_json(one) for one in content["sets"]),
            answer_from=_or(content["answer_from"], math.inf),
            malignant=tuple(content["malignant"]),
            malignant_from=_or(content["malignant_from"], math.nan),
            note=content["note"],
        )


def fit_trust(
    predictions: Predictions,
    *,
    asked: Asked,
    malignant: Sequence[str],
    note: str,
    rng: np.random.Generator,
) -> Trust:
    """Fit on images that did not train; sets on one photograph of each lesion, chosen by lot."""
    each = one_photograph_each(predictions, rng=rng)
    return Trust(
        asked=asked,
        n_images=len(predictions),
        n_lesions=len(each),
        sets=tuple(fit_conformal(each, method=m, alpha=asked.alpha) for m in METHODS),
        answer_from=threshold_at_risk(
            confidences=confidence_of(predictions),
            hits=is_right(predictions),
            lesion_ids=predictions.lesion_ids,
            risk=asked.risk,
        ),
        malignant=tuple(malignant),
        malignant_from=_malignant_from(predictions, malignant),
        note=note,
    )


def check_asked(
    asked: Asked, diagnoses: tuple[str, ...], *, prior: NDArray[np.float64] | None = None
) -> None:
    """Raise ConfigError where costs or a clinic name other diagnoses, or shares are no prior.

    prior (K,): of the training images, where it is known; a clinic must not have what they lack.
    """
    cost_table(asked.cost, diagnoses)
    trained = np.full(len(diagnoses), 1 / len(diagnoses)) if prior is None else prior
    stated_prior(asked.clinic, prior=trained, diagnoses=diagnoses)


def _malignant_from(predictions: Predictions, malignant: Sequence[str]) -> float:
    positives = is_any_of(predictions, malignant) if malignant else np.zeros(0, dtype=bool)
    if not positives.any() or positives.all():
        return math.nan
    return threshold_at_sensitivity(
        positives=positives, scores=score_of(predictions, malignant), sensitivity=SENSITIVITY
    )


def _conformal_as_json(fitted: Conformal) -> dict[str, Any]:
    limits = {code: or_null(limit) for code, limit in fitted.by_diagnosis.items()}
    return {**asdict(fitted), "marginal": or_null(fitted.marginal), "by_diagnosis": limits}


def _conformal_from_json(content: Mapping[str, Any]) -> Conformal:
    limits = {code: _or(limit, math.inf) for code, limit in content["by_diagnosis"].items()}
    return Conformal(
        **{**content, "marginal": _or(content["marginal"], math.inf), "by_diagnosis": limits}
    )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
