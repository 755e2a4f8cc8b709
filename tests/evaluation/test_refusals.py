"""Arguments that would give a wrong number, or none, are refused with a cure."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from moulage.errors import ConfigError, MoulageError, ShapeError
from moulage.evaluation.calibration import fit_temperature
from moulage.evaluation.clinics import stated_prior
from moulage.evaluation.comparison import Contender, compare
from moulage.evaluation.conformal import fit_conformal
from moulage.evaluation.exact import delong
from moulage.evaluation.intervals import intervals
from moulage.evaluation.metrics import summary
from moulage.evaluation.reliability import per_diagnosis, top_label
from moulage.evaluation.subgroups import subgroups
from moulage.predictions import Predictions

RNG = np.random.default_rng(0)
NAN = float("nan")


@pytest.fixture
def found(random_case: Callable[[int], Predictions]) -> Predictions:
    return random_case(1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda p: summary(p.logits), r"`predictions` must be a `Predictions`; got ndarray\. Read"),
        (
            lambda p: summary(p, rule="cost", costs=np.full((len(p.diagnoses),) * 2, NAN)),
            "`costs` must be finite; got",
        ),
        (lambda p: intervals(p, rng=0), r"`rng` must be a numpy generator; got 0\. Pass `np.rand"),
        (lambda p: intervals(p.labels, rng=RNG), "must be a `Predictions`; got ndarray"),
        (lambda p: top_label(p, rng=RNG, n_bins=0), "`n_bins` must be at least 1; got 0"),
        (lambda p: per_diagnosis(p, rng=0), "`rng` must be a numpy generator; got 0"),
        (lambda p: subgroups(p, np.array(["a", "b", "c"])), r"`groups` must .* got \(3,\)"),
    ],
)
def test_predictions_are_asked_in_due_form(
    call: Callable[[Any], object], said: str, found: Predictions
) -> None:
    with pytest.raises(MoulageError, match=said):
        call(found)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"rng": 0}, "`rng` must be a numpy generator"),
        ({"metrics": ["acc"]}, r"`metrics` must be one of accuracy, .*got 'acc'\."),
        ({"metrics": "acuracy"}, r"got 'acuracy'\. Did you mean 'accuracy'\?"),
        ({"n_permutations": 0}, "`n_permutations` must be at least 1; got 0"),
    ],
)
def test_two_are_compared_in_due_form(named: dict[str, Any], said: str, found: Predictions) -> None:
    one = Contender(name="one", runs=(found,))
    with pytest.raises(ConfigError, match=said):
        compare(one, one, **{"rng": RNG, **named})


def test_one_metric_is_a_list_of_one(found: Predictions) -> None:
    one = Contender(name="one", runs=(found,))
    (only,) = compare(one, one, rng=RNG, metrics="accuracy", n_replicates=9, n_permutations=9)
    assert only.metric == "accuracy"


def test_a_method_of_sets_must_be_known(random_case: Callable[[int], Predictions]) -> None:
    with pytest.raises(ConfigError, match=r"`method` must be one of lac, aps; got 'x'\. Choose"):
        fit_conformal(random_case(1), method="x")  # type: ignore[arg-type]


def test_a_stated_share_must_be_a_number() -> None:
    with pytest.raises(ConfigError, match=r"must be finite numbers; got {'a': nan}\. Write mel"):
        stated_prior({"a": NAN}, prior=np.array([0.5, 0.5]), diagnoses=("a", "b"))
    with pytest.raises(ConfigError, match=r"got 'zz'\. Choose one of them"):
        stated_prior({"zz": 0.1}, prior=np.array([0.5, 0.5]), diagnoses=("a", "b"))


def test_areas_are_tested_on_finite_scores() -> None:
    scores = np.array([0.1, NAN, 0.3])
    with pytest.raises(ShapeError, match=r"`second` must be finite; got 1 value"):
        delong(positives=np.array([True, False, True]), first=np.arange(3), second=scores)


def test_a_temperature_is_fitted_on_labels_and_finite_logits() -> None:
    labels, logits = np.array([0, 1, 0]), np.array([[1.0, 2], [0, 1], [2, 3]])
    assert fit_temperature(labels=labels.tolist(), logits=logits.tolist()) == fit_temperature(  # type: ignore[arg-type]
        labels=labels, logits=logits
    )
    for wrong in (-1, 2):
        with pytest.raises(ShapeError, match=r"`labels` must lie in \[0, 2\)"):
            fit_temperature(labels=np.array([0, wrong, 0]), logits=logits)
    with pytest.raises(ShapeError, match=r"`logits` must be finite; got 1 value"):
        fit_temperature(labels=labels, logits=np.where(logits == 3, NAN, logits))
