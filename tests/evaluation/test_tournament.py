from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from moulage.errors import DataError
from moulage.evaluation.comparison import (
    Contender,
    compare,
    correct_family,
    permutations_for,
)
from moulage.evaluation.intervals import intervals
from moulage.evaluation.tournament import Tournament
from moulage.predictions import Predictions

Maker = Callable[..., Predictions]
FEW = {"n_replicates": 200, "n_permutations": 200}


@pytest.fixture
def run_of(make_predictions: Maker) -> Callable[[float, int], Predictions]:
    """A classifier of some skill on the same 240 images of 160 lesions."""

    def make(signal: float, seed: int) -> Predictions:
        rng = np.random.default_rng([seed, round(10 * signal)])
        lesion_ids = np.arange(240) % 160
        labels = (np.arange(160) % 3)[lesion_ids]
        logits = rng.normal(size=(240, 3)) + signal * np.eye(3)[labels]
        return make_predictions(
            labels=labels, logits=logits, lesion_ids=lesion_ids, prior=[0.6, 0.3, 0.1]
        )

    return make


RunOf = Callable[[float, int], Predictions]


def test_a_difference_is_that_of_a_comparison_of_two(run_of: RunOf) -> None:
    one, other = ({f"p{seed}": run_of(s, seed) for seed in range(2)} for s in (1.0, 1.4))
    field = Tournament({"one": one, "other": other}, rng=np.random.default_rng(0), **FEW)
    found = field.difference(("one", "natural"), ("other", "natural"), "accuracy")
    (expected,) = compare(
        Contender(name="one", runs=tuple(one.values())),
        Contender(name="other", runs=tuple(other.values())),
        rng=np.random.default_rng(0),
        metrics=("accuracy",),
        **FEW,
    )
    assert found == expected


def test_draws_are_shared_so_that_differences_add_up(run_of: RunOf) -> None:
    entries = {name: {"p": run_of(s, 0)} for name, s in (("a", 1.0), ("b", 1.5), ("c", 2.0))}
    field = Tournament(entries, rng=np.random.default_rng(0), **FEW)
    ab, bc, ac = (
        field.difference((x, "natural"), (y, "natural"), "accuracy") for x, y in ("ab", "bc", "ac")
    )
    assert ab is not None
    assert bc is not None
    assert ac is not None
    assert ab.interval.value + bc.interval.value == pytest.approx(ac.interval.value)
    alone = intervals(entries["a"]["p"], rng=np.random.default_rng(0), n_replicates=200)
    assert field.spread("a", "natural")["accuracy"].interval == alone["accuracy"]
    assert field.spread("a", "natural")["macro_auroc"].interval == alone["macro_auroc"]


def test_one_classifier_under_two_rules_is_a_pair_like_any_other(run_of: RunOf) -> None:
    field = Tournament({"a": {"p": run_of(1.0, 0)}}, rng=np.random.default_rng(0), **FEW)
    found = field.difference(("a", "balanced"), ("a", "natural"), "balanced_accuracy")
    assert found is not None
    natural, balanced = (
        field.spread("a", rule)["balanced_accuracy"].interval.value
        for rule in ("natural", "balanced")
    )
    assert found.interval.value == pytest.approx(balanced - natural)


def test_only_places_that_both_saw_are_compared(run_of: RunOf) -> None:
    entries = {
        "a": {"p0": run_of(1.0, 0), "p1": run_of(1.0, 1)},
        "b": {"p1": run_of(2.0, 1)},
        "c": {"q": run_of(2.0, 2)},
    }
    field = Tournament(entries, rng=np.random.default_rng(0), **FEW)
    assert field.shared("a", "b") == ("p1",)
    assert field.difference(("a", "natural"), ("c", "natural"), "accuracy") is None
    assert len(field.spread("a", "natural")["accuracy"].values) == 2
    ranks = field.difference(("a", "natural"), ("b", "natural"), "macro_auroc")
    assert ranks is not None
    assert ranks.verdict == "not defined", "ranks have an interval here, and no permutations"
    assert ranks.interval.low < ranks.interval.value < ranks.interval.high


def test_rows_are_aligned_and_other_images_refused(run_of: RunOf) -> None:
    one = run_of(1.0, 0)
    shuffled = one.take(np.random.default_rng(1).permutation(240))
    field = Tournament(
        {"one": {"p": one}, "same": {"p": shuffled}}, rng=np.random.default_rng(0), **FEW
    )
    found = field.difference(("one", "natural"), ("same", "natural"), "accuracy")
    assert found is not None
    assert found.verdict == "no difference shown on 160 lesions"
    with pytest.raises(DataError, match="the same images, lesions, diagnoses and labels"):
        Tournament(
            {"one": {"p": one}, "few": {"p": one.take(np.arange(100))}},
            rng=np.random.default_rng(0),
        )


def test_of_twelve_a_clearly_better_one_is_called_better(run_of: RunOf) -> None:
    """66 pairs: with a thousand permutations the least corrected p would be 0.066."""
    entries = {f"e{seed}": {"p": run_of(1.0, seed)} for seed in range(11)}
    entries["best"] = {"p": run_of(3.0, 11)}
    field = Tournament(
        entries,
        rng=np.random.default_rng(0),
        n_replicates=50,
        n_permutations=permutations_for(66),
    )
    found = [
        field.difference((one, "natural"), (other, "natural"), "accuracy")
        for one, other in combinations(entries, 2)
    ]
    verdicts = {(d.first, d.second): d.verdict for d in correct_family([d for d in found if d])}
    assert len(verdicts) == 66
    assert {said for pair, said in verdicts.items() if "best" in pair} == {"worse"}
    others = [said for pair, said in verdicts.items() if "best" not in pair]
    assert set(others) == {"no difference shown on 160 lesions"}


def test_all_permutations_are_used_only_where_the_first_thousand_find_something(
    run_of: RunOf,
) -> None:
    entries = {name: {"p": run_of(s, 0)} for name, s in (("a", 1.0), ("b", 1.1), ("c", 3.0))}
    few, many = (
        Tournament(entries, rng=np.random.default_rng(0), n_replicates=50, n_permutations=n)
        for n in (1000, 5000)
    )
    like, unlike = (
        many.difference(("a", "natural"), (name, "natural"), "accuracy") for name in "bc"
    )
    assert like is not None
    assert unlike is not None
    assert unlike.p_value == unlike.least_p == 1 / 5001
    assert like.p_value * 1001 == pytest.approx(round(like.p_value * 1001))
    alike = few.difference(("a", "natural"), ("b", "natural"), "accuracy")
    assert alike is not None
    assert alike.p_value > 0.05
