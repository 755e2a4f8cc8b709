import math

import numpy as np
import pytest
from scipy.stats import binomtest

from moulage.evaluation.intervals import binomial_bounds, intervals
from moulage.evaluation.means import area_interval, mean_interval
from moulage.evaluation.scales import DIFFERENCE, LOSS
from moulage.predictions import Predictions


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 10), (10, 10), (40, 150)])
def test_binomial_bounds_are_scipys(hits: int, n: int) -> None:
    theirs = binomtest(hits, n).proportion_ci()
    assert binomial_bounds(hits / n, n) == pytest.approx((theirs.low, theirs.high))


def test_no_trials_have_no_bounds() -> None:
    assert all(math.isnan(end) for end in binomial_bounds(math.nan, 0))
    assert math.isnan(mean_interval(np.zeros(0), lesion_ids=np.zeros(0, dtype=str)).value)


def test_accuracy_has_the_interval_of_drawn_lesions(make_predictions) -> None:
    rng = np.random.default_rng(42)
    lesions = rng.integers(0, 250, 600)
    labels = rng.integers(0, 3, 250)[lesions]
    logits = rng.normal(size=(250, 3))[lesions] + 0.5 * rng.normal(size=(600, 3))
    logits[np.arange(600), labels] += 1.5
    drawn: Predictions = make_predictions(labels=labels, logits=logits, lesion_ids=lesions)
    theirs = intervals(drawn, rng=rng)
    right = drawn.logits.argmax(axis=1) == labels
    ours = mean_interval(right, lesion_ids=drawn.lesion_ids)
    assert ours.value == theirs["accuracy"].value
    # the draws' own error: 2,000 of them know a standard error to 1.6 %
    assert ours.standard_error == pytest.approx(theirs["accuracy"].standard_error, rel=0.06)
    assert (ours.low, ours.high) == pytest.approx(
        (theirs["accuracy"].low, theirs["accuracy"].high), abs=0.004
    )


def test_an_area_has_the_interval_of_drawn_lesions(make_predictions) -> None:
    rng = np.random.default_rng(42)
    labels = (np.arange(400) < 100).astype(int)
    logits = rng.normal(size=(400, 2)) + np.eye(2)[labels]
    drawn: Predictions = make_predictions(labels=labels, logits=logits)
    theirs = intervals(drawn, rng=rng)["auroc.b"]
    ours, n_carrying = area_interval(
        labels == 1, logits[:, 1] - logits[:, 0], lesion_ids=drawn.lesion_ids
    )
    assert (ours.value, n_carrying) == (theirs.value, 100)
    assert ours.n_effective == theirs.n_effective
    # 2,000 draws know a standard error to 1.6 %
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.06)


def test_nearly_equal_siblings_are_one_piece_of_evidence() -> None:
    values = np.repeat(np.random.default_rng(1).exponential(size=50), 4)
    alone = mean_interval(values[::4], lesion_ids=np.arange(50).astype(str), bounds=LOSS)
    four = mean_interval(values, lesion_ids=np.arange(50).repeat(4).astype(str), bounds=LOSS)
    assert (four.low, four.high) == pytest.approx((alone.low, alone.high))


def test_one_wrong_in_a_hundred_has_exact_bounds() -> None:
    hits = np.arange(100) > 0
    found = mean_interval(hits, lesion_ids=np.arange(100).astype(str))
    assert (found.low, found.high) == pytest.approx(binomial_bounds(0.99, 100))
    assert found.low > 0.94


@pytest.mark.parametrize("n_right", [0, 20])
def test_a_share_of_few_large_lesions_has_the_bounds_of_the_report(
    make_predictions, n_right: int
) -> None:
    """One patient of fifty photographs beside twenty of one: by weight not twenty-one."""
    patients = np.array([0] * 50 + list(range(1, 21)))
    right = np.repeat([n_right > 0, True], [50, 20])
    logits = np.where(right[:, None], [2.0, 0.0], [0.0, 2.0])
    shown = make_predictions(labels=np.zeros(70, int), logits=logits, lesion_ids=patients)
    theirs = intervals(shown, rng=np.random.default_rng(0), n_replicates=200)["accuracy"]
    ours = mean_interval(right, lesion_ids=shown.lesion_ids)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert ours.high - ours.low > 0.8


def test_a_mean_that_never_varies_has_no_students_bounds_from_rounding() -> None:
    ids = np.arange(50).astype(str)
    loss = mean_interval(np.full(50, 0.1), lesion_ids=ids, bounds=LOSS)
    assert (loss.standard_error, math.isnan(loss.low)) == (0, True)
    share = mean_interval(np.full(50, 0.1), lesion_ids=ids)
    assert (share.low, share.high) == pytest.approx(binomial_bounds(0.1, 50))


def test_the_error_of_a_mean_by_pencil() -> None:
    """Three lesions of one, two and three photographs: sums of (x - 0.5) / 6."""
    values = np.array([1.0, 1.0, 0.0, 0.5, 0.5, 0.0])
    ids = np.array(["a", "b", "b", "c", "c", "c"])
    found = mean_interval(values, lesion_ids=ids, bounds=DIFFERENCE)
    squares = (0.5 / 6) ** 2 + 0 + (0.5 / 6) ** 2
    assert found.value == 0.5
    assert found.standard_error == pytest.approx(math.sqrt(3 / 2 * squares))
    assert found.n_effective == pytest.approx(2)


def test_a_share_of_one_counts_lesions_once() -> None:
    found = mean_interval(np.ones(20), lesion_ids=np.arange(10).repeat(2).astype(str))
    assert (found.low, found.high) == binomial_bounds(1.0, 10)
    assert found.standard_error > 0
