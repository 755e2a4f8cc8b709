"""Thresholds for "is it one of these diagnoses?", chosen on one part and applied to another.

In:  positives (N,) bool, scores (N,) float: the summed probability of the diagnoses asked for.
Out: a threshold; an image is called positive where its score is at or above it.
Knows nothing of parts: the caller chooses on calibration or validation, and applies to test.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, DataError, examples
from moulage.predictions import Predictions

_SLACK = 1e-12  # 0.9 × 10 negatives must be 9, whatever the last bit


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """What one threshold does on one part; a share without images is NaN."""

    threshold: float
    sensitivity: float
    specificity: float
    n_positives: int
    n_negatives: int


def operating_points(
    *,
    chosen_on: Predictions,
    applied_to: Predictions,
    codes: Collection[str],
    targets: Sequence[float] = (0.90, 0.95),
) -> dict[str, OperatingPoint]:
    """Choose thresholds for "is it one of these?" on one part and measure them on another.

    Keys read `sensitivity_at_specificity_90`, `specificity_at_sensitivity_90`. Where the
    choosing part lacks one kind of image there is no threshold, and its shares are NaN.
    """
    thresholds = _thresholds(
        positives=is_any_of(chosen_on, codes), scores=score_of(chosen_on, codes), targets=targets
    )
    positives, scores = is_any_of(applied_to, codes), score_of(applied_to, codes)
    return {
        name: apply_threshold(positives=positives, scores=scores, threshold=threshold)
        for name, threshold in thresholds.items()
    }


def is_any_of(predictions: Predictions, codes: Collection[str]) -> NDArray[np.bool_]:
    """Say which images have one of these diagnoses `(N,) bool`."""
    return np.isin(predictions.labels, _columns(predictions, codes))


def score_of(predictions: Predictions, codes: Collection[str]) -> NDArray[np.float64]:
    """Return the summed probability of these diagnoses `(N,)`, the temperature applied."""
    columns = predictions.probabilities()[:, _columns(predictions, codes)]
    return np.asarray(columns.sum(axis=1), dtype=np.float64)


def threshold_at_specificity(
    *, positives: NDArray[np.bool_], scores: NDArray[np.floating], specificity: float
) -> float:
    """Return the lowest observed score that keeps this specificity; +inf if none does."""
    negatives = _sorted_of(scores, ~np.asarray(positives), kind="negative")
    _check_share(specificity, name="specificity")
    candidates = np.append(np.unique(scores), math.inf)
    kept = np.searchsorted(negatives, candidates, side="left") / len(negatives)
    return float(candidates[kept >= specificity - _SLACK][0])


def threshold_at_sensitivity(
    *, positives: NDArray[np.bool_], scores: NDArray[np.floating], sensitivity: float
) -> float:
    """Return the highest observed score that keeps this sensitivity; +inf for a share of 0."""
    hits = _sorted_of(scores, np.asarray(positives), kind="positive")
    _check_share(sensitivity, name="sensitivity")
    candidates = np.append(np.unique(scores), math.inf)
    found = 1 - np.searchsorted(hits, candidates, side="left") / len(hits)
    return float(candidates[found >= sensitivity - _SLACK][-1])


def apply_threshold(
    *, positives: NDArray[np.bool_], scores: NDArray[np.floating], threshold: float
) -> OperatingPoint:
    """Measure a threshold on other images than those that chose it; NaN has no shares."""
    positives, called = np.asarray(positives, dtype=bool), np.asarray(scores) >= threshold
    n_positives = int(positives.sum())
    n_negatives = len(positives) - n_positives
    is_chosen = not math.isnan(threshold)
    n_found, n_spared = int((called & positives).sum()), int((~called & ~positives).sum())
    return OperatingPoint(
        threshold=threshold,
        sensitivity=n_found / n_positives if n_positives and is_chosen else math.nan,
        specificity=n_spared / n_negatives if n_negatives and is_chosen else math.nan,
        n_positives=n_positives,
        n_negatives=n_negatives,
    )


def _thresholds(
    *, positives: NDArray[np.bool_], scores: NDArray[np.float64], targets: Sequence[float]
) -> dict[str, float]:
    has_both = bool(positives.any() and not positives.all())
    found: dict[str, float] = {}
    for target in targets:
        specific = sensitive = math.nan
        if has_both:
            specific = threshold_at_specificity(
                positives=positives, scores=scores, specificity=target
            )
            sensitive = threshold_at_sensitivity(
                positives=positives, scores=scores, sensitivity=target
            )
        found[f"sensitivity_at_specificity_{100 * target:g}"] = specific
        found[f"specificity_at_sensitivity_{100 * target:g}"] = sensitive
    return found


def _columns(predictions: Predictions, codes: Collection[str]) -> list[int]:
    unknown = sorted(set(codes) - set(predictions.diagnoses))
    if unknown or not codes:
        raise ConfigError(
            f"`codes` must be among {', '.join(predictions.diagnoses)}; got "
            f"{examples(unknown) or 'none'}. Name diagnoses of these predictions."
        )
    return [column for column, code in enumerate(predictions.diagnoses) if code in set(codes)]


def _sorted_of(
    scores: NDArray[np.floating], chosen: NDArray[np.bool_], *, kind: str
) -> NDArray[np.floating]:
    if not chosen.any():
        raise DataError(
            f"A threshold must be chosen on one or more {kind} images; got none. "
            "Choose it on a part that has both kinds."
        )
    return np.sort(np.asarray(scores)[chosen])


def _check_share(share: float, *, name: str) -> None:
    if not 0 <= share <= 1:
        raise ConfigError(f"`{name}` must lie in [0, 1]; got {share}. Write 0.95 for 95 %.")
