import numpy as np
import pytest
from scipy import ndimage

from moulage.casts.planting import Spot, add_ruler
from moulage.errors import ConfigError, ShapeError
from moulage.explanation import superpixels
from moulage.explanation.superpixels import METHODS, grid, segment


def picture(height: int, width: int, seed: int = 42) -> np.ndarray:
    """A dark blot on skin, with some noise."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[:height, :width]
    blot = np.hypot(ys / height - 0.5, xs / width - 0.4) < 0.25
    image = np.where(blot[..., None], (110, 70, 60), (220, 180, 160))
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def assert_cut(segments: np.ndarray, n_segments: int) -> None:
    assert segments.dtype == np.int64
    assert np.array_equal(np.unique(segments), np.arange(n_segments))
    for place in range(n_segments):
        assert ndimage.label(segments == place)[1] == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_segments", [1, 2, 7, 10, 25])
def test_there_are_exactly_as_many_connected_superpixels_as_asked(
    method: str, n_segments: int
) -> None:
    assert_cut(segment(picture(60, 80), n_segments=n_segments, method=method), n_segments)


@pytest.mark.parametrize("method", METHODS)
def test_an_image_of_one_colour_is_cut_evenly(method: str) -> None:
    segments = segment(np.full((48, 64, 3), 128, np.uint8), n_segments=10, method=method)
    assert_cut(segments, 10)
    sizes = np.bincount(segments.ravel())
    assert sizes.max() < 4 * sizes.min()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3), (3, 7)])
def test_every_pixel_can_be_a_superpixel(method: str, shape: tuple[int, int]) -> None:
    n_pixels = shape[0] * shape[1]
    assert_cut(segment(picture(*shape), n_segments=n_pixels, method=method), n_pixels)
    assert_cut(segment(picture(*shape), n_segments=1, method=method), 1)


@pytest.mark.parametrize("method", METHODS)
def test_equal_pixels_give_equal_segments(method: str) -> None:
    first, second = (segment(picture(40, 50), method=method) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("method", METHODS)
def test_a_large_photograph_is_cut_small_and_the_cut_enlarged(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(superpixels, "_LONGEST_PX", 48)
    segments = segment(picture(131, 170), n_segments=8, method=method)
    assert segments.shape == (131, 170)
    assert_cut(segments, 8)


@pytest.mark.slow
def test_a_photograph_of_24_megapixels_is_cut_in_seconds() -> None:
    image = np.kron(picture(100, 150), np.ones((40, 40, 1), np.uint8))
    assert_cut(segment(image), 10)


@pytest.mark.parametrize("method", ["slic", "felzenszwalb"])
def test_superpixels_keep_to_the_edge_of_a_lesion(method: str) -> None:
    image = picture(96, 128)
    lesion = image[..., 0] < 165
    segments = segment(image, method=method)
    inside = np.bincount(segments.ravel(), weights=lesion.ravel()) / np.bincount(segments.ravel())
    assert np.minimum(inside, 1 - inside).max() < 0.12


def test_a_ruler_is_cut_into_few_pieces() -> None:
    spot = Spot(x=20, y=108, width=80, height=6)

    def most_held(seed: int) -> float:
        ruled = add_ruler(picture(128, 128, seed), spot=spot, rng=np.random.default_rng(seed))
        counts = np.bincount(segment(ruled)[spot.covers((128, 128))])
        return float(counts.max() / counts.sum())

    assert np.mean([most_held(seed) for seed in range(12)]) > 0.6


def test_a_thin_strip_is_cut_too() -> None:
    assert_cut(segment(picture(1, 5000), n_segments=10), 10)


@pytest.mark.parametrize("seed", range(40))
def test_a_grid_has_cells_of_nearly_equal_area(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(size) for size in rng.integers(1, 90, 2))
    n_segments = int(rng.integers(1, min(40, height * width) + 1))
    segments = grid(height, width, n_segments)
    assert_cut(segments, n_segments)
    if min(height, width) > 30:
        sizes = np.bincount(segments.ravel())
        assert sizes.max() <= 1.6 * sizes.min()


def test_what_cannot_be_cut_is_refused() -> None:
    image = picture(6, 5)
    with pytest.raises(ConfigError, match=r"`n_segments` must lie in \[1, 30\].*got 31"):
        segment(image, n_segments=31)
    with pytest.raises(ConfigError, match="got 0"):
        segment(image, n_segments=0)
    with pytest.raises(ConfigError, match="`method` must be one of slic, felzenszwalb, grid"):
        segment(image, method="quickshift")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="grey image three channels"):
        segment(image[..., 0])
    with pytest.raises(ShapeError, match="float64"):
        segment(image / 255)
