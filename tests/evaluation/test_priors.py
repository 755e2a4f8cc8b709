import numpy as np
import pytest

from moulage.errors import ConfigError, ShapeError
from moulage.evaluation.decisions import softmax
from moulage.evaluation.priors import class_prior, move_prior


def test_a_prior_counts_and_keeps_the_absent_at_zero() -> None:
    assert class_prior(np.array([1, 1, 3, 1]), 5).tolist() == [0, 0.75, 0, 0.25, 0]


def test_moving_the_prior_is_bayes_rule() -> None:
    rng = np.random.default_rng(42)
    trained, natural = rng.dirichlet(np.ones(4), size=2)
    likelihood = rng.random((6, 4))
    posterior = likelihood * trained / (likelihood * trained).sum(axis=1, keepdims=True)
    moved = softmax(move_prior(np.log(posterior), trained=trained, natural=natural))
    expected = likelihood * natural / (likelihood * natural).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(moved, expected, rtol=1e-12)


def test_there_and_back_is_where_it_was() -> None:
    logits = np.random.default_rng(42).normal(size=(5, 3))
    trained, natural = np.array([0.2, 0.3, 0.5]), np.array([0.9, 0.05, 0.05])
    there = move_prior(logits, trained=trained, natural=natural)
    back = move_prior(there, trained=natural, natural=trained)
    np.testing.assert_allclose(back, logits, atol=1e-12)


def test_a_prior_need_not_sum_to_one() -> None:
    logits, natural = np.zeros((1, 2)), np.array([0.3, 0.7])
    moved = move_prior(logits, trained=np.array([5.0, 5.0]), natural=natural)
    np.testing.assert_allclose(softmax(moved), [[0.3, 0.7]], rtol=1e-12)


def test_an_absent_diagnosis_stays_finite() -> None:
    logits = np.zeros((1, 3))
    natural = np.array([0.5, 0.5, 0.0])
    unmoved = move_prior(logits, trained=natural, natural=natural)
    assert unmoved.tolist() == [[0, 0, 0]]
    moved = move_prior(logits, trained=np.full(3, 1 / 3), natural=natural)
    assert np.isfinite(moved).all()
    assert softmax(moved)[0, 2] < 1e-8


def test_what_cannot_be_put_right_is_refused() -> None:
    logits = np.zeros((1, 2))
    with pytest.raises(ConfigError, match="got 0 for diagnosis 1"):
        move_prior(logits, trained=np.array([1.0, 0.0]), natural=np.array([0.5, 0.5]))
    with pytest.raises(ShapeError, match="must be 2 finite numbers"):
        move_prior(logits, trained=np.array([1.0, -1.0]), natural=np.array([0.5, 0.5]))
    with pytest.raises(ShapeError, match="must be 2 finite numbers"):
        move_prior(logits, trained=np.zeros(2), natural=np.array([0.5, 0.5]))
    with pytest.raises(ShapeError, match=r"integers in \[0, 2\); got 0 from"):
        class_prior(np.array([], dtype=np.int64), 2)


def test_a_trained_prior_below_a_billionth_is_taken_back_in_full() -> None:
    trained, natural = np.array([1.0, 1e-12, 1e-15]), np.array([0.2, 0.3, 0.5])
    moved = move_prior(np.log(trained)[None], trained=trained, natural=natural)
    np.testing.assert_allclose(softmax(moved), [[0.2, 0.3, 0.5]], rtol=1e-12)
