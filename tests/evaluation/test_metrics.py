"""Every metric against a stranger: scikit-learn, or a naive loop where it has no such thing."""

import json
import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as stranger

from moulage.errors import ShapeError
from moulage.evaluation.decisions import Rule
from moulage.evaluation.metrics import (
    OVERALL,
    as_json,
    decide_all,
    metric_names,
    score,
    summary,
    weighted_metrics,
)
from moulage.predictions import Predictions

Case = Callable[[int], Predictions]
TOLERANCE = {"rel": 1e-9, "abs": 1e-9, "nan_ok": True}
CASES = range(200)
RULES: tuple[Rule, Rule] = ("natural", "balanced")


def one_vs_rest(predictions: Predictions, measure: Callable[..., float]) -> list[float]:
    """scikit-learn's number a diagnosis, NaN where all or no images have it."""
    values = []
    for k in range(len(predictions.diagnoses)):
        positives = predictions.labels == k
        is_defined = positives.any() and (measure is not stranger.roc_auc_score or ~positives.all())
        scores = predictions.probabilities()[:, k]
        values.append(float(measure(positives, scores)) if is_defined else math.nan)
    return values


def mean_of_defined(values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


@pytest.mark.parametrize("number", CASES)
def test_decided_metrics_equal_scikit_learn(random_case: Case, number: int) -> None:
    predictions, rule = random_case(number), RULES[number % 2]
    truth, decided = predictions.labels, decide_all(predictions, rule=rule)
    values = summary(predictions, rule=rule).values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": stranger.accuracy_score(truth, decided),
            "balanced_accuracy": stranger.balanced_accuracy_score(truth, decided),
            "cohen_kappa": stranger.cohen_kappa_score(truth, decided),
            "matthews": stranger.matthews_corrcoef(truth, decided),
            "macro_f1": stranger.f1_score(
                truth, decided, labels=np.unique(truth), average="macro", zero_division=0
            ),
        }
    if len(np.unique(truth)) == 1:
        expected["matthews"] = math.nan
        if (truth == decided).all():
            expected["cohen_kappa"] = math.nan
    assert {name: values[name] for name in expected} == pytest.approx(expected, **TOLERANCE)


@pytest.mark.parametrize("number", CASES)
def test_metrics_a_diagnosis_equal_scikit_learn(random_case: Case, number: int) -> None:
    predictions = random_case(number)
    truth, decided = predictions.labels, decide_all(predictions, rule="natural")
    result = summary(predictions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, support = stranger.precision_recall_fscore_support(
            truth, decided, labels=range(len(predictions.diagnoses)), zero_division=0
        )
    for k, code in enumerate(predictions.diagnoses):
        assert result.support[code] == support[k]
        never_decided = not (decided == k).any()
        expected = {
            f"recall.{code}": recall[k] if support[k] else math.nan,
            f"precision.{code}": precision[k] if support[k] and not never_decided else math.nan,
            f"f1.{code}": f1[k] if support[k] else math.nan,
        }
        assert {name: result.values[name] for name in expected} == pytest.approx(
            expected, **TOLERANCE
        )


@pytest.mark.parametrize("number", CASES)
def test_ranks_and_losses_equal_scikit_learn(random_case: Case, number: int) -> None:
    predictions = random_case(number)
    values = summary(predictions).values
    areas = one_vs_rest(predictions, stranger.roc_auc_score)
    precisions = one_vs_rest(predictions, stranger.average_precision_score)
    probabilities = predictions.probabilities()
    n_classes = len(predictions.diagnoses)
    expected = {f"auroc.{code}": areas[k] for k, code in enumerate(predictions.diagnoses)}
    expected |= {
        f"average_precision.{code}": precisions[k] for k, code in enumerate(predictions.diagnoses)
    }
    expected |= {
        "macro_auroc": mean_of_defined(areas),
        "macro_average_precision": mean_of_defined(precisions),
        "log_loss": stranger.log_loss(
            predictions.labels, probabilities, labels=list(range(n_classes))
        ),
        "brier": float(
            ((probabilities - np.eye(n_classes)[predictions.labels]) ** 2).sum(axis=1).mean()
        ),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected, **TOLERANCE)


@pytest.mark.parametrize("number", range(0, 200, 4))
def test_whole_weights_are_repeated_images(random_case: Case, number: int) -> None:
    predictions = random_case(number)
    weights = np.random.default_rng(number).integers(0, 4, size=(len(predictions), 3))
    together = weighted_metrics(score(predictions), weights=weights.astype(np.float64))
    for column, counts in enumerate(weights.T):
        if not counts.sum():
            continue
        repeated = predictions.take(np.repeat(np.arange(len(predictions)), counts))
        expected = summary(repeated).values
        measured = {name: float(values[column]) for name, values in together.items()}
        assert measured == pytest.approx(expected, **TOLERANCE)


@pytest.mark.parametrize("number", range(0, 200, 20))
def test_no_metric_depends_on_the_order_of_rows(random_case: Case, number: int) -> None:
    predictions = random_case(number)
    order = np.random.default_rng(number).permutation(len(predictions))
    shuffled = summary(predictions.take(order)).values
    assert shuffled == pytest.approx(dict(summary(predictions).values), **TOLERANCE)


def test_a_perfect_classifier_has_ones(make_predictions: Callable[..., Predictions]) -> None:
    labels = [0, 1, 2, 2]
    values = summary(make_predictions(labels=labels, logits=50 * np.eye(3)[labels])).values
    perfect = [name for name in values if name not in ("log_loss", "brier")]
    assert [values[name] for name in perfect] == [1.0] * len(perfect)
    assert values["log_loss"] == pytest.approx(0, abs=1e-12)


def test_an_absent_diagnosis_is_null_never_zero(
    make_predictions: Callable[..., Predictions],
) -> None:
    predictions = make_predictions(labels=[0, 1, 1], logits=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    written = as_json(summary(predictions, rule="balanced"))
    absent = written["diagnoses"]["c"]  # type: ignore[index]
    assert absent == {
        "support": 0,
        "recall": None,
        "precision": None,
        "f1": None,
        "auroc": None,
        "average_precision": None,
    }
    assert written["rule"] == "balanced"
    assert written["balanced_accuracy"] == 0.75
    json.dumps(written, allow_nan=False)


def test_no_images_have_no_metrics(make_predictions: Callable[..., Predictions]) -> None:
    result = summary(make_predictions(labels=np.zeros(0), logits=np.zeros((0, 3))))
    assert all(math.isnan(value) for value in result.values.values())
    assert result.confusion.tolist() == np.zeros((3, 3)).tolist()


def test_names_come_in_one_order(random_case: Case) -> None:
    predictions = random_case(1)
    values = summary(predictions).values
    assert tuple(values) == metric_names(predictions.diagnoses)
    assert tuple(values)[: len(OVERALL)] == OVERALL


def test_a_label_outside_the_diagnoses_is_refused(
    make_predictions: Callable[..., Predictions],
) -> None:
    with pytest.raises(ShapeError, match=r"must lie in \[0, 3\); got -1 to 1"):
        summary(make_predictions(labels=[-1, 1], logits=np.zeros((2, 3))))
