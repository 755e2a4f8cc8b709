import math

import numpy as np
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
