import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.stats import binomtest

from moulage.evaluation.intervals import N_REPLICATES, intervals
from moulage.evaluation.metrics import summary
from moulage.evaluation.spread import Spread
from moulage.evaluation.tournament import Tournament
from moulage.predictions import Predictions

Maker = Callable[..., Predictions]


def runs(make: Maker, *, noise: float, n_runs: int) -> tuple[Predictions, ...]:
    """One set of lesions; runs differ by noise."""
    rng = np.random.default_rng(42)
    labels = np.arange(300) % 3
    base = rng.normal(size=(300, 3)) + np.eye(3)[labels]
    return tuple(
        make(labels=labels, logits=base + noise * rng.normal(size=(300, 3))) for _ in range(n_runs)
    )


def spread(
    several: Sequence[Predictions], *, n_replicates: int = N_REPLICATES
) -> dict[str, Spread]:
    """Return what a tournament of one classifier says of its runs, each at a place of its own."""
    entries = {"one": {str(place): run for place, run in enumerate(several)}}
    rng = np.random.default_rng(0)
    return Tournament(entries, rng=rng, n_replicates=n_replicates).spread("one", "natural")


def test_one_run_has_the_interval_of_its_lesions_and_no_spread_of_runs(
    make_predictions: Maker,
) -> None:
    run = runs(make_predictions, noise=0, n_runs=1)
    found = spread(run)["accuracy"]
    expected = intervals(run[0], rng=np.random.default_rng(0))["accuracy"]
    assert found.interval == expected
    assert math.isnan(found.between_runs)


def test_equal_runs_spread_over_lesions_only(make_predictions: Maker) -> None:
    equal = runs(make_predictions, noise=0, n_runs=3)
    found = spread(equal, n_replicates=400)["accuracy"]
    share = found.values[0]
    assert found.between_runs == pytest.approx(0, abs=1e-12)
    assert found.interval.standard_error == pytest.approx(
        math.sqrt(share * (1 - share) / 300), rel=0.1
    )


def test_the_spread_of_runs_is_the_deviation_of_their_values(make_predictions: Maker) -> None:
    three = runs(make_predictions, noise=2.0, n_runs=3)
    found = spread(three, n_replicates=100)
    values = [summary(run).values["log_loss"] for run in three]
    assert found["log_loss"].values == pytest.approx(values)
    assert found["log_loss"].interval.value == pytest.approx(np.mean(values))
    assert found["log_loss"].between_runs == pytest.approx(np.std(values, ddof=1))


def test_runs_on_different_lesions_are_drawn_together(make_predictions: Maker) -> None:
    rng = np.random.default_rng(42)
    labels = np.arange(200) % 2
    folds = tuple(
        make_predictions(
            labels=labels,
            logits=rng.normal(size=(200, 2)) + np.eye(2)[labels],
            lesion_ids=[f"{fold}-{row}" for row in range(200)],
        )
        for fold in range(2)
    )
    both = spread(folds, n_replicates=600)["accuracy"]
    share = both.interval.value
    assert both.interval.standard_error == pytest.approx(
        math.sqrt(share * (1 - share) / 400), rel=0.1
    )


def perfect(make: Maker, ids: list[str]) -> Predictions:
    return make(labels=np.zeros(len(ids)), logits=[[1, 0]] * len(ids), lesion_ids=ids)


def test_folds_all_right_are_as_sure_as_all_their_lesions_together(make_predictions: Maker) -> None:
    folds = [perfect(make_predictions, [f"{fold}-{row}" for row in range(40)]) for fold in range(5)]
    found = spread(folds)
    expected, interval = binomtest(200, 200).proportion_ci(), found["accuracy"].interval
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_seeds_all_right_are_as_sure_as_one_of_them(make_predictions: Maker) -> None:
    run = perfect(make_predictions, [f"L{row // 2}" for row in range(41)])
    one, three = (spread((run,) * n) for n in (1, 3))
    assert three["accuracy"].interval.n_effective == pytest.approx(41**2 / (20 * 4 + 1))
    assert (three["accuracy"].interval.low, three["accuracy"].interval.high) == pytest.approx(
        (one["accuracy"].interval.low, one["accuracy"].interval.high)
    )


def test_one_fold_with_a_lone_lesion_leaves_the_mean_area_without_bounds(
    make_predictions: Maker,
) -> None:
    """The mean over folds lacks that fold's luck, however many lesions the others have."""
    rng, folds = np.random.default_rng(42), []
    for fold, n_positives in enumerate((10, 1)):
        labels = (np.arange(40) < n_positives).astype(np.int64)
        logits = rng.normal(size=(40, 2)) + np.eye(2)[labels]
        ids = [f"{fold}-{row}" for row in range(40)]
        folds.append(make_predictions(labels=labels, logits=logits, lesion_ids=ids))
    both, alone = (spread(some, n_replicates=50) for some in (folds, folds[:1]))
    assert math.isnan(both["macro_auroc"].interval.low)
    assert not math.isnan(alone["macro_auroc"].interval.low)
