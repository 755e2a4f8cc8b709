import numpy as np
import pytest
from scipy.special import logsumexp

from moulage.errors import ConfigError, ShapeError
from moulage.evaluation.decisions import decide, log_sum_exp, softmax

PRIOR = np.array([0.7, 0.2, 0.1])


def test_log_sum_exp_is_scipys_however_large_the_logits() -> None:
    logits = 1000 * np.random.default_rng(42).normal(size=(50, 7))
    theirs = logsumexp(logits, axis=1, keepdims=True)
    np.testing.assert_allclose(log_sum_exp(logits), theirs, rtol=1e-6)


def test_natural_takes_the_largest_and_the_first_of_equals() -> None:
    logits = np.array([[0.0, 2.0, 1.0], [1.0, 1.0, 0.0], [0.0, 3.0, 3.0]])
    assert decide(logits=logits, prior=PRIOR, rule="natural").tolist() == [1, 0, 1]


def test_balanced_takes_what_the_image_says_beyond_the_prior() -> None:
    logits = np.log([[0.7, 0.21, 0.09], [0.6, 0.1, 0.3], [0.9, 0.05, 0.05]])
    assert decide(logits=logits, prior=PRIOR, rule="balanced").tolist() == [1, 2, 0]


def test_balanced_equals_natural_under_a_uniform_prior() -> None:
    logits = np.random.default_rng(42).normal(size=(100, 4))
    rules = [decide(logits=logits, prior=np.full(4, 0.25), rule=r) for r in ("natural", "balanced")]
    assert rules[0].tolist() == rules[1].tolist()


def test_balanced_never_decides_what_training_never_saw() -> None:
    logits = np.array([[0.0, 0.0, 99.0]])
    prior = np.array([0.5, 0.5, 0.0])
    assert decide(logits=logits, prior=prior, rule="balanced").tolist() == [0]


def test_equal_costs_are_the_natural_rule() -> None:
    logits = np.random.default_rng(42).normal(size=(200, 3))
    by_cost = decide(logits=logits, prior=PRIOR, rule="cost", costs=1 - np.eye(3))
    assert by_cost.tolist() == logits.argmax(axis=1).tolist()


def test_a_dear_miss_is_feared_by_pencil() -> None:
    """P(melanoma) 0.2, a miss costs 10, a false alarm 1: 0.8 < 2, so melanoma."""
    costs = np.array([[0.0, 1.0], [10.0, 0.0]])  # rows truth (nv, mel), columns decision
    logits = np.log([[0.8, 0.2], [0.95, 0.05]])
    prior = np.array([0.5, 0.5])
    assert decide(logits=logits, prior=prior, rule="cost", costs=costs).tolist() == [1, 0]


def test_softmax_survives_large_logits() -> None:
    np.testing.assert_allclose(softmax(np.array([[1e4, 1e4, -1e4]])), [[0.5, 0.5, 0.0]])


def test_what_cannot_decide_is_refused() -> None:
    logits = np.zeros((2, 3))
    with pytest.raises(ConfigError, match="must be one of natural, balanced, cost; got 'best'"):
        decide(logits=logits, prior=PRIOR, rule="best")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"K = 2; got \(2, 3\)"):
        decide(logits=logits, prior=PRIOR[:2], rule="natural")
    with pytest.raises(ShapeError, match=r"\(K, K\) = \(3, 3\).*; got None"):
        decide(logits=logits, prior=PRIOR, rule="cost")
    with pytest.raises(ShapeError, match="a share above 0"):
        decide(logits=logits, prior=np.zeros(3), rule="balanced")
