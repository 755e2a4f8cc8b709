import math

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp

from moulage.errors import ShapeError
from moulage.evaluation.conformal import conformal_quantile
from moulage.evaluation.unfamiliarity import (
    UNFAMILIAR,
    distances,
    energies,
    fit_familiarity,
    strangeness,
)


def drawn(seed: int, n: int = 400, d: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) @ np.random.default_rng(0).normal(size=(d, d))).astype("f4")


def test_full_rank_is_scipys_mahalanobis() -> None:
    features = drawn(1)
    ours = distances(fit_familiarity(features, rank=12), features)
    inverse = np.linalg.inv(np.cov(features.astype(float), rowvar=False))
    middle = features.astype(float).mean(axis=0)
    theirs = [mahalanobis(row, middle, inverse) ** 2 / 12 for row in features.astype(float)]
    assert ours == pytest.approx(np.array(theirs), rel=1e-3)  # kept in float32


def test_what_leaves_the_plane_of_training_is_strange() -> None:
    rng = np.random.default_rng(2)
    plane = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 30)) + 0.05 * rng.normal(size=(500, 30))
    known = fit_familiarity(plane[:300].astype("f4"), rank=2).measured_on(plane[300:].astype("f4"))
    inside, outside = plane[300:].astype("f4"), (plane[300:] + 0.3).astype("f4")
    assert strangeness(known, inside).mean() == pytest.approx(0.5, abs=0.02)
    assert (strangeness(known, outside) == 1).all()
    assert distances(known, inside).mean() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("n_known", [1, 20, 98, 99, 100, 150, 250, 1000])
def test_of_images_like_the_known_ones_one_in_a_hundred_is_unfamiliar_at_most(n_known: int) -> None:
    """Drawn alike, a new image has any rank as often: 1 − ⌈0.99 (n + 1)⌉ / (n + 1)."""
    fitted, rng, called = fit_familiarity(drawn(8, d=1), rank=1), np.random.default_rng(42), []
    for _ in range(400):
        known = fitted.measured_on(rng.normal(size=(n_known, 1)).astype("f4"))
        new = rng.normal(size=(250, 1)).astype("f4")
        called.append((strangeness(known, new) >= UNFAMILIAR).mean())
    expected = 1 - min(math.ceil(0.99 * (n_known + 1) - 1e-9) / (n_known + 1), 1)
    assert np.mean(called) == pytest.approx(expected, abs=4 * np.std(called) / 20)
    assert np.mean(called) < 0.01 + 4 * np.std(called) / 20


@pytest.mark.parametrize("n_known", [5, 99, 150, 199, 1000])
def test_unfamiliar_begins_at_the_conformal_quantile(n_known: int) -> None:
    fitted, features = fit_familiarity(drawn(8)), drawn(9, n=n_known)
    known = fitted.measured_on(features)
    assert known.known[198] == conformal_quantile(distances(fitted, features), alpha=0.01)
    far = strangeness(known, features + 1e3)
    assert (far >= UNFAMILIAR).all() == (n_known >= 99)
    assert (far == 1).all() == (n_known >= 199)
    assert (strangeness(known, features) <= far).all()


def test_turning_the_axes_changes_nothing() -> None:
    features = drawn(3)
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(12, 12)))
    turned = (features @ turn).astype("f4")
    plain = distances(fit_familiarity(features, rank=5), features)
    assert distances(fit_familiarity(turned, rank=5), turned) == pytest.approx(plain, rel=1e-3)


def test_energy_is_scipys_logsumexp() -> None:
    logits = np.random.default_rng(5).normal(size=(20, 7)) * 50
    theirs = -2 * logsumexp(logits / 2, axis=1)
    assert energies(logits, temperature=2.0) == pytest.approx(theirs)


def test_limits() -> None:
    few = fit_familiarity(drawn(6, n=3), rank=64)
    assert few.axes.shape == (12, 2)
    assert np.isfinite(distances(few, drawn(7, n=5))).all()
    assert math.isnan(strangeness(few, drawn(7, n=5))[0])
    with pytest.raises(ShapeError, match=r"with N > 1; got \(1, 12\)"):
        fit_familiarity(drawn(6, n=1))
    with pytest.raises(ShapeError, match=r"with D = 12; got \(5, 4\)"):
        distances(few, np.zeros((5, 4), dtype="f4"))
