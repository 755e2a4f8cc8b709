import numpy as np
import pytest

from moulage.errors import ConfigError, ShapeError
from moulage.explanation.masks import (
    all_masks,
    check_masks,
    proximities,
    proximity_of_sizes,
    random_masks,
    row_of,
)


@pytest.mark.parametrize("n_segments", [1, 2, 5, 12])
def test_all_masks_are_there_once_and_in_their_place(n_segments: int) -> None:
    masks = all_masks(n_segments)
    assert masks.shape == (2**n_segments, n_segments)
    assert np.array_equal(row_of(masks), np.arange(2**n_segments))
    assert masks[-1].all()
    assert not masks[0].any()


def test_too_many_superpixels_have_too_many_masks() -> None:
    with pytest.raises(ConfigError, match=r"1 to 12 superpixels; got 13, which have 2\^13"):
        all_masks(13)


def test_random_masks_are_fair_coins_after_the_whole_image() -> None:
    masks = random_masks(10, n_masks=4001, rng=np.random.default_rng(42))
    assert masks[0].all()
    assert masks[1:].mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("n_segments", [1, 3, 10])
def test_proximity_is_the_published_kernel_of_the_cosine_distance(n_segments: int) -> None:
    from sklearn.metrics import pairwise_distances

    masks = all_masks(n_segments)
    numbers = masks.astype(float)
    distances = pairwise_distances(numbers, numbers[-1:], metric="cosine").ravel()
    expected = np.sqrt(np.exp(-(distances**2) / 0.25**2))
    np.testing.assert_allclose(proximities(masks), expected, rtol=1e-9)


def test_proximity_at_its_ends() -> None:
    sizes = proximity_of_sizes(10)
    assert sizes[-1] == 1
    assert sizes[0] == pytest.approx(np.exp(-8))
    assert (np.diff(sizes) > 0).all()


def test_masks_must_be_boolean_rows() -> None:
    with pytest.raises(ShapeError, match="type bool; got"):
        check_masks(np.ones((3, 4)))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"got \(4,\)"):
        check_masks(np.ones(4, bool))
