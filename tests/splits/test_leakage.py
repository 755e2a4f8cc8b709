import numpy as np
import pytest

from moulage.errors import LeakageError
from moulage.split import Part, Split
from moulage.splits.grouped import split_by_group
from moulage.splits.leakage import (
    has_sibling_in_training,
    refuse_leak,
    shared_groups,
    split_by_image,
    train_on_test,
)

PAPER: dict[Part, float] = {"train": 60, "validation": 20, "test": 20}


def pairs(n_lesions: int = 100) -> dict[str, np.ndarray]:
    """Two photographs of each lesion, two diagnoses."""
    return {
        "image_ids": np.array([f"I{number:04d}" for number in range(2 * n_lesions)]),
        "lesion_ids": np.repeat([f"L{number:03d}" for number in range(n_lesions)], 2),
        "labels": np.repeat(np.arange(n_lesions) % 2, 2),
    }


def test_shared_lesions_are_named_pair_by_pair() -> None:
    split = Split(
        image_ids=np.array(["a", "b", "c", "d", "e"]),
        lesion_ids=np.array(["x", "x", "y", "y", "z"]),
        parts=np.array(["train", "test", "validation", "test", "train"]),
    )
    assert shared_groups(split) == {("train", "test"): ("x",), ("validation", "test"): ("y",)}
    with pytest.raises(LeakageError, match=r"got 1 lesion in both train and test \(first: x\)"):
        refuse_leak(split)


def test_an_honest_split_is_let_through() -> None:
    split = split_by_group(**pairs(), ratios=PAPER, seed=0)
    refuse_leak(split)
    assert not has_sibling_in_training(split).any()


def test_the_image_split_leaks_and_keeps_the_true_lesions() -> None:
    rows = pairs()
    split = split_by_image(**rows, ratios=PAPER, seed=0)
    assert split.lesion_ids.tolist() == rows["lesion_ids"].tolist()
    assert has_sibling_in_training(split).mean() == pytest.approx(0.6, abs=0.15)
    with pytest.raises(LeakageError, match="lesions in both train and"):
        refuse_leak(split)


def test_the_image_split_is_stratified() -> None:
    rows = pairs()
    split = split_by_image(**rows, ratios=PAPER, seed=5)
    assert np.bincount(rows["labels"][split.rows_of("test")]).tolist() == [20, 20]


def test_the_leaky_split_trains_on_every_test_image_and_tests_the_honest_ones() -> None:
    honest = split_by_group(**pairs(), ratios=PAPER, seed=7)
    leaky = train_on_test(honest)
    tested = leaky.image_ids[leaky.rows_of("test")]
    assert tested.tolist() == honest.image_ids[honest.rows_of("test")].tolist()
    assert np.isin(tested, leaky.image_ids[leaky.rows_of("train")]).all()
    assert len(leaky) == len(honest) + len(tested)
    assert has_sibling_in_training(leaky).all()


def test_the_trap_a_look_alike_is_remembered_not_recognised() -> None:
    """Nearest neighbour on labels without any signal: chance when honest, better when leaky."""
    rng = np.random.default_rng(42)
    rows = pairs(400)
    rows["labels"] = np.repeat(rng.integers(0, 2, 400), 2)
    looks = np.repeat(rng.normal(size=(400, 8)), 2, axis=0) + 0.01 * rng.normal(size=(800, 8))

    def accuracy(split: Split) -> float:
        trained, tested = split.rows_of("train"), split.rows_of("test")
        distance = ((looks[tested][:, None] - looks[trained][None]) ** 2).sum(axis=2)
        found = rows["labels"][trained][distance.argmin(axis=1)]
        return float((found == rows["labels"][tested]).mean())

    honest = accuracy(split_by_group(**rows, ratios=PAPER, seed=0))
    leaky = accuracy(split_by_image(**rows, ratios=PAPER, seed=0))
    assert honest < 0.6
    assert leaky > honest + 0.15
