import numpy as np
import pytest
from sklearn.decomposition import PCA

from moulage.errors import ConfigError
from moulage.explanation.maps import layout, standardised


def clusters(n_each: int = 15) -> np.ndarray:
    rng = np.random.default_rng(42)
    return np.concatenate([rng.normal(centre, 0.3, (n_each, 6)) for centre in (-3, 0, 3)])


def test_components_are_those_of_scikit_learn_up_to_sign() -> None:
    activations = clusters()
    found = layout(activations, rng=np.random.default_rng(0))
    expected = PCA(2).fit_transform(standardised(activations))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)


def test_tsne_keeps_clusters_together_and_repeats_itself() -> None:
    first, second = (
        layout(clusters(), method="tsne", rng=np.random.default_rng(3)) for _ in range(2)
    )
    assert np.array_equal(first, second)
    centres = first.reshape(3, 15, 2).mean(axis=1)
    away = np.linalg.norm(first[:, None] - centres, axis=2)
    assert np.array_equal(away.argmin(axis=1), np.repeat(np.arange(3), 15))


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("shape", [(1, 4), (3, 1), (8, 1), (8, 3)])
def test_few_images_or_units_have_a_place_too(method: str, shape: tuple[int, int]) -> None:
    activations = np.random.default_rng(42).normal(size=shape)
    places = layout(activations, method=method, rng=np.random.default_rng(0))
    assert places.shape == (shape[0], 2)
    assert np.isfinite(places).all()


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_even_activations_lie_in_one_place(method: str) -> None:
    places = layout(np.ones((9, 4)), method=method, rng=np.random.default_rng(0))
    np.testing.assert_allclose(places, 0, atol=1e-9)


def test_a_dead_unit_stays_nought_and_scales_do_not_count() -> None:
    activations = np.array([[1.0, 7.0, 100.0], [2.0, 7.0, 200.0], [3.0, 7.0, 300.0]])
    found = standardised(activations)
    assert found[:, 1].tolist() == [0, 0, 0]
    np.testing.assert_allclose(found[:, 0], found[:, 2])
    other = standardised(np.array([[2.0, 9.0, 0.0]]), reference=activations)
    assert other[0, :2].tolist() == [0, 0]


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be pca or tsne; got 'umap'"):
        layout(np.ones((3, 3)), method="umap", rng=np.random.default_rng(0))  # type: ignore[arg-type]
