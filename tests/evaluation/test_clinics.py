import numpy as np
import pytest

from moulage.errors import ConfigError
from moulage.evaluation.clinics import metrics_in, move_to, stated_prior
from moulage.evaluation.decisions import Rule
from moulage.evaluation.metrics import summary
from moulage.evaluation.priors import class_prior

CODES = ("a", "b", "c")


def test_the_others_keep_their_proportions() -> None:
    prior = np.array([0.1, 0.6, 0.3])
    found = stated_prior({"a": 0.4}, prior=prior, diagnoses=CODES)
    assert found == pytest.approx(np.array([0.4, 0.4, 0.2]))
    assert stated_prior({}, prior=prior, diagnoses=CODES) == pytest.approx(prior)
    whole = {"a": 0.5, "b": 0.25, "c": 0.25}
    assert stated_prior(whole, prior=prior, diagnoses=CODES).tolist() == [0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"d": 0.1}, "must name diagnoses"),
        ({"a": -0.1}, "must not be negative"),
        ({"a": 0.7, "b": 0.4}, "sum to 1 at most"),
        ({"a": 0.1, "b": 0.1, "c": 0.1}, "to 1 where every"),
    ],
)
def test_shares_that_are_no_prior_are_refused(shares: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        stated_prior(shares, prior=np.full(3, 1 / 3), diagnoses=CODES)


def test_a_share_without_training_images_is_refused() -> None:
    prior = np.array([0.6, 0.4, 0.0])
    with pytest.raises(ConfigError, match=r"clinic\]` must have training images; got 0.03 for 'c'"):
        stated_prior({"c": 0.03}, prior=prior, diagnoses=CODES)
    found = stated_prior({"c": 0.0, "a": 0.3}, prior=prior, diagnoses=CODES)
    assert found == pytest.approx(np.array([0.3, 0.7, 0.0]))


def tempered(make_predictions):
    """Predictions of 300 images at a temperature of 1.8, where one diagnosis is rare."""
    rng = np.random.default_rng(3)
    labels = rng.choice(3, 300, p=[0.7, 0.25, 0.05])
    logits = rng.normal(size=(300, 3)) + np.eye(3)[labels]
    prior = class_prior(labels, 3)
    return make_predictions(labels=labels, logits=logits, prior=prior, temperature=1.8)


@pytest.mark.parametrize("rule", ["natural", "balanced"])
def test_at_home_nothing_changes(rule: Rule, make_predictions) -> None:
    found = tempered(make_predictions)
    there = metrics_in(found, found.prior, rule=rule)
    assert there == pytest.approx(summary(found, rule=rule).values, rel=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_the_balanced_rule_recalls_as_much_everywhere(seed: int, make_predictions) -> None:
    found = tempered(make_predictions)
    prior = np.random.default_rng(seed).dirichlet(np.ones(3))
    here, there = summary(found, rule="balanced").values, metrics_in(found, prior, rule="balanced")
    for name in ("balanced_accuracy", *(f"recall.{code}" for code in CODES)):
        assert there[name] == pytest.approx(here[name], rel=1e-9), name


def test_elsewhere_is_what_images_drawn_there_would_show(make_predictions) -> None:
    """Reweighted metrics against images really drawn at the other prior, moved likewise."""
    rng = np.random.default_rng(5)

    def drawn(prior: np.ndarray, n: int = 40_000):
        labels = rng.choice(3, n, p=prior)
        logits = np.log(home) + rng.normal(size=(n, 3))
        logits[np.arange(n), labels] += 1.5
        return make_predictions(labels=labels, logits=logits, prior=home)

    home, away = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    ours = metrics_in(drawn(home), away)
    theirs = summary(move_to(drawn(away), away)).values
    for name in ("accuracy", "log_loss", "recall.c", "precision.c", "auroc.a"):
        assert ours[name] == pytest.approx(theirs[name], abs=0.015), name
