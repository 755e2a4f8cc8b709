import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats

from moulage.errors import DataError
from moulage.evaluation.comparison import (
    Contender,
    Difference,
    compare,
    correct_family,
    delong_on_lesions,
    mcnemar_on_lesions,
    permutations_for,
    shown_difference,
)
from moulage.evaluation.exact import holm
from moulage.evaluation.intervals import Interval
from moulage.evaluation.lesions import by_lesion
from moulage.evaluation.metrics import summary
from moulage.predictions import Predictions

Maker = Callable[..., Predictions]


def contender(make: Maker, name: str, *, signal: float, seeds: tuple[int, ...] = (0,)) -> Contender:
    lesion_ids = np.arange(240) % 160
    labels = (np.arange(160) % 3)[lesion_ids]
    runs = []
    for seed in seeds:
        rng = np.random.default_rng([seed, round(10 * signal)])
        logits = rng.normal(size=(240, 3)) + signal * np.eye(3)[labels]
        runs.append(make(labels=labels, logits=logits, lesion_ids=lesion_ids))
    return Contender(name=name, runs=tuple(runs))


def by_name(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {difference.metric: difference for difference in differences}


def test_a_much_better_classifier_is_called_better(make_predictions: Maker) -> None:
    good = contender(make_predictions, "good", signal=3.0)
    poor = contender(make_predictions, "poor", signal=0.5)
    found = by_name(
        compare(good, poor, rng=np.random.default_rng(0), n_replicates=300, n_permutations=300)
    )
    for metric in ("accuracy", "macro_auroc", "log_loss", "brier"):
        assert found[metric].verdict == "better"
    back = by_name(
        compare(poor, good, rng=np.random.default_rng(0), n_replicates=300, n_permutations=300)
    )
    assert back["accuracy"].verdict == back["log_loss"].verdict == "worse"
    expected = summary(good.runs[0]).values["accuracy"] - summary(poor.runs[0]).values["accuracy"]
    assert found["accuracy"].interval.value == pytest.approx(expected)
    assert found["accuracy"].interval.low > 0


def test_equals_show_no_difference_and_say_on_how_many_lesions(make_predictions: Maker) -> None:
    one = contender(make_predictions, "one", signal=1.0)
    found = by_name(
        compare(one, one, rng=np.random.default_rng(0), n_replicates=50, n_permutations=50)
    )
    assert found["accuracy"].verdict == "no difference shown on 160 lesions"
    interval = found["accuracy"].interval
    assert (interval.low, interval.value, interval.high) == (0, 0, 0)


def test_a_difference_that_no_lesion_shows_has_no_bounds(make_predictions: Maker) -> None:
    """Both are right on all: that other lesions would show none either is not known."""
    labels = np.arange(60) % 3
    sure, unsure = (
        Contender(name=str(scale), runs=(make_predictions(labels=labels, logits=scale * at),))
        for scale, at in ((4.0, np.eye(3)[labels]), (1.0, np.eye(3)[labels]))
    )
    found = by_name(
        compare(sure, unsure, rng=np.random.default_rng(0), n_replicates=50, n_permutations=50)
    )
    interval = found["accuracy"].interval
    assert interval.value == 0
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert found["accuracy"].verdict == "no difference shown on 60 lesions"


def test_row_order_does_not_matter(make_predictions: Maker) -> None:
    one = contender(make_predictions, "one", signal=1.0)
    other = contender(make_predictions, "other", signal=1.2)
    order = np.random.default_rng(1).permutation(240)
    shuffled = replace(other, runs=(other.runs[0].take(order),))
    straight, crooked = (
        compare(one, second, rng=np.random.default_rng(0), n_replicates=100, n_permutations=100)
        for second in (other, shuffled)
    )
    assert straight == crooked


def test_pairing_is_sharper_than_two_intervals_side_by_side(make_predictions: Maker) -> None:
    one = contender(make_predictions, "one", signal=1.0)
    logits = one.runs[0].logits.copy()
    logits[:12] = logits[:12, ::-1]
    nearly = replace(one.runs[0], logits=logits)
    other = Contender(name="other", runs=(nearly,))
    found = by_name(
        compare(one, other, rng=np.random.default_rng(0), n_replicates=300, n_permutations=300)
    )
    interval = found["accuracy"].interval
    alone = math.sqrt(0.5 * 0.5 / 240) * 2 * 1.96 * math.sqrt(2)
    assert interval.high - interval.low < alone / 2


def test_runs_are_averaged_pair_by_pair(make_predictions: Maker) -> None:
    one = contender(make_predictions, "one", signal=2.0, seeds=(0, 1, 2))
    other = contender(make_predictions, "other", signal=1.0, seeds=(0, 1, 2))
    found = by_name(
        compare(one, other, rng=np.random.default_rng(0), n_replicates=100, n_permutations=100)
    )
    means = [
        np.mean([summary(run).values["accuracy"] for run in each.runs]) for each in (one, other)
    ]
    assert found["accuracy"].interval.value == pytest.approx(means[0] - means[1])
    assert found["accuracy"].n_lesions == 160


def test_two_rules_of_one_classifier_can_be_compared(make_predictions: Maker) -> None:
    one = contender(make_predictions, "natural", signal=1.0)
    prior = np.array([0.98, 0.01, 0.01])
    run = replace(one.runs[0], prior=prior)
    pair = [Contender(name=rule, runs=(run,), rule=rule) for rule in ("natural", "balanced")]
    found = by_name(
        compare(
            pair[0], pair[1], rng=np.random.default_rng(0), n_replicates=100, n_permutations=100
        )
    )
    assert found["balanced_accuracy"].verdict == "better"
    assert found["macro_auroc"].interval.value == 0


def test_holm_is_applied_over_the_family_that_is_passed() -> None:
    interval = Interval(value=0.02, low=0.01, high=0.03, standard_error=0.005, n_effective=900.0)
    family = [
        Difference(
            metric="accuracy",
            first="a",
            second=second,
            interval=interval,
            p_value=p_value,
            p_family=p_value,
            n_lesions=1494,
        )
        for second, p_value in (("b", 0.02), ("c", 0.03), ("d", math.nan))
    ]
    assert [difference.verdict for difference in family] == ["better", "better", "not defined"]
    corrected = correct_family(family)
    assert [one.p_family for one in corrected[:2]] == pytest.approx([0.04, 0.04])
    assert corrected[0].p_value == 0.02
    doubled = correct_family([*family, *family])
    assert doubled[0].verdict == "no difference shown on 1,494 lesions"


@pytest.mark.parametrize("n_tests", [1, 10, 21])
def test_four_of_five_studies_show_a_difference_that_is_said_to_be_shown(n_tests: int) -> None:
    """Normal errors, Holm over the family, all else equal: one pair differs by that much."""
    rng = np.random.default_rng(42)
    estimates = 0.02 * rng.normal(size=(4000, n_tests))
    estimates[:, 0] += shown_difference(0.02, n_tests=n_tests)
    p_values = 2 * stats.norm.sf(np.abs(estimates) / 0.02)
    is_shown = [holm(family.tolist())[0] < 0.05 for family in p_values]
    assert np.mean(is_shown) == pytest.approx(0.8, abs=0.02)
    assert shown_difference(1.0, n_tests=1) == pytest.approx(2.802, abs=1e-3)


@pytest.mark.parametrize("n_tests", [1, 10, 55, 66, 780])
def test_the_least_p_value_survives_the_correction(n_tests: int) -> None:
    assert permutations_for(n_tests) >= 1000
    assert n_tests / (1 + permutations_for(n_tests)) < 0.01


def test_a_difference_that_no_permutation_reaches_is_known_as_such(make_predictions: Maker) -> None:
    good, poor = (
        contender(make_predictions, name, signal=signal)
        for name, signal in (("good", 3.0), ("poor", 0.5))
    )
    for second, is_least in ((poor, True), (good, False)):
        found = by_name(
            compare(good, second, rng=np.random.default_rng(0), n_replicates=20, n_permutations=99)
        )
        assert found["accuracy"].least_p == 0.01
        assert found["accuracy"].is_least == is_least


def test_exact_tests_see_one_row_a_lesion(make_predictions: Maker) -> None:
    one = contender(make_predictions, "one", signal=2.0, seeds=(0, 1))
    other = contender(make_predictions, "other", signal=0.5, seeds=(0, 1))
    tables = mcnemar_on_lesions(one, other)
    assert len(tables) == 2
    pair = [by_lesion(each.runs[0]) for each in (one, other)]
    right = [lesions.logits.argmax(axis=1) == lesions.labels for lesions in pair]
    assert tables[0].n_only_first == int((right[0] & ~right[1]).sum())
    areas = delong_on_lesions(one, other, codes=("a",))
    assert areas[0].first == pytest.approx(summary(pair[0]).values["auroc.a"])
    assert areas[0].p_value < 0.05


def test_groups_have_no_exact_tests_and_verdicts_count_them(make_predictions: Maker) -> None:
    lesions = [contender(make_predictions, name, signal=1.0) for name in ("one", "other")]
    one, other = (
        replace(each, runs=tuple(replace(run, unit="group") for run in each.runs))
        for each in lesions
    )
    for test in (mcnemar_on_lesions, partial(delong_on_lesions, codes=("a",))):
        with pytest.raises(DataError, match="got those of groups"):
            test(one, other)
    found = compare(one, other, rng=np.random.default_rng(0), n_replicates=20, n_permutations=99)
    assert found[0].verdict == "no difference shown on 160 groups"


def test_different_images_or_numbers_of_runs_are_refused(make_predictions: Maker) -> None:
    one = contender(make_predictions, "one", signal=1.0)
    fewer = replace(one, runs=(one.runs[0].take(np.arange(200)),))
    with pytest.raises(DataError, match="got 200 and 240 images, 200 of them shared"):
        compare(one, fewer, rng=np.random.default_rng(0))
    relabelled = replace(one, runs=(replace(one.runs[0], labels=(one.runs[0].labels + 1) % 3),))
    with pytest.raises(DataError, match="the same images, lesions, diagnoses and labels"):
        compare(one, relabelled, rng=np.random.default_rng(0))
    more = replace(one, name="more", runs=one.runs * 2)
    with pytest.raises(DataError, match="got 1 of one and 2 of more"):
        compare(one, more, rng=np.random.default_rng(0))
