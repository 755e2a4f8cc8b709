from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as strangers_curve

from moulage.evaluation.metrics import score
from moulage.evaluation.resampling import Lesions, draw_lesions
from moulage.evaluation.roc import GRID, roc_curve
from moulage.predictions import Predictions

Maker = Callable[..., Predictions]


def curve_of(run: Predictions, diagnosis: int = 1, n_replicates: int = 50) -> object:
    lesions = Lesions.of((run,))
    weights = draw_lesions(
        lesions.n_lesions, n_replicates=n_replicates, rng=np.random.default_rng(0)
    )
    return roc_curve(
        (score(run),),
        image_ids=(run.image_ids,),
        diagnosis=diagnosis,
        lesions=lesions,
        weights=weights,
    )


@pytest.mark.parametrize("number", range(1, 40, 2))
def test_the_curve_is_scikit_learns(random_case: Callable[[int], Predictions], number: int) -> None:
    run = random_case(number)
    positives = run.labels == 1
    found = curve_of(run, n_replicates=2)
    if not positives.any() or positives.all():
        assert np.isnan(found.sensitivity).all()
        return
    rates, shares, _ = strangers_curve(
        positives, run.probabilities()[:, 1], drop_intermediate=False
    )
    expected = np.interp(GRID, rates, shares)  # at a rate where the curve rises, its top
    np.testing.assert_allclose(found.sensitivity, expected, atol=1e-12)


def test_the_curve_is_flat_up_to_the_next_negative_and_slants_across_ties_alone(
    make_predictions: Maker,
) -> None:
    """Called in turn: a negative, a positive, one of each that are tied, a negative, a positive."""
    labels, scores = [0, 1, 0, 1, 0, 1, 0], [6.0, 5.0, 4.0, 4.0, 3.0, 2.0, 1.0]
    run = make_predictions(labels=labels, logits=np.stack([np.zeros(7), scores], axis=1))
    found = curve_of(run).sensitivity
    np.testing.assert_allclose(found[[0, 24]], 0)
    np.testing.assert_allclose(found[25:51], 1 / 3 + (GRID[25:51] - 0.25) / 0.25 / 3)
    np.testing.assert_allclose(found[51:75], 2 / 3)
    np.testing.assert_allclose(found[75:], 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_the_curve_is_the_auroc(make_predictions: Maker, seed: int) -> None:
    """Of twenty negatives each is a step of five rates of the grid, as high at its start."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [20, 13])
    scores = rng.normal(size=33) + labels
    run = make_predictions(labels=labels, logits=np.stack([np.zeros(33), scores], axis=1))
    found = curve_of(run).sensitivity
    assert found[:-1].mean() == pytest.approx(roc_auc_score(labels, run.logits[:, 1]), abs=1e-12)


def test_a_perfect_curve_rises_at_once_and_a_constant_one_is_the_diagonal(
    make_predictions: Maker,
) -> None:
    labels = np.arange(40) % 2
    perfect = curve_of(make_predictions(labels=labels, logits=9 * np.eye(2)[labels]))
    assert perfect.sensitivity.tolist() == perfect.low.tolist() == [1.0] * 101
    constant = curve_of(make_predictions(labels=labels, logits=np.zeros((40, 2))))
    np.testing.assert_allclose(constant.sensitivity, GRID, atol=1e-12)


def test_the_band_narrows_with_more_lesions(make_predictions: Maker) -> None:
    widths = []
    for n_images in (60, 960):
        rng = np.random.default_rng(42)
        labels = np.arange(n_images) % 2
        logits = rng.normal(size=(n_images, 2)) + np.eye(2)[labels]
        found = curve_of(make_predictions(labels=labels, logits=logits), n_replicates=200)
        assert (found.low <= found.high).all()
        widths.append(float((found.high - found.low)[10:90].mean()))
    assert widths[1] < widths[0] / 2  # thirty positives reach the top, where no band is wide


def test_a_weighted_draw_is_the_lesions_drawn_again(make_predictions: Maker) -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(30) % 2
    run = make_predictions(labels=labels, logits=np.round(rng.normal(size=(30, 2)), 1))
    weights = rng.integers(0, 3, size=(30, 1)).astype(np.float64)
    repeated = run.take(np.repeat(np.arange(30), weights[:, 0].astype(int)))
    one = roc_curve(
        (score(run),),
        image_ids=(run.image_ids,),
        diagnosis=1,
        lesions=Lesions.of((run,)),
        weights=weights,
    )
    other = curve_of(repeated, n_replicates=2)
    np.testing.assert_allclose(one.low, other.sensitivity, atol=1e-12)


def test_a_draw_is_the_curve_of_its_images_drawn_out(
    random_case: Callable[..., Predictions],
) -> None:
    """A lesion that is drawn twice counts twice; one that is not drawn is not there."""
    for number in range(1, 40, 2):
        run = random_case(number)
        lesions = Lesions.of((run,))
        rng = np.random.default_rng(number)
        weights = draw_lesions(lesions.n_lesions, n_replicates=2, rng=rng)[:, :1]
        found = roc_curve(
            (score(run),), image_ids=(run.image_ids,), diagnosis=1, lesions=lesions, weights=weights
        )
        drawn = run.take(np.repeat(np.arange(len(run)), weights[lesions.of_images[0], 0]))
        if 0 < (drawn.labels == 1).sum() < len(drawn):
            np.testing.assert_array_equal(found.low, curve_of(drawn).sensitivity)
        else:
            assert np.isnan(found.low).all()


def test_each_image_of_the_diagnosis_is_counted_once_however_many_runs_tested_it(
    make_predictions: Maker,
) -> None:
    """Two seeds on one fold and one on another: 3 + 2 images, not the first run's three."""
    logits = np.random.default_rng(0).normal(size=(8, 2))
    first = make_predictions(labels=[1, 1, 1, 0, 0, 0, 0, 0], logits=logits)
    other = make_predictions(labels=[1, 1, 0, 0, 0, 0, 0, 0], logits=logits)
    other = replace(other, image_ids=np.array([f"other{i}" for i in range(8)]))
    runs = (first, first, other)
    lesions = Lesions.of(runs)
    weights = draw_lesions(lesions.n_lesions, n_replicates=2, rng=np.random.default_rng(0))
    found = roc_curve(
        [score(run) for run in runs],
        image_ids=[run.image_ids for run in runs],
        diagnosis=1,
        lesions=lesions,
        weights=weights,
    )
    assert found.n_positives == 5
