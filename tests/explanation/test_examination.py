import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from moulage.errors import ConfigError, DataError
from moulage.explanation.examination import Manner, examine

SIDE = 32
EXACT = Manner(method="exact", n_segments=6, cut="grid", fill="black")


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(42).integers(60, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def bright_corner(copies: np.ndarray) -> np.ndarray:
    """Find the first diagnosis by light in the upper left, and hardly by anything else."""
    light = copies.mean(axis=3) / 255
    found = 0.9 * light[:, :12, :12].mean(axis=(1, 2)) + 0.05 * light.mean(axis=(1, 2))
    return np.stack([found, 1 - found], axis=1)


def beside_random(copies: np.ndarray) -> np.ndarray:
    """The same, and beside it a network that looks at the lower right instead."""
    return np.concatenate([bright_corner(copies), bright_corner(copies[:, ::-1, ::-1])], axis=1)


def test_an_explanation_comes_with_all_its_scores(image: np.ndarray) -> None:
    lesion = np.zeros((SIDE, SIDE), dtype=bool)
    lesion[:12, :12] = True
    image[lesion, 1:] //= 3  # red, so that a cut can follow it
    manner = Manner(diagnosis=0, fill="black")
    found = examine(beside_random, image, n_classes=2, manner=manner, lesion=lesion)
    scores = found.scores
    assert scores.score > 0.9
    assert scores.deletion_gain > 0
    assert scores.share_as_good <= 0.05
    assert scores.over_seeds > 0.9
    assert scores.lesion_share > 3 * scores.lesion_area
    assert scores.randomised < 0.5
    assert found.shapley is None
    assert found.n_asked > found.explanation.n_evaluations == 128


def test_all_masks_give_shapley_values_and_have_no_luck_of_seeds(image: np.ndarray) -> None:
    found = examine(bright_corner, image, n_classes=2, manner=EXACT)
    answers = found.explanation.answers.of(found.explanation.diagnosis)
    assert found.shapley is not None
    assert found.shapley.sum() == pytest.approx(answers[-1] - answers[0], abs=1e-9)
    assert math.isnan(found.scores.over_seeds)
    assert math.isnan(found.scores.randomised)
    assert math.isnan(found.scores.lesion_share)
    assert found.curves.random_deletion.shape == (200, 7)


def test_a_network_that_looks_alike_with_a_random_head_is_told(image: np.ndarray) -> None:
    def alike(copies: np.ndarray) -> np.ndarray:
        return np.concatenate([bright_corner(copies)] * 2, axis=1)

    found = examine(alike, image, n_classes=2, manner=EXACT)
    assert found.scores.randomised == pytest.approx(1)
    assert any("A head with random weights is explained alike" in said for said in found.doubts)


@pytest.mark.parametrize("n_mirrored", [0, 1, 2, 3])
def test_a_random_head_that_says_the_opposite_is_explained_alike_too(
    n_mirrored: int, image: np.ndarray
) -> None:
    def by_heads(copies: np.ndarray) -> np.ndarray:
        learned = bright_corner(copies)
        mirrored = learned[:, ::-1]  # what speaks for one diagnosis speaks against the other
        heads = [mirrored] * n_mirrored + [learned] * (3 - n_mirrored)
        return np.concatenate([learned, *heads], axis=1)

    found = examine(by_heads, image, n_classes=2, manner=EXACT)
    assert found.scores.randomised == pytest.approx(1)
    assert any("explained alike, or the other way round" in said for said in found.doubts)


@pytest.mark.parametrize("n_segments", [2, 5, 6])
def test_few_superpixels_rank_alike_under_any_head_so_nothing_is_said(
    n_segments: int, image: np.ndarray
) -> None:
    manner = replace(EXACT, n_segments=n_segments)
    found = examine(beside_random, image, n_classes=2, manner=manner)
    assert math.isnan(found.scores.randomised) == (n_segments < 6)


def test_the_same_image_gives_the_same_numbers(image: np.ndarray) -> None:
    manner = Manner(method="sampled", n_evaluations=100, seed=3)
    one, other = (examine(bright_corner, image, n_classes=2, manner=manner) for _ in range(2))
    assert one.scores == replace(other.scores, lesion_share=one.scores.lesion_share,
                                 lesion_area=one.scores.lesion_area,
                                 randomised=one.scores.randomised)  # fmt: skip
    np.testing.assert_array_equal(one.explanation.weights, other.explanation.weights)


@pytest.mark.parametrize("method", ["designed", "exact", "sampled"])
def test_an_even_image_has_nothing_to_explain(method: str) -> None:
    even = np.full((SIDE, SIDE, 3), 120, dtype=np.uint8)
    found = examine(beside_random, even, n_classes=2, manner=Manner(method=method, n_segments=5))
    assert found.doubts == (
        "The probability does not change whatever is covered: there is nothing to explain.",
    )
    assert not found.explanation.weights.any()
    scores = found.scores
    for agreed in (
        scores.over_seeds,
        scores.over_cuts,
        scores.top_over_seeds,
        scores.top_over_cuts,
    ):
        assert math.isnan(agreed)
    assert math.isnan(scores.randomised)


@pytest.mark.parametrize("n_segments", [1, 2, 3])
@pytest.mark.parametrize("method", ["designed", "exact"])
def test_few_superpixels_are_explained_too(n_segments: int, method: str, image: np.ndarray) -> None:
    manner = replace(EXACT, method=method, n_segments=n_segments)
    found = examine(bright_corner, image, n_classes=2, manner=manner)
    assert found.explanation.weights.shape == (n_segments,)
    assert math.isnan(found.scores.over_cuts) == (n_segments < 3)


@pytest.mark.parametrize("n_segments", [2, 3, 4])
def test_no_perfect_explanation_by_few_superpixels_is_in_doubt(
    n_segments: int, image: np.ndarray
) -> None:
    def by_row(copies: np.ndarray) -> np.ndarray:
        light = copies.mean(axis=(2, 3)) @ np.linspace(1, 3, SIDE) ** 2 / SIDE / 3000
        return np.stack([light, 1 - light], axis=1)

    manner = replace(EXACT, diagnosis=0, n_segments=n_segments)
    found = examine(by_row, image, n_classes=2, manner=manner)
    assert found.scores.score == pytest.approx(1)
    assert not [said for said in found.doubts if "random orders" in said]
    assert math.isnan(found.scores.share_as_good) == (n_segments < 4)


def test_what_cannot_be_explained_is_refused_in_one_sentence(image: np.ndarray) -> None:
    def refused(classify: Callable[..., np.ndarray], manner: Manner, match: str) -> None:
        with pytest.raises((ConfigError, DataError), match=match):
            examine(classify, image, n_classes=2, manner=manner)

    refused(beside_random, Manner(diagnosis=2), r"`diagnosis` must lie in \[0, 2\)")
    refused(lambda copies: bright_corner(copies) * math.nan, Manner(), "got NaN or infinity")
    refused(bright_corner, Manner(method="exact", n_segments=20), "All masks must be of 1 to 12")
