import math
from fractions import Fraction

import numpy as np
import pytest

from moulage.errors import ConfigError, ShapeError
from moulage.evaluation.conformal import (
    METHODS,
    conformal_quantile,
    fit_conformal,
    least_lesions,
    one_photograph_each,
    scores_of,
    sets_of,
)


@pytest.mark.parametrize("n", range(1, 40))
def test_the_quantile_is_numpys_higher_one(n: int) -> None:
    scores = np.random.default_rng(n).random(n)
    level = math.ceil((n + 1) * 0.9 - 1e-9) / n
    if level > 1:
        assert conformal_quantile(scores, alpha=0.1) == math.inf
        assert n < 9
    else:
        theirs = np.quantile(scores, level, method="inverted_cdf")
        assert conformal_quantile(scores, alpha=0.1) == theirs


@pytest.mark.parametrize(
    ("alpha", "n", "rank"), [("0.18", 149, 123), ("0.7", 9, 3), ("0.1", 9, 9), ("0.05", 19, 19)]
)
def test_the_rank_of_a_whole_number_is_that_number(alpha: str, n: int, rank: int) -> None:
    """150 · 0.82 is 123, though in floating point it ends a bit beyond."""
    assert math.ceil((n + 1) * (1 - Fraction(alpha))) == rank
    assert conformal_quantile(np.arange(1.0, n + 1), alpha=float(alpha)) == rank


def test_scores_by_pencil() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3]])
    assert scores_of(probabilities, method="lac") == pytest.approx(np.array([[0.8, 0, 0.7]]))
    assert scores_of(probabilities, method="aps") == pytest.approx(np.array([[0.8, 0, 0.5]]))


@pytest.mark.parametrize("method", METHODS)
def test_sets_are_never_empty_and_grow_with_the_level(method, random_case) -> None:
    for number in range(1, 40):
        case = random_case(number)
        each = one_photograph_each(case, rng=np.random.default_rng(number))
        assert len(each) == len(np.unique(case.lesion_ids))
        sizes = []
        for alpha in (0.4, 0.2, 0.05):
            fitted = fit_conformal(each, method=method, alpha=alpha)
            members = sets_of(fitted, case.probabilities(), is_by_diagnosis=number % 2 == 0)
            assert members[np.arange(len(case)), case.probabilities().argmax(axis=1)].all()
            sizes.append(members.sum(axis=1))
        assert (sizes[0] <= sizes[1]).all()
        assert (sizes[1] <= sizes[2]).all()


def test_a_diagnosis_with_eight_lesions_is_always_in_the_set(make_predictions) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [50, 8])
    found = make_predictions(labels=labels, logits=rng.normal(size=(58, 2)) + 9 * (labels[:, None]))
    fitted = fit_conformal(found)
    assert fitted.always == ("b",)
    assert fitted.n_lesions == {"a": 50, "b": 8}
    certain = np.array([[1.0, 0.0]])
    assert sets_of(fitted, certain, is_by_diagnosis=True).tolist() == [[True, True]]
    assert sets_of(fitted, certain, is_by_diagnosis=False).tolist() == [[True, False]]


def test_a_classifier_right_beyond_the_level_holds_the_truth_as_often_as_it_is_right(
    make_predictions,
) -> None:
    """So the level is a lower bound, not what is to be expected."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 2000)
    found = make_predictions(
        labels=labels, logits=rng.normal(size=(2000, 3)) + 4 * np.eye(3)[labels]
    )
    fitted, new = fit_conformal(found.take(np.arange(1000))), found.take(np.arange(1000, 2000))
    members = sets_of(fitted, new.probabilities(), is_by_diagnosis=False)
    right = new.logits.argmax(axis=1) == new.labels
    assert members[np.arange(1000), new.labels].tolist() == right.tolist()
    assert right.mean() > 0.95


def test_siblings_and_odd_levels_are_refused(make_predictions) -> None:
    twice = make_predictions(labels=[0, 0], logits=np.zeros((2, 2)), lesion_ids=["L", "L"])
    with pytest.raises(ShapeError, match="one photograph a lesion; got 2 of 1 lesions"):
        fit_conformal(twice)
    with pytest.raises(ConfigError, match="`alpha` must lie in"):
        fit_conformal(twice, alpha=1.0)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.15, 0.2, 1 / 3, 0.5, 0.9])
def test_the_fewest_lesions_are_those_with_a_finite_quantile(alpha: float) -> None:
    least = least_lesions(alpha)
    assert math.isfinite(conformal_quantile(np.zeros(least), alpha=alpha))
    assert math.isinf(conformal_quantile(np.zeros(least - 1), alpha=alpha))
