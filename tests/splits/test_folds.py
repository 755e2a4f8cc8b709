import numpy as np
import pytest

from moulage.errors import ConfigError
from moulage.splits.folds import split_in_folds
from moulage.splits.leakage import shared_groups


def cohort(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = rng.choice([1, 2, 3], size=200, p=[0.7, 0.2, 0.1])
    n_images = int(sizes.sum())
    return {
        "image_ids": np.array([f"I{number:04d}" for number in range(n_images)]),
        "lesion_ids": np.repeat([f"L{number:03d}" for number in range(200)], sizes),
        "labels": np.repeat(rng.choice(3, size=200, p=[0.7, 0.2, 0.1]), sizes),
    }


@pytest.mark.parametrize("n_folds", [2, 5, 10])
def test_every_image_is_tested_exactly_once(n_folds: int) -> None:
    rows = cohort(n_folds)
    splits = split_in_folds(**rows, n_folds=n_folds, seed=0)
    tested = np.stack([split.parts == "test" for split in splits])
    assert len(splits) == n_folds
    assert tested.sum(axis=0).tolist() == [1] * len(rows["labels"])


def test_folds_share_no_lesion_and_are_stratified() -> None:
    rows = cohort(42)
    for split in split_in_folds(**rows, n_folds=5, seed=1):
        assert shared_groups(split) == {}
        for label in range(3):
            is_label = rows["labels"] == label
            held = [(is_label & (split.parts == part)).sum() for part in ("train", "validation")]
            assert held[0] == pytest.approx(0.6 * is_label.sum(), abs=3)
            assert held[1] == pytest.approx(0.2 * is_label.sum(), abs=3)


def test_the_rest_may_hold_a_calibration_part() -> None:
    rest = {"train": 2.0, "validation": 1.0, "calibration": 1.0}
    for split in split_in_folds(**cohort(1), n_folds=3, seed=0, rest=rest):
        assert set(split.parts.tolist()) == {"train", "validation", "calibration", "test"}


def test_folds_do_not_depend_on_row_order() -> None:
    rows = cohort(3)
    order = np.random.default_rng(3).permutation(len(rows["labels"]))
    ones = split_in_folds(**rows, n_folds=4, seed=9)
    others = split_in_folds(
        **{name: column[order] for name, column in rows.items()}, n_folds=4, seed=9
    )
    assert [split.digest for split in ones] == [split.digest for split in others]


def test_the_seed_decides_the_folds() -> None:
    digests = {split_in_folds(**cohort(3), n_folds=4, seed=seed)[0].digest for seed in (0, 1)}
    assert len(digests) == 2


def test_patients_of_unlike_sizes_fall_into_other_folds_under_other_seeds() -> None:
    sizes = np.arange(1, 61)
    rows = {
        "image_ids": np.array([f"I{number:04d}" for number in range(sizes.sum())]),
        "lesion_ids": np.repeat([f"P{number:02d}" for number in range(60)], sizes),
        "labels": np.repeat(np.arange(60) % 2, sizes),
    }
    digests = {split_in_folds(**rows, n_folds=5, seed=seed)[0].digest for seed in range(10)}
    assert len(digests) == 10


def test_one_fold_and_a_second_test_part_are_refused() -> None:
    with pytest.raises(ConfigError, match="`n_folds` must be at least 2; got 1"):
        split_in_folds(**cohort(0), n_folds=1, seed=0)
    with pytest.raises(ConfigError, match="must hold train and not test"):
        split_in_folds(**cohort(0), n_folds=3, seed=0, rest={"train": 1, "test": 1})
    with pytest.raises(ConfigError, match="must hold train and not test"):
        split_in_folds(**cohort(0), n_folds=3, seed=0, rest={"validation": 1})
