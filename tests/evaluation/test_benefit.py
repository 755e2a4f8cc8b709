import numpy as np
import pytest

from moulage.errors import ConfigError
from moulage.evaluation.benefit import cost_table, mean_cost, net_benefit


def benefit(positives: object, probabilities: object, threshold: float):
    n = len(np.asarray(positives))
    (found,) = net_benefit(
        positives=np.asarray(positives, dtype=bool),
        probabilities=np.asarray(probabilities, dtype=float),
        lesion_ids=np.arange(n).astype(str),
        thresholds=[threshold],
    )
    return found


def test_by_pencil() -> None:
    found = benefit([1, 1, 0, 0, 0], [0.9, 0.1, 0.5, 0.2, 0.1], 0.2)
    assert found.classifier.value == pytest.approx(1 / 5 - 2 / 5 * 0.25)
    assert found.treat_all == pytest.approx(2 / 5 - 3 / 5 * 0.25)
    assert found.n_called == 3


def test_a_perfect_classifier_is_worth_the_prevalence_and_certainty_treats_all() -> None:
    positives = np.arange(50) % 5 == 0
    assert benefit(positives, positives, 0.3).classifier.value == pytest.approx(0.2)
    everyone = benefit(positives, np.ones(50), 0.3)
    assert everyone.classifier.value == pytest.approx(everyone.treat_all)
    assert benefit(positives, np.zeros(50), 0.3).classifier.value == 0


def test_costs_that_are_not_said_are_one() -> None:
    table = cost_table({"mel": {"nv": 20, "bkl": 10}, "nv": {"mel": 2}}, ("mel", "nv", "bkl"))
    assert table.tolist() == [[0, 20, 10], [2, 0, 1], [1, 1, 0]]
    with pytest.raises(ConfigError, match=r"got 'mell'\. Did you mean 'mel'\?"):
        cost_table({"mell": {"nv": 2}}, ("mel", "nv"))
    with pytest.raises(ConfigError, match="A threshold must lie in"):
        benefit([1], [1], 1.0)


def test_no_bound_lies_beyond_the_highest_cost(make_predictions) -> None:
    logits = np.tile(np.float32([0, 1]), (4, 1))
    found = make_predictions(labels=np.array([0, 0, 1, 1]), logits=logits)
    costs = cost_table({"a": {"b": 20}}, found.diagnoses)
    cost = mean_cost(found, costs=costs, rule="natural")
    assert cost.value == 10
    assert 0 < cost.low < 10 < cost.high < 20


def test_the_cost_rule_costs_least_where_probabilities_are_right(make_predictions) -> None:
    rng = np.random.default_rng(42)
    logits = rng.normal(size=(4000, 3)).astype(np.float32)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((4000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=2)
    found = make_predictions(labels=labels, logits=logits)
    costs = cost_table({"a": {"b": 20, "c": 20}}, found.diagnoses)
    paid = {rule: mean_cost(found, costs=costs, rule=rule) for rule in ("natural", "cost")}
    assert paid["cost"].high < paid["natural"].low
    even = mean_cost(found, costs=cost_table({}, found.diagnoses), rule="cost")
    assert even.value == pytest.approx(float((logits.argmax(axis=1) != labels).mean()))
