import math
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from moulage.errors import ShapeError
from moulage.explanation.answers import Answers
from moulage.explanation.faithfulness import (
    agreement,
    agreement_by_chance,
    inside_shares,
    lesion_share,
    mean_agreement,
)
from moulage.explanation.lime import Explanation

Maker = Callable[..., Explanation]


@pytest.fixture
def make() -> Maker:
    def explanation(weights: object, segments: np.ndarray) -> Explanation:
        numbers = np.asarray(weights, dtype=float)
        masks = np.ones((1, len(numbers)), bool)
        return Explanation(
            weights=numbers,
            standard_errors=np.zeros(len(numbers)),
            intercept=0.0,
            score=1.0,
            foretold=1.0,
            method="exact",
            segments=segments,
            diagnosis=0,
            probability=0.5,
            answers=Answers(masks=masks, probabilities=np.full((1, 2), 0.5)),
        )

    return explanation


ROW = np.repeat(np.arange(5), 3)[None].repeat(2, axis=0)


@pytest.mark.parametrize("seed", range(20))
def test_cut_alike_the_agreement_is_spearmans_over_superpixels(seed: int, make: Maker) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 5, (2, 5)) / 4
    found = agreement(make(one, ROW), make(other, ROW)).rank_correlation
    if min(np.ptp(one), np.ptp(other)) == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(one, other)[0])


@pytest.mark.parametrize("seed", range(20))
def test_cut_otherwise_it_is_spearmans_over_pixels(seed: int, make: Maker) -> None:
    rng = np.random.default_rng(seed)
    cuts = [np.unique(rng.integers(0, 6, (9, 9)), return_inverse=True)[1] for _ in range(2)]
    cuts = [cut.reshape(9, 9) for cut in cuts]
    weights = [rng.integers(0, 4, cut.max() + 1) / 2 for cut in cuts]
    first, second = (make(w, cut) for w, cut in zip(weights, cuts, strict=True))
    maps = [w[cut].ravel() for w, cut in zip(weights, cuts, strict=True)]
    expected = spearmanr(*maps)[0]
    assert agreement(first, second).rank_correlation == pytest.approx(expected)


def test_chance_is_what_weights_dealt_at_random_reach(make: Maker) -> None:
    explained = make([5, 4, 3, 2, 1], ROW)
    found = agreement_by_chance(explained, explained, rng=np.random.default_rng(42))
    orders = np.array(list(permutations(range(5))))
    every = [spearmanr(order, range(5))[0] for order in orders]
    assert found == pytest.approx(np.quantile(every, 0.95), abs=0.101)  # a step between ranks


def test_few_superpixels_agree_by_chance_more_often(make: Maker) -> None:
    rng = np.random.default_rng(42)
    levels = []
    for number in (4, 10, 30):
        cuts = [np.arange(900).reshape(30, 30) * few // 900 for few in (number, number - 1)]
        first, other = (make(rng.random(cut.max() + 1), cut) for cut in cuts)
        levels.append(agreement_by_chance(first, other, rng=rng))
    assert levels == sorted(levels, reverse=True)


def test_the_top_overlaps_by_pencil(make: Maker) -> None:
    first, second = make([5, 4, 3, 2, 1], ROW), make([1, 5, 2, 4, 3], ROW)
    assert agreement(first, second, n_top=2).top_overlap == 0.5
    assert agreement(first, first, n_top=3).top_overlap == 1
    halves = np.array([[0, 0, 1, 1]])
    thirds = np.array([[0, 1, 1, 1]])
    found = agreement(make([1, 0], halves), make([1, 0], thirds), n_top=1)
    assert found.top_overlap == pytest.approx(1 / 1.5)


def test_agreement_is_symmetric_and_blind_to_numbering(make: Maker) -> None:
    rng = np.random.default_rng(42)
    weights, others = rng.normal(size=(2, 5))
    order = rng.permutation(5)
    inverse = np.argsort(order)
    first, second = make(weights, ROW), make(others, ROW)
    renamed = make(others[order], inverse[ROW])
    there, back, again = (
        agreement(*pair) for pair in ((first, second), (second, first), (first, renamed))
    )
    assert there.rank_correlation == pytest.approx(back.rank_correlation)
    assert there.rank_correlation == pytest.approx(again.rank_correlation)
    assert there.top_overlap == pytest.approx(again.top_overlap)


def test_stability_is_the_mean_over_others(make: Maker) -> None:
    first, turned = make([1, 2, 3, 4, 5], ROW), make([5, 4, 3, 2, 1], ROW)
    found = mean_agreement(first, first, turned, n_top=1)
    assert found.rank_correlation == pytest.approx(0)
    assert found.top_overlap == 0.5


def test_the_lesion_share_by_pencil(make: Maker) -> None:
    segments = np.array([[0, 0, 1, 1]])
    lesion = np.array([[True, True, True, False]])
    assert inside_shares(segments, lesion).tolist() == [1, 0.5]
    assert lesion_share(make([0.3, 0.1], segments), lesion) == pytest.approx(0.35 / 0.4)
    assert lesion_share(make([-0.3, 0.1], segments), lesion) == 0.5
    assert lesion_share(make([0.3, 0.1], segments), ~lesion) == pytest.approx(0.05 / 0.4)
    assert math.isnan(lesion_share(make([-0.3, 0], segments), lesion))


def test_even_weights_have_the_share_that_the_lesion_has_of_the_image(make: Maker) -> None:
    lesion = np.random.default_rng(42).random(ROW.shape) < 0.4
    assert lesion_share(make(np.ones(5), ROW), lesion) == pytest.approx(lesion.mean())


def test_other_images_are_refused(make: Maker) -> None:
    with pytest.raises(ShapeError, match="must be of one image"):
        agreement(make([1, 2], np.array([[0, 1]])), make([1, 2], np.array([[0], [1]])))
    with pytest.raises(ShapeError, match=r"`lesion` must have shape \(H, W\) = \(2, 15\)"):
        inside_shares(ROW, np.ones((3, 3), bool))
