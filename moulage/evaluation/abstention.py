"""When not to answer: images sent to a dermatologist instead, and what that is worth.

In:  confidences (N,) float, hits (N,) bool: whether the answer would have been right.
Out: a risk–coverage curve, its area, a threshold for a stated risk.
Knows nothing of parts: the caller chooses on calibration or validation, and applies to test.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError
from moulage.evaluation.intervals import Interval
from moulage.evaluation.means import mean_interval
from moulage.evaluation.resampling import equal_size
from moulage.predictions import Predictions

RISK = 0.10
_SLACK = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Risk, the share of wrong answers, at each coverage, the share of images answered.

    coverages, risks (n,) float64, a point for each distinct confidence, most confident first.
    area: the mean risk over all coverages; oracle: the least area that these errors allow.
    """

    coverages: NDArray[np.float64]
    risks: NDArray[np.float64]
    area: float
    oracle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstained:
    """What one threshold does to some images: the share answered, the risk among those."""

    threshold: float
    coverage: Interval
    risk: Interval
    n_images: int
    n_answered: int


def confidence_of(predictions: Predictions) -> NDArray[np.float64]:
    """Return the largest probability of each image `(N,)`, the temperature applied."""
    return np.asarray(predictions.probabilities().max(axis=1, initial=0), dtype=np.float64)


def is_right(predictions: Predictions) -> NDArray[np.bool_]:
    """Say which images the natural rule decides rightly `(N,)`."""
    return np.asarray(predictions.logits.argmax(axis=1) == predictions.labels)


def risk_coverage(*, confidences: NDArray[np.float64], hits: NDArray[np.bool_]) -> Curve:
    """Answer ever more images, the most confident first [elyaniv2010]; equals come together.

    >>> curve = risk_coverage(confidences=np.array([0.9, 0.6]), hits=np.array([True, False]))
    >>> curve.risks.tolist(), curve.area
    ([0.0, 0.5], 0.25)
    """
    n_images = len(hits)
    if not n_images:
        empty = np.zeros(0)
        return Curve(coverages=empty, risks=empty, area=math.nan, oracle=math.nan)
    order = np.argsort(-confidences, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(confidences[order])), n_images - 1)
    n_answered = ends + 1
    risks = (~hits[order]).cumsum()[ends] / n_answered
    steps = np.diff(n_answered, prepend=0) / n_images
    n_wrong = int((~hits).sum())
    best = np.maximum(np.arange(1, n_images + 1) - (n_images - n_wrong), 0)
    return Curve(
        coverages=n_answered / n_images,
        risks=risks,
        area=float(risks @ steps),
        oracle=float(np.mean(best / np.arange(1, n_images + 1))),
    )


def risk_at(curve: Curve, coverage: float) -> float:
    """Return the risk of the smallest share answered that is at least `coverage`."""
    if not 0 < coverage <= 1:
        raise ConfigError(f"`coverage` must lie in (0, 1]; got {coverage}. Write 0.8 for 80 %.")
    reached = curve.coverages >= coverage - _SLACK
    return float(curve.risks[reached][0]) if reached.any() else math.nan


def threshold_at_risk(
    *,
    confidences: NDArray[np.float64],
    hits: NDArray[np.bool_],
    lesion_ids: NDArray[np.str_],
    risk: float = RISK,
) -> float:
    """Return the lowest confidence down to which at most this share is wrong; +inf for none.

    One more lesion is counted, answered and wrong, of as many photographs as one has in the
    `equal_size` of all: (wrong + c) / (answered + c) <= risk, with c = 1 for single photographs,
    as conformal risk control does [angelopoulos2022, theorem 1]. The largest coverage that keeps
    it counts; a maximum without that lesion is wrong more often on new images the fewer there
    were. The theorem is for losses that only rise with coverage, which the share among the
    answered need not: simulated, its mean over fits keeps the risk where answering none counts
    as none wrong (`docs/decisions/trust.md`). A single fit on few lesions may lie well above it.
    """
    if not 0 <= risk < 1:
        raise ConfigError(f"`risk` must lie in [0, 1); got {risk}. Write 0.1 for 10 % wrong.")
    if not len(hits):
        return math.inf
    curve = risk_coverage(confidences=confidences, hits=hits)
    n_answered = curve.coverages * len(hits)
    one_more = len(hits) / equal_size(np.unique(lesion_ids, return_counts=True)[1])
    bounds = (curve.risks * n_answered + one_more) / (n_answered + one_more)
    kept = np.flatnonzero(bounds <= risk + _SLACK)
    levels = np.unique(confidences)[::-1]
    return float(levels[kept[-1]]) if kept.size else math.inf


def abstain(predictions: Predictions, *, threshold: float) -> Abstained:
    """Answer at or above a threshold, and measure what that leaves."""
    answered = confidence_of(predictions) >= threshold
    wrong, lesion_ids = ~is_right(predictions), predictions.lesion_ids
    return Abstained(
        threshold=threshold,
        coverage=mean_interval(answered, lesion_ids=lesion_ids),
        risk=mean_interval(wrong[answered], lesion_ids=lesion_ids[answered]),
        n_images=len(predictions),
        n_answered=int(answered.sum()),
    )
