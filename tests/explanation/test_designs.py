import numpy as np
import pytest

from moulage.errors import ConfigError
from moulage.explanation.designs import designed_masks, population
from moulage.explanation.masks import all_masks, proximities, row_of
from moulage.explanation.surrogate import fit_surrogate


@pytest.mark.parametrize("n_segments", [1, 5, 12])
def test_the_population_of_few_superpixels_is_all_masks_under_the_kernel(n_segments: int) -> None:
    whole = population(n_segments)
    assert np.array_equal(whole.masks, all_masks(n_segments))
    np.testing.assert_allclose(whole.weights, proximities(whole.masks))


def test_the_projector_is_the_weighted_fit() -> None:
    whole = population(6)
    values = np.random.default_rng(42).normal(size=64)
    fitted = fit_surrogate(whole.masks, values=values, proximities=whole.weights)
    np.testing.assert_allclose(whole.projector() @ values, fitted.weights, atol=1e-12)


def test_the_population_of_many_superpixels_has_the_sizes_of_all_masks_under_the_kernel() -> None:
    n_segments = 13
    whole = population(n_segments)
    everything = (np.arange(2**n_segments)[:, None] >> np.arange(n_segments)) & 1 == 1
    expected = np.bincount(everything.sum(axis=1), weights=proximities(everything))
    found = np.bincount(whole.masks.sum(axis=1), minlength=n_segments + 1)
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), atol=5e-4)
    assert whole.masks[-1].all()


@pytest.mark.parametrize(("n_segments", "n_masks"), [(10, 32), (10, 128), (7, 60), (30, 96)])
def test_a_design_repeats_no_mask_and_begins_with_the_whole_image(
    n_segments: int, n_masks: int
) -> None:
    masks = designed_masks(n_segments, n_masks)
    assert masks.shape == (n_masks, n_segments)
    assert masks[0].all()
    assert len(np.unique(masks, axis=0)) == n_masks


def test_a_longer_design_begins_as_a_shorter_one() -> None:
    assert np.array_equal(designed_masks(9, 100)[:40], designed_masks(9, 40))


def test_more_evaluations_than_masks_ask_every_mask_once() -> None:
    masks = designed_masks(4, 128)
    assert sorted(row_of(masks).tolist()) == list(range(16))


def test_a_design_treats_superpixels_nearly_alike() -> None:
    shares = designed_masks(10, 128).mean(axis=0)
    assert np.ptp(shares) < 0.1


def test_too_few_evaluations_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"at least S \+ 2 = 12; got 11"):
        designed_masks(10, 11)
