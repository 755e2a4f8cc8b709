from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from moulage.evaluation.metrics import score, summary
from moulage.evaluation.permutation import permutation_p_values, permuted_differences
from moulage.evaluation.resampling import Lesions
from moulage.predictions import Predictions

Maker = Callable[..., Predictions]


def two_classifiers(
    make: Maker, seed: int, n_images: int = 24, n_lesions: int = 8
) -> tuple[Predictions, Predictions]:
    rng = np.random.default_rng(seed)
    lesion_ids = np.arange(n_images) % n_lesions
    labels = (np.arange(n_lesions) % 3)[lesion_ids]
    one, other = (
        make(
            labels=labels,
            logits=rng.normal(size=(n_images, 3)) + signal * np.eye(3)[labels],
            lesion_ids=lesion_ids,
        )
        for signal in (1.0, 0.2)
    )
    return one, other


@pytest.mark.parametrize("seed", range(5))
def test_swapping_photographs_by_hand_gives_the_same(make_predictions: Maker, seed: int) -> None:
    one, other = two_classifiers(make_predictions, seed)
    lesions = Lesions.of((one,))
    swaps = np.random.default_rng(seed).integers(0, 2, size=(8, 6)).astype(np.float64)
    found = permuted_differences((score(one),), (score(other),), lesions=lesions, swaps=swaps)
    for column in range(6):
        is_swapped = swaps[lesions.of_images[0], column] == 1
        ours, theirs = (
            summary(replace(a, logits=np.where(is_swapped[:, None], b.logits, a.logits))).values
            for a, b in ((one, other), (other, one))
        )
        for name in ("accuracy", "balanced_accuracy", "log_loss", "brier", "macro_f1"):
            expected = ours[name] - theirs[name]
            assert found[name][column] == pytest.approx(expected, abs=1e-9)


def test_no_swap_is_the_observed_difference(make_predictions: Maker) -> None:
    one, other = two_classifiers(make_predictions, 42)
    found = permuted_differences(
        (score(one),), (score(other),), lesions=Lesions.of((one,)), swaps=np.zeros((8, 1))
    )
    ours, theirs = summary(one).values, summary(other).values
    for name, difference in found.items():
        assert difference[0] == pytest.approx(ours[name] - theirs[name], abs=1e-9)


def test_the_scale_of_one_classifier_does_not_change_its_ranks(make_predictions: Maker) -> None:
    one, other = two_classifiers(make_predictions, 42)
    swaps = np.random.default_rng(0).integers(0, 2, size=(8, 20)).astype(np.float64)
    rows = np.flatnonzero(one.labels < 2)
    ours, theirs = (
        replace(
            run.take(rows),
            logits=run.logits[rows, :2],
            diagnoses=("a", "b"),
            prior=np.full(2, 0.5),
        )
        for run in (one, other)
    )
    steep = replace(theirs, temperature=0.5)
    lesions = Lesions.of((ours,))
    swaps = swaps[: lesions.n_lesions]
    flat, bent = (
        permuted_differences((score(ours),), (score(run),), lesions=lesions, swaps=swaps)
        for run in (theirs, steep)
    )
    np.testing.assert_allclose(flat["macro_auroc"], bent["macro_auroc"], atol=1e-12)


def test_all_swaps_of_few_lesions_give_the_exact_p_value(make_predictions: Maker) -> None:
    """Six lesions have 64 swaps; the sampled p value must be near the counted one."""
    one, other = two_classifiers(make_predictions, 3, n_images=12, n_lesions=6)
    lesions, ours, theirs = Lesions.of((one,)), (score(one),), (score(other),)
    every = np.array(list(product([0.0, 1.0], repeat=6))).T
    table = permuted_differences(ours, theirs, lesions=lesions, swaps=every)["accuracy"]
    exact = float((np.abs(table) >= abs(table[0]) - 1e-12).mean())
    sampled = permutation_p_values(
        ours, theirs, lesions=lesions, n_permutations=4000, rng=np.random.default_rng(0)
    )
    assert sampled["accuracy"] == pytest.approx(exact, abs=0.03)


def test_a_classifier_does_not_differ_from_itself(make_predictions: Maker) -> None:
    one, _ = two_classifiers(make_predictions, 42)
    p_values = permutation_p_values(
        (score(one),),
        (score(one),),
        lesions=Lesions.of((one,)),
        n_permutations=50,
        rng=np.random.default_rng(0),
    )
    assert set(p_values.values()) == {1.0}


def test_p_is_never_zero_and_not_defined_stays_so(make_predictions: Maker) -> None:
    labels = np.arange(60) % 2
    good = make_predictions(labels=labels, logits=9 * np.eye(3)[labels])
    bad = make_predictions(labels=labels, logits=-9 * np.eye(3)[labels])
    p_values = permutation_p_values(
        (score(good),),
        (score(bad),),
        lesions=Lesions.of((good,)),
        n_permutations=99,
        rng=np.random.default_rng(0),
    )
    assert p_values["accuracy"] == 0.01
    assert np.isnan(p_values["recall.c"])
