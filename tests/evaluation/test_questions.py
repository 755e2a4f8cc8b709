import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from moulage.evaluation.lesions import by_lesion
from moulage.evaluation.questions import ask
from moulage.evaluation.resampling import Lesions, Weights, draw_lesions
from moulage.predictions import Predictions

Maker = Callable[..., Predictions]


def part(make: Maker, *, seed: int, n_images: int = 400) -> Predictions:
    rng = np.random.default_rng(seed)
    lesion_ids = np.arange(n_images) % (n_images // 2)
    labels = (np.arange(n_images // 2) % 3)[lesion_ids]
    logits = rng.normal(size=(n_images, 3)) + 1.5 * np.eye(3)[labels]
    return make(labels=labels, logits=logits, lesion_ids=lesion_ids)


def drawn(run: Predictions, n_replicates: int) -> Weights:
    n_lesions = Lesions.of((run,)).n_lesions
    return draw_lesions(n_lesions, n_replicates=n_replicates, rng=np.random.default_rng(0))


def test_thresholds_come_from_one_part_and_are_measured_on_another(make_predictions: Maker) -> None:
    chosen_on, applied_to = (part(make_predictions, seed=seed) for seed in (1, 2))
    found = ask(
        chosen_on=chosen_on,
        applied_to=applied_to,
        codes=("a", "b"),
        weights=drawn(applied_to, 200),
    )
    scores = applied_to.probabilities()[:, :2].sum(axis=1)
    positives = applied_to.labels < 2
    assert found.auroc == pytest.approx(roc_auc_score(positives, scores))
    point = found.answers["sensitivity_at_specificity_90"]
    assert point.share.value == (scores[positives] >= point.threshold).mean()
    assert point.other == (scores[~positives] < point.threshold).mean()
    assert point.other != 0.9, "what was 90 % on one part is not quite so on another"
    assert point.share.low < point.share.value < point.share.high
    reverse = found.answers["specificity_at_sensitivity_95"]
    assert reverse.share.value == (scores[~positives] < reverse.threshold).mean()
    assert (point.n_images, reverse.n_images) == (positives.sum(), (~positives).sum())


def test_lesions_answer_with_one_voice(make_predictions: Maker) -> None:
    chosen_on, applied_to = (by_lesion(part(make_predictions, seed=s)) for s in (1, 2))
    found = ask(
        chosen_on=chosen_on,
        applied_to=applied_to,
        codes=("a",),
        weights=drawn(applied_to, 400),
    )
    assert found.n_positives + found.n_negatives == 200
    share = found.answers["sensitivity_at_specificity_90"].share
    expected = math.sqrt(share.value * (1 - share.value) / found.n_positives)
    assert share.standard_error == pytest.approx(expected, rel=0.15)


def test_a_perfect_answer_has_the_exact_bound_of_its_lesions(make_predictions: Maker) -> None:
    labels = np.arange(60) % 2
    run = make_predictions(labels=labels, logits=9 * np.eye(2)[labels])
    found = ask(
        chosen_on=run,
        applied_to=run,
        codes=("a",),
        weights=drawn(run, 20),
    )
    share = found.answers["sensitivity_at_specificity_95"].share
    exact = stats.binomtest(30, 30).proportion_ci(method="exact")
    assert (share.value, share.low, share.high) == (1, pytest.approx(exact.low), 1)


def test_without_a_kind_of_image_nothing_is_defined(make_predictions: Maker) -> None:
    everyone = make_predictions(labels=[0, 1, 1], logits=np.eye(3))
    none = make_predictions(labels=[1, 1, 2], logits=np.eye(3))
    no_threshold, no_positives = (
        ask(chosen_on=a, applied_to=b, codes=("a",), weights=drawn(b, 9))
        for a, b in ((none, everyone), (everyone, none))
    )
    for found in (no_threshold, no_positives):
        share = found.answers["sensitivity_at_specificity_90"].share
        assert math.isnan(share.value)
        assert math.isnan(share.low)
    assert no_positives.n_positives == 0
