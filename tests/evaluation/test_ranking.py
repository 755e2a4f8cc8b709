import math
from itertools import product

import numpy as np
import pytest

from moulage.errors import ShapeError
from moulage.evaluation.ranking import auroc, rank, weighted_ranking


def naive_auroc(positives: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    rows = np.arange(len(scores))
    won = total = 0.0
    for i, j in product(rows[positives], rows[~positives]):
        pair = weights[i] * weights[j]
        won += pair * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
        total += pair
    return won / total if total else math.nan


def average_precision(*, positives: np.ndarray, scores: np.ndarray) -> float:
    ranking = rank(positives=positives, scores=scores)
    return weighted_ranking(ranking, weights=np.ones((len(scores), 1)))[1].item()


@pytest.mark.parametrize("seed", range(30))
def test_weighted_area_equals_a_count_of_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positives, scores = rng.random(25) < 0.3, rng.integers(0, 8, 25) / 8
    weights = rng.integers(0, 3, size=(25, 4)).astype(np.float64)
    areas = weighted_ranking(rank(positives=positives, scores=scores), weights=weights)[0]
    expected = [naive_auroc(positives, scores, column) for column in weights.T]
    np.testing.assert_allclose(areas, expected, rtol=1e-12)


def test_area_and_precision_by_pencil() -> None:
    positives = np.array([True, False, True, False])
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    assert auroc(positives=positives, scores=scores) == 0.75
    assert average_precision(positives=positives, scores=scores) == pytest.approx(5 / 6)


def test_equal_scores_are_half_right() -> None:
    positives = np.array([True, False, False, True])
    assert auroc(positives=positives, scores=np.full(4, 0.3)) == 0.5
    assert average_precision(positives=positives, scores=np.full(4, 0.3)) == 0.5


def test_one_kind_of_image_has_no_area() -> None:
    scores = np.array([0.1, 0.2])
    assert math.isnan(auroc(positives=np.array([True, True]), scores=scores))
    assert math.isnan(auroc(positives=np.array([False, False]), scores=scores))
    assert average_precision(positives=np.array([True, True]), scores=scores) == 1
    assert math.isnan(average_precision(positives=np.array([False, False]), scores=scores))


def test_only_the_order_of_scores_counts() -> None:
    rng = np.random.default_rng(42)
    positives, scores = rng.random(200) < 0.2, rng.normal(size=200)
    straight, bent = (
        auroc(positives=positives, scores=values) for values in (scores, np.exp(3 * scores))
    )
    assert straight == bent
    flipped = auroc(positives=positives, scores=-scores)
    assert straight + flipped == pytest.approx(1, abs=1e-12)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ShapeError, match="no NaN"):
        auroc(positives=np.array([True, False]), scores=np.array([0.1, np.nan]))
