import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from moulage.evaluation.decisions import softmax
from moulage.evaluation.losses import brier_scores
from moulage.evaluation.reliability import brier_parts, per_diagnosis, top_label
from moulage.predictions import Predictions


def drawn(make_predictions, seed: int, n: int = 600, temperature: float = 1.0) -> Predictions:
    """Labels drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = (1.5 * rng.normal(size=(n, 4))).astype(np.float32)
    cumulative = softmax(logits.astype(float) / temperature).cumsum(axis=1)
    labels = (rng.random((n, 1)) > cumulative).sum(axis=1).clip(max=3)
    return make_predictions(labels=labels, logits=logits)


def test_bins_are_scikit_learns(make_predictions) -> None:
    found = drawn(make_predictions, 42)
    ours = top_label(found, rng=np.random.default_rng(0), n_bins=10)
    probabilities = found.probabilities()
    hits = probabilities.argmax(axis=1) == found.labels
    shares, stated = calibration_curve(
        hits, probabilities.max(axis=1), n_bins=10, strategy="quantile"
    )
    assert [one.probability for one in ours.bins] == pytest.approx(stated.tolist())
    assert [one.share.value for one in ours.bins] == pytest.approx(shares.tolist())
    assert ours.ece == pytest.approx(float(np.abs(shares - stated).mean()))


def test_by_pencil(make_predictions) -> None:
    logits = np.log([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.4, 0.6]])
    found = make_predictions(labels=[0, 1, 1, 1], logits=logits)
    ours = top_label(found, rng=np.random.default_rng(0), n_bins=2)
    assert [one.share.value for one in ours.bins] == [1.0, 0.5]
    assert ours.ece == pytest.approx((0.4 + 0.3) / 2)


def test_right_probabilities_show_their_expectation_and_wrong_ones_exceed_it(
    make_predictions,
) -> None:
    right = top_label(drawn(make_predictions, 3, 3000), rng=np.random.default_rng(0))
    assert right.ece < right.limit
    wrong = drawn(make_predictions, 3, 3000, temperature=2.0)
    assert top_label(wrong, rng=np.random.default_rng(0)).excess > 0.05


def test_photographs_of_a_lesion_share_their_luck(make_predictions) -> None:
    """Four copies of 150 images are 150 images: the expectation is theirs."""
    alone = drawn(make_predictions, 5, 150)
    rows = np.repeat(np.arange(150), 4)
    copies = alone.take(rows)
    expected = top_label(alone, rng=np.random.default_rng(0), n_bins=5).expected
    of_copies = top_label(copies, rng=np.random.default_rng(0), n_bins=5).expected
    assert of_copies == pytest.approx(expected, rel=0.05)


def test_photographs_of_a_patients_lesions_have_each_their_own_luck(make_predictions) -> None:
    """A group with several diagnoses is a patient: its images are as good as alone."""
    alone = drawn(make_predictions, 5, 600)
    patients = replace(alone, lesion_ids=(np.arange(600) // 40).astype(str))
    found, expected = (
        top_label(one, rng=np.random.default_rng(0)).limit for one in (patients, alone)
    )
    assert found == pytest.approx(expected)


def test_brier_parts_sum_to_the_score(make_predictions) -> None:
    found = drawn(make_predictions, 7)
    parts = brier_parts(found)
    theirs = brier_scores(labels=found.labels, logits=found.logits.astype(float)).mean()
    assert sum(part.score for part in parts.values()) == pytest.approx(theirs)
    first = parts["a"]
    assert first.score == pytest.approx(
        brier_score_loss(found.labels == 0, found.probabilities()[:, 0])
    )
    whole = first.reliability - first.resolution + first.uncertainty + first.within
    assert whole == pytest.approx(first.score)
    assert abs(first.within) < 0.005


def test_no_images_are_not_defined(make_predictions) -> None:
    nothing = make_predictions(labels=[], logits=np.zeros((0, 3)))
    assert math.isnan(top_label(nothing, rng=np.random.default_rng(0)).ece)
    assert math.isnan(brier_parts(nothing)["a"].score)
    assert per_diagnosis(nothing, rng=np.random.default_rng(0))["b"].bins == ()


def forecast(make_predictions, stated: np.ndarray, hits: np.ndarray) -> Predictions:
    """Two diagnoses; the first is stated so and is true where it hits."""
    logits = np.stack([np.log(stated / (1 - stated)), np.zeros(len(stated))], axis=1)
    return make_predictions(labels=np.where(hits, 0, 1), logits=logits)


def test_a_constant_forecast_resolves_nothing_however_rows_are_sorted(make_predictions) -> None:
    found = forecast(make_predictions, np.full(100, 0.7), np.arange(100) < 50)
    parts = brier_parts(found)["a"]
    assert (parts.resolution, parts.within) == pytest.approx((0, 0))
    assert parts.reliability == pytest.approx(0.2**2, rel=1e-5)  # logits are float32
    top = top_label(found, rng=np.random.default_rng(0))
    assert top.ece == pytest.approx(0.2, rel=1e-5)
    assert len(top.bins) == 1


def test_few_distinct_forecasts_are_the_bins_of_murphy(make_predictions) -> None:
    """By pandas: one group a distinct forecast, whatever the order of the rows."""
    rng = np.random.default_rng(42)
    stated = rng.choice([0.55, 0.6, 0.8, 0.95], size=400)
    hits = rng.random(400) < stated - 0.05
    order = np.argsort(hits, kind="stable")
    for rows in (np.arange(400), order, order[::-1]):
        parts = brier_parts(forecast(make_predictions, stated[rows], hits[rows]))["a"]
        groups = pd.DataFrame({"stated": stated, "hits": hits}).groupby("stated")["hits"]
        share, n = groups.mean(), groups.size()
        expected = (n * (share - share.index) ** 2).sum() / 400
        assert parts.reliability == pytest.approx(expected, rel=1e-4)
        assert parts.resolution == pytest.approx((n * (share - hits.mean()) ** 2).sum() / 400)
        assert parts.within == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("n_images", [1, 7, 15, 16, 100])
def test_distinct_forecasts_are_cut_into_equal_numbers(make_predictions, n_images: int) -> None:
    rng = np.random.default_rng(n_images)
    stated = rng.permutation(np.linspace(0.51, 0.99, n_images))
    found = forecast(make_predictions, stated, rng.random(n_images) < 0.7)
    bins = top_label(found, rng=rng).bins
    expected = [each for each in np.array_split(np.sort(stated), 15) if len(each)]
    assert [one.n_images for one in bins] == [len(each) for each in expected]
    assert [one.probability for one in bins] == pytest.approx(
        [each.mean() for each in expected], rel=1e-6
    )


def test_a_cut_among_equals_moves_to_their_nearer_end(make_predictions) -> None:
    stated = np.array([0.6, 0.7, 0.7, 0.7, 0.7, 0.8, 0.9, 0.95])
    found = forecast(make_predictions, stated, np.ones(8, dtype=bool))
    bins = top_label(found, rng=np.random.default_rng(0), n_bins=4).bins
    assert [one.n_images for one in bins] == [1, 4, 1, 2]
