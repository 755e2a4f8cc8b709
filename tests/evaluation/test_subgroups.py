import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from moulage.evaluation.intervals import binomial_bounds, unpaired_difference
from moulage.evaluation.subgroups import MISSING, gap, groups_of, subgroups
from moulage.evaluation.thresholds import score_of


def case(make_predictions, seed: int = 0, n: int = 400):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3))
    logits[np.arange(n), labels] += 1.5
    return make_predictions(labels=labels, logits=logits)


def test_ages_fall_into_bands_and_gaps_are_named() -> None:
    frame = pd.DataFrame({"age": [0, 19, 20, 79, 80, 120, np.nan], "sex": ["f"] * 6 + ["unknown"]})
    assert groups_of(frame, "age").tolist() == [
        "0–19", "0–19", "20–29", "70–79", "80 and older", "80 and older", MISSING,
    ]  # fmt: skip
    assert groups_of(frame, "sex").tolist() == ["f"] * 6 + [MISSING]


def test_each_group_is_measured_as_if_alone(make_predictions) -> None:
    found = case(make_predictions)
    groups = np.array(["x", "y", MISSING, "y"])[np.arange(400) % 4]
    measured = subgroups(found, groups, malignant=("c",), threshold=0.3, abstain_below=0.6)
    assert [one.name for one in measured] == ["x", "y", MISSING]
    rows = groups == "y"
    assert measured[1].carriers["sensitivity_malignant"] == (found.labels[rows] == 2).sum()
    second = measured[1]
    assert (second.n_images, second.n_lesions, second.is_small) == (200, 200, False)
    right = found.logits.argmax(axis=1) == found.labels
    assert second.metrics["accuracy"].value == right[rows].mean()
    scores = score_of(found, ("c",))
    area = roc_auc_score(found.labels[rows] == 2, scores[rows])
    assert second.metrics["auroc_malignant"].value == pytest.approx(area)
    called = scores[rows & (found.labels == 2)] >= 0.3
    assert second.metrics["sensitivity_malignant"].value == called.mean()
    kept = rows & (found.probabilities().max(axis=1) >= 0.6)
    assert second.metrics["risk_answered"].value == pytest.approx((~right[kept]).mean())


def test_a_gap_names_best_and_worst_and_leaves_small_groups_out(make_predictions) -> None:
    found = case(make_predictions, n=460)
    groups = np.repeat(["all right", "half", "few"], [220, 220, 20])
    logits = found.logits.copy()
    logits[np.arange(220), found.labels[:220]] += 2
    made = make_predictions(labels=found.labels, logits=logits)
    measured = subgroups(made, groups)
    assert [one.name for one in measured if one.is_small] == ["few"]
    apart = gap(measured, "accuracy")
    assert apart is not None
    assert (apart.best, apart.worst) == ("all right", "half")
    assert apart.interval.low > 0
    assert gap(measured[:1], "accuracy") is None


def test_the_interval_of_a_gap_is_made_for_every_pair(make_predictions) -> None:
    groups = np.array(["p", "q", "r", "s"])[np.arange(400) % 4]
    measured = subgroups(case(make_predictions), groups)
    apart = gap(measured, "accuracy")
    pair = [
        one.metrics["accuracy"]
        for name in (apart.best, apart.worst)
        for one in measured
        if one.name == name
    ]
    assert apart.interval == unpaired_difference(*pair, level=1 - 0.05 / 6)
    alone = unpaired_difference(*pair)
    assert apart.interval.low < alone.low < alone.high < apart.interval.high


def test_a_number_that_few_lesions_carry_takes_no_part_in_a_gap(make_predictions) -> None:
    labels = np.array([2, *[0] * 99, *[0, 2] * 50])
    found = make_predictions(labels=labels, logits=np.random.default_rng(1).normal(size=(200, 3)))
    measured = subgroups(found, np.repeat(["one", "many"], 100), malignant=("c",), threshold=0.3)
    assert not any(group.is_small for group in measured)
    assert gap(measured, "sensitivity_malignant") is None
    assert math.isnan(
        subgroups(found.take(np.arange(1, 9)), np.full(8, "none"), malignant=("c",))[0]
        .metrics["auroc_malignant"]
        .value
    )


def test_words_for_unknown_are_not_recorded_in_any_case_and_others_stay_as_written() -> None:
    words = ["unknown", "Unknown", " UNKNOWN", "NA", "n/a", "none", "", None, "missing"]
    words += ["Not specified", "not Recorded", "male", "Male"]
    groups = groups_of(pd.DataFrame({"sex": words}), "sex")
    assert groups.tolist() == [MISSING] * 11 + ["male", "Male"]


def test_a_perfect_area_has_no_bounds_and_lends_a_gap_none(make_predictions) -> None:
    """No draw of its lesions differs, and it is no share whose exact bounds are known."""
    rng = np.random.default_rng(42)
    labels = np.tile([0, 1], 100)
    logits = np.zeros((200, 2))
    logits[:, 1] = np.where(np.arange(200) < 100, 9, 1) * labels + rng.random(200) * 2
    found = make_predictions(labels=labels, logits=logits)
    perfect, other = subgroups(found, np.repeat(["a", "b"], 100), malignant=("b",))
    area = perfect.metrics["auroc_malignant"]
    assert area.value == 1
    assert all(math.isnan(number) for number in (area.low, area.high, area.standard_error))
    assert other.metrics["auroc_malignant"].low > 0.5
    apart = gap((perfect, other), "auroc_malignant")
    assert (apart.best, apart.worst) == ("a", "b")
    assert apart.interval.value == 1 - other.metrics["auroc_malignant"].value
    assert math.isnan(apart.interval.low)
    assert math.isnan(apart.interval.standard_error)


def test_a_perfect_share_keeps_its_exact_bounds(make_predictions) -> None:
    labels = np.tile([0, 1], 40)
    (found,) = subgroups(
        make_predictions(labels=labels, logits=np.eye(2)[labels]), np.full(80, "all")
    )
    share = found.metrics["accuracy"]
    assert (share.low, share.high) == binomial_bounds(1.0, 80)
    assert share.standard_error > 0
