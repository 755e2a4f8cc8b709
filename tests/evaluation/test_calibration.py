import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from moulage.errors import ShapeError
from moulage.evaluation.calibration import COLDEST, HOTTEST, fit_temperature
from moulage.evaluation.decisions import softmax
from moulage.evaluation.losses import log_losses


def drawn(seed: int, temperature: float, n_images: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n_images, 5))
    cumulative = softmax(logits / temperature).cumsum(axis=1)
    labels = (rng.random((n_images, 1)) > cumulative).sum(axis=1)
    return np.minimum(labels, 4), logits


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    labels, logits = drawn(42, temperature)
    assert fit_temperature(labels=labels, logits=logits) == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_a_search_by_scipy_finds_the_same(seed: int) -> None:
    labels, logits = drawn(seed, 1.7, n_images=100)

    def loss(log_temperature: float) -> float:
        return float(log_losses(labels=labels, logits=logits / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10})
    assert fit_temperature(labels=labels, logits=logits) == pytest.approx(np.exp(found.x), rel=1e-6)


def test_scaling_logits_scales_the_temperature() -> None:
    labels, logits = drawn(1, 1.0, n_images=300)
    plain = fit_temperature(labels=labels, logits=logits)
    assert fit_temperature(labels=labels, logits=3 * logits) == pytest.approx(3 * plain)
    shifted = logits + np.arange(300)[:, None]
    assert fit_temperature(labels=labels, logits=shifted) == pytest.approx(plain)


def test_degenerate_logits_end_at_an_end_of_the_range() -> None:
    labels = np.array([0, 1, 2])
    assert fit_temperature(labels=labels, logits=-np.eye(3)) == HOTTEST
    assert fit_temperature(labels=labels, logits=np.ones((3, 3))) == 1
    faint = 1e-3 * np.array([[3.0, 1.0], [3.0, 1.0], [1.0, 2.0]])
    assert fit_temperature(labels=np.array([0, 0, 0]), logits=faint) == COLDEST


def test_images_that_are_all_right_say_nothing_of_how_sure_to_be() -> None:
    """Twenty that are right would else make a classifier of 93 % twenty times as sure."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(20, 3))
    assert fit_temperature(labels=logits.argmax(axis=1), logits=logits) == 1


def test_no_images_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"N = 0 above 0; got \(0, 3\)"):
        fit_temperature(labels=np.zeros(0, int), logits=np.zeros((0, 3)))
