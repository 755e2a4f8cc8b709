import json
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from moulage.errors import ConfigError, DataError
from moulage.evaluation.comparison import Contender, compare
from moulage.evaluation.influence import ranking_influences
from moulage.evaluation.intervals import (
    Interval,
    as_json,
    binomial_bounds,
    carried_size,
    difference_intervals,
    intervals,
    intervals_of,
    unpaired_difference,
)
from moulage.evaluation.means import interval_of
from moulage.evaluation.metrics import score, summary
from moulage.evaluation.ranking import auroc, rank
from moulage.evaluation.resampling import (
    Drawn,
    Lesions,
    counted_lesions,
    draw_lesions,
    replicates,
    resample,
)
from moulage.evaluation.scales import bounds_of
from moulage.evaluation.subgroups import subgroups
from moulage.explanation.units import characterise
from moulage.predictions import Predictions

Maker = Callable[..., Predictions]


def drawn_again(predictions: Predictions, counts: np.ndarray) -> Predictions:
    """The replicate built by hand: each lesion's rows, as often as it was drawn."""
    names = np.unique(predictions.lesion_ids)
    rows = [
        np.flatnonzero(predictions.lesion_ids == name)
        for name, count in zip(names, counts, strict=True)
        for _ in range(int(count))
    ]
    return predictions.take(np.concatenate(rows))


@pytest.mark.parametrize("number", [1, 2, 3, 6, 15, 22])
def test_a_replicate_is_the_lesions_drawn_again(
    random_case: Callable[[int], Predictions], number: int
) -> None:
    predictions = random_case(number)
    lesions = Lesions.of((predictions,))
    weights = draw_lesions(lesions.n_lesions, n_replicates=5, rng=np.random.default_rng(number))
    measured = replicates(score(predictions), weights=weights, of_image=lesions.of_images[0])
    for replicate, counts in enumerate(weights.T):
        expected = summary(drawn_again(predictions, counts)).values
        values = {name: float(column[replicate]) for name, column in measured.items()}
        assert values == pytest.approx(dict(expected), rel=1e-9, abs=1e-9, nan_ok=True)


def test_every_replicate_draws_as_many_lesions_as_there_are() -> None:
    weights = draw_lesions(30, n_replicates=400, rng=np.random.default_rng(42))
    assert weights.sum(axis=0).tolist() == [30] * 400
    assert weights.mean(axis=1) == pytest.approx(np.ones(30), abs=0.2)


def test_without_groups_the_width_is_the_one_of_the_formula(make_predictions: Maker) -> None:
    rng = np.random.default_rng(42)
    is_right = rng.random(900) < 0.8
    predictions = make_predictions(labels=np.where(is_right, 0, 1), logits=[[1, 0]] * 900)
    found = intervals(predictions, rng=rng)["accuracy"]
    expected = 2 * 1.96 * math.sqrt(is_right.mean() * (1 - is_right.mean()) / 900)
    assert found.value == is_right.mean()
    assert found.high - found.low == pytest.approx(expected, rel=0.08)


def test_copies_of_a_photograph_are_no_new_evidence(make_predictions: Maker) -> None:
    rng = np.random.default_rng(42)
    labels, logits = rng.integers(0, 3, 60), rng.normal(size=(60, 3))
    once = make_predictions(labels=labels, logits=logits, lesion_ids=np.arange(60) + 100)
    thrice = make_predictions(
        labels=np.tile(labels, 3),
        logits=np.tile(logits, (3, 1)),
        lesion_ids=np.tile(np.arange(60) + 100, 3),
    )
    narrow, wide = (
        intervals(predictions, rng=np.random.default_rng(0), n_replicates=200)
        for predictions in (once, thrice)
    )
    for name, interval in narrow.items():
        if name.startswith(("macro_average_precision", "average_precision")):
            continue  # ties: copies stand in one step
        assert (wide[name].low, wide[name].high) == pytest.approx((interval.low, interval.high))


def test_the_same_generator_gives_the_same_interval(make_predictions: Maker) -> None:
    rng = np.random.default_rng(42)
    predictions = make_predictions(labels=rng.integers(0, 3, 50), logits=rng.normal(size=(50, 3)))
    one, other = (
        intervals(predictions, rng=np.random.default_rng(7), n_replicates=100) for _ in range(2)
    )
    assert one == other
    assert len(one) == len(summary(predictions).values)


def test_what_never_varies_has_exact_bounds_if_it_is_a_share(make_predictions: Maker) -> None:
    labels = np.array([0, 0, 1, 1] * 5)
    perfect = make_predictions(labels=labels, logits=9 * np.eye(3)[labels])
    found = intervals(perfect, rng=np.random.default_rng(0), n_replicates=50)
    for name, n_lesions in (("accuracy", 20), ("recall.a", 10), ("precision.b", 10)):
        expected = stats.binomtest(n_lesions, n_lesions).proportion_ci(method="exact")
        assert found[name].value == 1
        assert (found[name].low, found[name].high) == pytest.approx(tuple(expected))
    assert math.isnan(found["recall.c"].value)
    assert found["recall.c"].n_undefined == 50
    assert math.isnan(found["macro_auroc"].low)
    assert as_json(found)["macro_auroc"] == [None, None]
    json.dumps(as_json(found), allow_nan=False)


def test_photographs_of_few_lesions_all_right_prove_little(make_predictions: Maker) -> None:
    """Thirty photographs of ten lesions are ten, and nothing right is bounded from above."""
    labels = np.zeros(30, dtype=np.int64)
    right = make_predictions(labels=labels, logits=[[1, 0]] * 30, lesion_ids=np.arange(30) % 10)
    wrong = make_predictions(labels=labels, logits=[[0, 1]] * 30, lesion_ids=np.arange(30) % 10)
    rng = np.random.default_rng(0)
    high = intervals(right, rng=rng, n_replicates=20)["accuracy"]
    none = intervals(wrong, rng=rng, n_replicates=20)["accuracy"]
    assert (high.low, high.high) == pytest.approx((0.025**0.1, 1.0))
    assert (none.low, none.high) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert high.n_effective == pytest.approx(10)


def test_lesions_with_more_photographs_count_as_fewer(make_predictions: Maker) -> None:
    labels, sizes = np.zeros(8, dtype=np.int64), [5, 1, 1, 1]
    run = make_predictions(
        labels=labels, logits=[[1, 0]] * 8, lesion_ids=np.repeat(np.arange(4), sizes)
    )
    found = intervals(run, rng=np.random.default_rng(0), n_replicates=20)["accuracy"]
    assert found.n_effective == pytest.approx(8**2 / (5**2 + 3))


@pytest.mark.parametrize("chance", [0.97, 0.995])
def test_exact_bounds_hold_the_truth_where_all_were_right(chance: float) -> None:
    """Of studies of 60 lesions, those with none wrong miss the truth in one of forty at most."""
    rng = np.random.default_rng(42)
    n_wrong = rng.binomial(60, 1 - chance, size=20_000)
    low, _ = binomial_bounds(1.0, 60)
    assert np.mean((n_wrong == 0) & (low > chance)) <= 0.025


def test_a_share_that_one_lesion_carries_has_exact_bounds(make_predictions: Maker) -> None:
    labels = np.repeat([0, 1, 2], 30)
    logits = 9 * np.eye(3)[labels]
    logits[0] = [0, 9, 0]  # one of thirty is missed
    found = intervals(
        make_predictions(labels=labels, logits=logits),
        rng=np.random.default_rng(0),
        n_replicates=50,
    )["recall.a"]
    expected = stats.binomtest(29, 30).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def answered(make: Maker, *, n_right: Sequence[int], n: Sequence[int]) -> Predictions:
    """So many of each diagnosis' lesions right, the last ones wrong; a photograph each."""
    labels = np.repeat(np.arange(len(n)), n)
    is_right = np.concatenate([np.arange(of) < right for right, of in zip(n_right, n, strict=True)])
    decisions = np.where(is_right, labels, (labels + 1) % len(n))
    return make(labels=labels, logits=9 * np.eye(len(n))[decisions])


@pytest.mark.parametrize("n_right", [(198, 30, 5), (200, 29, 5), (197, 28, 3), (200, 30, 0)])
def test_balanced_accuracy_adds_the_exact_bounds_of_its_recalls_as_errors(
    make_predictions: Maker, n_right: tuple[int, ...]
) -> None:
    """By scipy's exact bounds; a recall of 1 has a lower one, though it never varies."""
    n = (200, 30, 5)
    found = intervals(
        answered(make_predictions, n_right=n_right, n=n),
        rng=np.random.default_rng(0),
        n_replicates=20,
    )["balanced_accuracy"]
    recalls = np.divide(n_right, n)
    exact = [
        stats.binomtest(*one).proportion_ci(method="exact") for one in zip(n_right, n, strict=True)
    ]
    low, high = np.array([tuple(one) for one in exact]).T
    expected = (
        recalls.mean() - np.linalg.norm(recalls - low) / 3,
        recalls.mean() + np.linalg.norm(high - recalls) / 3,
    )
    assert (found.low, found.high) == pytest.approx(expected)


def test_the_recalls_of_many_lesions_enter_balanced_accuracy_with_their_own_intervals(
    make_predictions: Maker,
) -> None:
    run = answered(make_predictions, n_right=(150, 60), n=(200, 100))
    found = intervals(run, rng=np.random.default_rng(0))
    each = [found["recall.a"], found["recall.b"]]
    low = 0.675 - math.hypot(*(one.value - one.low for one in each)) / 2
    high = 0.675 + math.hypot(*(one.high - one.value for one in each)) / 2
    balanced = found["balanced_accuracy"]
    assert (balanced.low, balanced.high) == pytest.approx((low, high), abs=0.002)  # luck of draws
    error = math.hypot(*(one.standard_error for one in each)) / 2
    assert balanced.standard_error == pytest.approx(error, rel=0.04)


@pytest.mark.parametrize(("n_found", "said"), [(30, (0.932, 0.994)), (29, (0.904, 0.990))])
def test_thirty_melanomas_among_a_thousand_bound_balanced_accuracy(
    make_predictions: Maker, n_found: int, said: tuple[float, float]
) -> None:
    """Once 0.984 to 0.994 with all thirty found, and 0.043 to 1 with one missed."""
    run = answered(make_predictions, n_right=(980, n_found), n=(1000, 30))
    found = intervals(run, rng=np.random.default_rng(0), n_replicates=20)["balanced_accuracy"]
    slopes = np.repeat([0.02, -0.98], [980, 20])
    n_effective = max((slopes**2).sum() ** 2 / (slopes**4).sum(), found.n_effective)
    reach = stats.t.ppf(0.975, n_effective) / math.sqrt(999 * 0.98 * 0.02)
    odds = 49 * np.exp([-reach, reach])
    common = odds / (1 + odds)
    rare = stats.binomtest(n_found, 30).proportion_ci(method="exact")
    value = (0.98 + n_found / 30) / 2
    low = value - math.hypot(0.98 - common[0], n_found / 30 - rare.low) / 2
    high = value + math.hypot(common[1] - 0.98, rare.high - n_found / 30) / 2
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (round(found.low, 3), round(found.high, 3)) == said


def test_a_diagnosis_without_images_changes_nothing_in_balanced_accuracy(
    make_predictions: Maker,
) -> None:
    labels = np.repeat([0, 1], [30, 12])
    logits = 9 * np.eye(2)[np.append(labels[:-1], 0)]
    wide = make_predictions(labels=labels, logits=np.c_[logits, np.full(42, -9.0)])
    two, three = (
        intervals(run, rng=np.random.default_rng(0), n_replicates=20)["balanced_accuracy"]
        for run in (make_predictions(labels=labels, logits=logits), wide)
    )
    assert two == three


def test_patients_who_are_right_or_wrong_in_all_diagnoses_count_once(
    make_predictions: Maker,
) -> None:
    """Each of twelve has one image of a and one of b, so balanced accuracy is their recall."""
    labels, patients = np.tile([0, 1], 12), np.repeat(np.arange(12), 2)
    decisions = np.where(patients < 10, labels, 1 - labels)
    run = make_predictions(labels=labels, logits=9 * np.eye(2)[decisions], lesion_ids=patients)
    found = intervals(run, rng=np.random.default_rng(0), n_replicates=20)
    balanced, recall = found["balanced_accuracy"], found["recall.a"]
    assert (balanced.low, balanced.high) == pytest.approx((recall.low, recall.high))


def test_folds_give_balanced_accuracy_the_bounds_of_all_their_lesions(
    make_predictions: Maker,
) -> None:
    labels = np.repeat([0, 1], [20, 6])
    folds = [
        make_predictions(
            labels=labels, logits=9 * np.eye(2)[labels], lesion_ids=np.arange(26) + 100 * fold
        )
        for fold in range(2)
    ]
    lesions = Lesions.of(folds)
    weights = draw_lesions(lesions.n_lesions, n_replicates=9, rng=np.random.default_rng(0))
    drawn = resample([score(fold) for fold in folds], lesions=lesions, weights=weights)
    found = intervals_of(drawn)["balanced_accuracy"]
    lows = [0.025 ** (1 / n) for n in (40, 12)]
    assert found.low == pytest.approx(1 - math.hypot(*(1 - low for low in lows)) / 2)
    assert found.high == 1


@pytest.mark.parametrize("name", ["f1.b", "macro_f1", "matthews", "cohen_kappa"])
def test_what_one_lesion_carries_has_no_bounds_where_the_whole_matrix_is_weighed(
    make_predictions: Maker, name: str
) -> None:
    """One miss in 230 gave Cohen's kappa bounds from -1 to 1."""
    one, five = (
        intervals(
            answered(make_predictions, n_right=n_right, n=(200, 30)),
            rng=np.random.default_rng(0),
            n_replicates=200,
        )[name]
        for n_right in ((200, 29), (198, 27))
    )
    assert one.value < 1
    assert as_json({name: one})[name] == [None, None]
    assert five.low < five.value < five.high
    assert five.high - five.low < 0.7


def wald_plus_two(first_only: float, second_only: float, n: float) -> tuple[float, float]:
    """The published table with half a pair in each of four cells [agresti2005]."""
    more, less, total = first_only + 0.5, second_only + 0.5, n + 2
    reach = stats.norm.ppf(0.975) * math.sqrt(more + less - (more - less) ** 2 / total) / total
    return (more - less) / total - reach, (more - less) / total + reach


def test_the_differences_of_recalls_have_the_bounds_of_agresti_and_min(
    make_predictions: Maker,
) -> None:
    published = (0.03089632, 0.21601726)  # R, PropCIs::diffpropci.mp(b = 40, c = 20, n = 160)
    assert wald_plus_two(40, 20, 160) == pytest.approx(published, abs=1e-8)
    labels = np.repeat([0, 1], [60, 12])
    ours, theirs = labels.copy(), labels.copy()
    ours[[0, 70]], theirs[[1, 2, 3, 60, 61]] = [1, 0], [1, 1, 1, 0, 0]
    one, other = (
        Contender(name=name, runs=(make_predictions(labels=labels, logits=9 * np.eye(2)[said]),))
        for name, said in (("one", ours), ("other", theirs))
    )
    (found,) = compare(
        one,
        other,
        rng=np.random.default_rng(0),
        metrics="balanced_accuracy",
        n_replicates=20,
        n_permutations=20,
    )
    differences = np.array([2 / 60, 1 / 12])
    low, high = np.array([wald_plus_two(3, 1, 60), wald_plus_two(2, 1, 12)]).T
    expected = (
        differences.mean() - np.linalg.norm(differences - low) / 2,
        differences.mean() + np.linalg.norm(high - differences) / 2,
    )
    assert (found.interval.low, found.interval.high) == pytest.approx(expected)


def test_recalls_that_many_lesions_tell_apart_differ_by_students_t(
    make_predictions: Maker,
) -> None:
    labels = np.zeros(80, dtype=np.int64)
    ours, theirs = np.arange(80) % 4 == 0, np.arange(80) % 3 == 0
    drawn = [
        resample(
            (score(make_predictions(labels=labels, logits=9 * np.eye(2)[said.astype(int)])),),
            lesions=Lesions(of_images=(np.arange(80),), n_lesions=80),
            weights=np.ones((80, 2)),
        )
        for said in (ours, theirs)
    ]
    found = difference_intervals(drawn[0].minus(drawn[1]))["balanced_accuracy"]
    paired = theirs.astype(float) - ours
    reach = stats.sem(paired) * stats.t.ppf(0.975, found.n_effective)
    assert 10 <= found.n_effective <= (ours != theirs).sum() * 80 / 60
    assert (found.low, found.high) == pytest.approx((paired.mean() - reach, paired.mean() + reach))


def with_few(make: Maker, *, n_lesions: int, n_photographs: int = 1) -> Predictions:
    """So many lesions of c, seen more than once, beside forty of a and of b."""
    rng = np.random.default_rng(42)
    labels = np.repeat([0, 1, 2], [40, 40, n_lesions * n_photographs])
    ids = np.append(np.arange(80), 80 + np.arange(n_lesions).repeat(n_photographs))
    logits = rng.normal(size=(len(labels), 3)) + 1.5 * np.eye(3)[labels]
    return make(labels=labels, logits=logits, lesion_ids=ids)


@pytest.mark.parametrize("n_photographs", [1, 4])
def test_a_lone_lesion_gives_no_bounds_wherever_ranks_have_some(
    make_predictions: Maker, n_photographs: int
) -> None:
    lone = with_few(make_predictions, n_lesions=1, n_photographs=n_photographs)
    found = intervals(lone, rng=np.random.default_rng(0), n_replicates=50)
    for name in ("auroc", "average_precision"):
        for which in (f"{name}.c", f"macro_{name}"):
            interval = found[which]
            assert 0 < interval.value < 1
            assert as_json(found)[which] == [None, None], which
            assert math.isnan(interval.standard_error), which
            assert math.isnan(interval.n_effective), which
        assert found[f"{name}.a"].low < found[f"{name}.a"].value
    (group,) = subgroups(lone, np.full(len(lone), "all"), malignant=("c",))
    assert math.isnan(group.metrics["auroc_malignant"].low)
    units = characterise(
        lone.logits, labels=lone.labels, lesion_ids=lone.lesion_ids, n_classes=3, n_exciting=2
    )
    assert np.isnan(units.low[:, 2]).all()
    assert not np.isnan(units.low[:, :2]).any()


def test_a_lone_lesion_without_the_diagnosis_gives_no_bounds_either(
    make_predictions: Maker,
) -> None:
    logits = np.random.default_rng(42).normal(size=(31, 2))
    lone = make_predictions(labels=[0] + [1] * 30, logits=logits)
    found = intervals(lone, rng=np.random.default_rng(0), n_replicates=50)
    for name in ("auroc.a", "auroc.b", "average_precision.a", "average_precision.b"):
        assert math.isnan(found[name].low), name


def test_two_lesions_have_bounds_and_count_as_two_at_most(make_predictions: Maker) -> None:
    few = with_few(make_predictions, n_lesions=2, n_photographs=3)
    found = intervals(few, rng=np.random.default_rng(0), n_replicates=50)
    for name in ("auroc.c", "average_precision.c"):
        assert found[name].low < found[name].value < found[name].high
        assert found[name].n_effective <= 2
    assert found["macro_auroc"].low < found["macro_auroc"].value


def test_a_diagnosis_that_no_image_has_leaves_the_macro_average_its_bounds(
    make_predictions: Maker,
) -> None:
    none = with_few(make_predictions, n_lesions=0)
    found = intervals(none, rng=np.random.default_rng(0), n_replicates=50)
    assert math.isnan(found["auroc.c"].value)
    assert found["macro_auroc"].low < found["macro_auroc"].value < found["macro_auroc"].high


def test_two_classifiers_on_a_lone_lesion_differ_by_no_known_margin(
    make_predictions: Maker,
) -> None:
    lone = with_few(make_predictions, n_lesions=1)
    noise = np.random.default_rng(1).normal(size=(81, 3))
    other = make_predictions(
        labels=lone.labels, logits=lone.logits + noise, lesion_ids=lone.lesion_ids
    )
    names = ("accuracy", "macro_auroc")
    accuracy, area = compare(
        Contender(name="one", runs=(lone,)),
        Contender(name="other", runs=(other,)),
        rng=np.random.default_rng(0),
        metrics=names,
        n_replicates=50,
        n_permutations=20,
    )
    assert accuracy.interval.low < accuracy.interval.high
    assert math.isnan(area.interval.low)
    assert area.p_value > 0, "swapping lesions needs no second of a kind"


def test_of_two_lesions_the_interval_holds_the_truth_more_often_than_uncapped() -> None:
    """Two positives, 200 negatives, scores of normal curves 1.5 apart: AUROC Φ(1.5 / √2)."""
    true = stats.norm.cdf(1.5 / math.sqrt(2))
    positives, ids = np.arange(202) < 2, np.arange(202).astype(str)
    held: dict[float, list[bool]] = {2: [], math.inf: []}
    for seed in range(500):
        scores = np.random.default_rng(seed).normal(size=202) + 1.5 * positives
        area = auroc(positives=positives, scores=scores)
        slopes, _ = ranking_influences(rank(positives=positives, scores=scores))
        for n_carrying, hits in held.items():
            found = interval_of(area, slopes, lesion_ids=ids, n_carrying=n_carrying)
            if not math.isnan(found.low):
                hits.append(found.low <= true <= found.high)
    assert np.mean(held[2]) > 0.93
    assert np.mean(held[math.inf]) < 0.85


def test_a_lone_lesion_has_no_size_though_rounding_leaves_it_some_influence() -> None:
    slopes = np.append(np.tile([1e-3, -1e-3], 10), 1e-18)
    assert carried_size(slopes, n_carrying=30) == pytest.approx(20)
    assert carried_size(slopes, n_carrying=5) == 5
    assert math.isnan(carried_size(slopes, n_carrying=1))
    assert math.isnan(carried_size(np.zeros(4), n_carrying=4))


@pytest.mark.parametrize("seed", range(5))
def test_one_lesion_has_no_bounds_though_rounding_makes_its_draws_differ(
    make_predictions: Maker, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(int(rng.integers(2, 8)), 3))
    alone = make_predictions(
        labels=[1] * len(logits), logits=logits, lesion_ids=["a"] * len(logits)
    )
    found = intervals(alone, rng=rng, n_replicates=200)
    for name in ("log_loss", "brier", "macro_f1"):
        assert found[name].standard_error == 0
        assert as_json(found)[name] == [None, None], name
    accuracy = found["accuracy"]
    assert (accuracy.low, accuracy.high) == binomial_bounds(accuracy.value, 1)


@pytest.mark.parametrize("n_photographs", [1, 3])
def test_a_constant_classifier_has_no_bounds_where_it_never_varies(
    make_predictions: Maker, n_photographs: int
) -> None:
    constant = make_predictions(
        labels=[1] * 50, logits=[[0.1, 0.7, 0.3]] * 50, lesion_ids=np.arange(50) // n_photographs
    )
    found = intervals(constant, rng=np.random.default_rng(0), n_replicates=200)
    for name in ("log_loss", "brier"):
        assert math.isnan(found[name].low), name
        assert math.isnan(found[name].n_effective), name
    assert found["accuracy"].low < found["accuracy"].high == 1


def test_two_classifiers_on_one_lesion_have_no_bounds_beside_no_difference_shown(
    make_predictions: Maker,
) -> None:
    rng = np.random.default_rng(3)
    one, other = (
        make_predictions(labels=[1] * 7, logits=rng.normal(size=(7, 3)), lesion_ids=["a"] * 7)
        for _ in range(2)
    )
    for difference in compare(
        Contender(name="one", runs=(one,)),
        Contender(name="other", runs=(other,)),
        rng=rng,
        metrics=("accuracy", "log_loss", "brier", "macro_f1"),
        n_replicates=200,
        n_permutations=20,
    ):
        assert difference.verdict == "no difference shown on 1 lesion"
        assert math.isnan(difference.interval.low), difference.metric


def test_replicates_that_are_not_defined_are_counted_and_left_out() -> None:
    drawn = Drawn(
        values={"f1.c": 0.5},
        replicates={"f1.c": np.append(np.linspace(0.4, 0.6, 101), [np.nan] * 9)},
        influences={"f1.c": np.tile([0.1, -0.1], 10)},
    )
    found = intervals_of(drawn)["f1.c"]
    assert found.n_undefined == 9
    assert found.n_effective == pytest.approx(20)
    assert found.standard_error == pytest.approx(np.linspace(0.4, 0.6, 101).std(ddof=1))


def test_the_interval_by_pencil() -> None:
    """Log-odds of 0.8, plus and minus t of 10 lesions times 0.05 / (0.8 × 0.2)."""
    drawn = Drawn(
        values={"accuracy": 0.8},
        replicates={"accuracy": 0.8 + np.array([-0.05, 0.05]) / np.sqrt(2)},
        influences={"accuracy": np.tile([1.0, -1.0], 5)},
    )
    found = intervals_of(drawn)["accuracy"]
    reach = stats.t.ppf(0.975, 10) * 0.05 / 0.16
    odds = [4 * math.exp(-reach), 4 * math.exp(reach)]
    assert (found.low, found.high) == pytest.approx([odd / (1 + odd) for odd in odds])
    plain = difference_intervals(drawn)["accuracy"]
    width = stats.t.ppf(0.975, 10) * 0.05
    assert (plain.low, plain.high) == pytest.approx((0.8 - width, 0.8 + width))


@pytest.mark.parametrize("number", range(0, 60, 3))
def test_bounds_lie_on_both_sides_and_inside_the_range(
    random_case: Callable[[int], Predictions], number: int
) -> None:
    found = intervals(random_case(number), rng=np.random.default_rng(0), n_replicates=40)
    for name, interval in found.items():
        if not math.isnan(interval.low):
            least, most = bounds_of(name)
            assert least <= interval.low <= interval.value <= interval.high <= most
            assert interval.low < interval.high


def test_two_test_parts_have_the_interval_of_welch() -> None:
    """Two means of unlike variance: scipy's interval of Welch, degrees of freedom n for n - 1."""
    rng = np.random.default_rng(42)
    one, other = rng.normal(0.8, 0.1, 31), rng.normal(0.7, 0.3, 21)
    found = unpaired_difference(
        *(
            Interval(
                value=float(x.mean()),
                low=0.0,
                high=1.0,
                standard_error=float(x.std(ddof=1) / math.sqrt(len(x))),
                n_effective=len(x) - 1.0,
            )
            for x in (one, other)
        )
    )
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_two_perfect_test_parts_may_still_differ(make_predictions: Maker) -> None:
    labels = np.arange(60) % 3
    perfect = make_predictions(labels=labels, logits=9 * np.eye(3)[labels])
    found = intervals(perfect, rng=np.random.default_rng(0), n_replicates=50)
    accuracy = unpaired_difference(found["accuracy"], found["accuracy"])
    error = (1 - 0.025 ** (1 / 60)) / 2 / stats.norm.ppf(0.975) * math.sqrt(2)
    reach = stats.t.ppf(0.975, 120) * error
    assert (accuracy.low, accuracy.value, accuracy.high) == pytest.approx((-reach, 0, reach))
    macro = unpaired_difference(found["balanced_accuracy"], found["balanced_accuracy"])
    each = (1 - 0.025 ** (1 / 20)) / 2 / stats.norm.ppf(0.975)  # a recall of 20 lesions
    reach = stats.t.ppf(0.975, 120) * each / math.sqrt(3) * math.sqrt(2)
    assert (macro.low, macro.value, macro.high) == pytest.approx((-reach, 0, reach))


def test_lesions_are_numbered_over_all_runs(make_predictions: Maker) -> None:
    one = make_predictions(labels=[0, 1], logits=np.zeros((2, 2)), lesion_ids=["b", "a"])
    other = make_predictions(labels=[0, 1], logits=np.zeros((2, 2)), lesion_ids=["b", "c"])
    lesions = Lesions.of((one, other))
    assert [of.tolist() for of in lesions.of_images] == [[1, 0], [1, 2]]
    assert lesions.n_lesions == 3


def test_folds_of_unequal_size_count_each_lesion_by_its_share_of_its_fold(
    make_predictions: Maker,
) -> None:
    """Two lesions of one photograph, then two of three: a mean over folds weighs them alike."""
    small = make_predictions(labels=[0, 0], logits=np.eye(2), lesion_ids=["a", "b"])
    large = make_predictions(
        labels=[0] * 6, logits=[[1, 0]] * 6, lesion_ids=["c", "c", "c", "d", "d", "d"]
    )
    found = counted_lesions((score(small), score(large)), lesions=Lesions.of((small, large)))
    assert found["accuracy"] == found["recall.a"] == pytest.approx(4)
    assert found["precision.b"] == pytest.approx(1)


def test_impossible_draws_are_refused(make_predictions: Maker) -> None:
    rng = np.random.default_rng(0)
    nobody = make_predictions(labels=np.zeros(0), logits=np.zeros((0, 2)))
    with pytest.raises(DataError, match="one or more images; got none"):
        intervals(nobody, rng=rng)
    someone = make_predictions(labels=[0, 1], logits=np.eye(2))
    with pytest.raises(ConfigError, match="`n_replicates` must be at least 2; got 1"):
        intervals(someone, rng=rng, n_replicates=1)
    with pytest.raises(ConfigError, match=r"`level` must lie in \(0, 1\); got 95"):
        intervals(someone, rng=rng, level=95)


@pytest.mark.slow
def test_two_thousand_replicates_of_two_thousand_images_take_two_seconds(
    make_predictions: Maker,
) -> None:
    rng = np.random.default_rng(42)
    labels = rng.choice(7, size=2000, p=[0.67, 0.11, 0.11, 0.05, 0.03, 0.02, 0.01])
    predictions = make_predictions(
        labels=labels,
        logits=rng.normal(size=(2000, 7)) + 2 * np.eye(7)[labels],
        lesion_ids=rng.integers(0, 1494, 2000),
    )
    started = time.process_time()
    intervals(predictions, rng=rng)
    assert time.process_time() - started <= 2
