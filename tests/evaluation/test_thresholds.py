import math
from collections.abc import Callable

import numpy as np
import pytest

from moulage.errors import ConfigError, DataError
from moulage.evaluation.thresholds import (
    apply_threshold,
    is_any_of,
    operating_points,
    score_of,
    threshold_at_sensitivity,
    threshold_at_specificity,
)
from moulage.predictions import Predictions

TARGETS = (0.0, 0.5, 0.9, 0.95, 1.0)


def candidates(scores: np.ndarray) -> list[float]:
    return [*np.unique(scores).tolist(), math.inf]


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_finds_more_at_this_specificity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, 40) / 12
    positives = rng.random(40) < 0.2 + scores / 2
    for target in TARGETS:
        chosen = threshold_at_specificity(positives=positives, scores=scores, specificity=target)
        point = apply_threshold(positives=positives, scores=scores, threshold=chosen)
        assert point.specificity >= target - 1e-12
        for threshold in candidates(scores):
            other = apply_threshold(positives=positives, scores=scores, threshold=threshold)
            if other.specificity >= target - 1e-12:
                assert other.sensitivity <= point.sensitivity


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_spares_more_at_this_sensitivity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, 40) / 12
    positives = rng.random(40) < 0.2 + scores / 2
    for target in TARGETS:
        chosen = threshold_at_sensitivity(positives=positives, scores=scores, sensitivity=target)
        point = apply_threshold(positives=positives, scores=scores, threshold=chosen)
        assert point.sensitivity >= target - 1e-12
        for threshold in candidates(scores):
            other = apply_threshold(positives=positives, scores=scores, threshold=threshold)
            if other.sensitivity >= target - 1e-12:
                assert other.specificity <= point.specificity


def test_nine_of_ten_negatives_are_ninety_per_cent() -> None:
    scores = np.arange(11) / 10
    positives = scores > 0.95
    threshold = threshold_at_specificity(positives=positives, scores=scores, specificity=0.9)
    assert threshold == 0.9


def test_a_set_of_diagnoses_is_scored_by_its_summed_probability(
    make_predictions: Callable[..., Predictions],
) -> None:
    predictions = make_predictions(
        labels=[0, 1, 2], logits=np.log([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]])
    )
    np.testing.assert_allclose(score_of(predictions, {"a", "c"}), [0.5, 0.2, 0.8], rtol=1e-6)
    assert is_any_of(predictions, {"a", "c"}).tolist() == [True, False, True]


def test_thresholds_are_chosen_on_one_part_and_measured_on_another(
    make_predictions: Callable[..., Predictions],
) -> None:
    rng = np.random.default_rng(42)
    validation, test = (
        make_predictions(labels=labels, logits=rng.normal(size=(400, 3)) + np.eye(3)[labels])
        for labels in rng.integers(0, 3, size=(2, 400))
    )
    points = operating_points(chosen_on=validation, applied_to=test, codes={"a"})
    assert list(points) == [
        "sensitivity_at_specificity_90",
        "specificity_at_sensitivity_90",
        "sensitivity_at_specificity_95",
        "specificity_at_sensitivity_95",
    ]
    chosen = threshold_at_specificity(
        positives=validation.labels == 0,
        scores=validation.probabilities()[:, 0],
        specificity=0.95,
    )
    called = test.probabilities()[:, 0] >= chosen
    point = points["sensitivity_at_specificity_95"]
    assert point.threshold == chosen
    assert point.sensitivity == called[test.labels == 0].mean()
    assert point.specificity == 1 - called[test.labels != 0].mean()
    assert point.specificity == pytest.approx(0.95, abs=0.03)


def test_without_one_kind_there_is_no_threshold(
    make_predictions: Callable[..., Predictions],
) -> None:
    one = make_predictions(labels=[0, 0], logits=np.zeros((2, 2)))
    points = operating_points(chosen_on=one, applied_to=one, codes={"b"}, targets=(0.9,))
    for point in points.values():
        assert math.isnan(point.threshold)
        assert math.isnan(point.sensitivity)
        assert math.isnan(point.specificity)
        assert (point.n_positives, point.n_negatives) == (0, 2)


def test_a_share_of_nobody_is_not_defined() -> None:
    point = apply_threshold(positives=np.array([False]), scores=np.array([0.4]), threshold=0.5)
    assert math.isnan(point.sensitivity)
    assert (point.specificity, point.n_positives, point.n_negatives) == (1.0, 0, 1)


def test_a_threshold_needs_both_kinds_and_a_share(
    make_predictions: Callable[..., Predictions],
) -> None:
    one = np.array([True])
    with pytest.raises(DataError, match="one or more negative images; got none"):
        threshold_at_specificity(positives=one, scores=np.array([0.5]), specificity=0.9)
    with pytest.raises(DataError, match="one or more positive images; got none"):
        threshold_at_sensitivity(positives=~one, scores=np.array([0.5]), sensitivity=0.9)
    with pytest.raises(ConfigError, match=r"must lie in \[0, 1\]; got 95"):
        threshold_at_sensitivity(positives=one, scores=np.array([0.5]), sensitivity=95)
    with pytest.raises(ConfigError, match="must be among a, b; got mel"):
        score_of(make_predictions(labels=[0], logits=np.zeros((1, 2))), {"mel"})
