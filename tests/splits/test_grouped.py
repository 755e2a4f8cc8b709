from itertools import combinations

import numpy as np
import pytest

from moulage.errors import ConfigError, DataError, ShapeError
from moulage.split import Part, Split
from moulage.splits.grouped import _order, absence_notes, absent_diagnoses, split_by_group

PAPER: dict[Part, float] = {"train": 60, "validation": 20, "test": 20}
FOUR: dict[Part, float] = {"train": 0.55, "validation": 0.15, "calibration": 0.1, "test": 0.2}
SHARES = (0.65, 0.11, 0.11, 0.06, 0.04, 0.02, 0.01)


def cohort(seed: int, n_lesions: int = 700) -> dict[str, np.ndarray]:
    """Lesions of 1 to 6 photographs, seven diagnoses as rare as HAM10000's."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice([1, 2, 3, 4, 6], size=n_lesions, p=[0.7, 0.18, 0.08, 0.03, 0.01])
    diagnosis = rng.choice(7, size=n_lesions, p=SHARES)
    lesions = np.array([f"L{number:05d}" for number in rng.permutation(n_lesions)])
    n_images = int(sizes.sum())
    return {
        "image_ids": np.array([f"I{number:05d}" for number in range(n_images)]),
        "lesion_ids": np.repeat(lesions, sizes),
        "labels": np.repeat(diagnosis, sizes).astype(np.int64),
    }


def part_of_image(split: Split) -> dict[str, str]:
    return dict(zip(split.image_ids.tolist(), split.parts.tolist(), strict=True))


def lesions_of(split: Split, part: Part) -> set[str]:
    return set(split.lesion_ids[split.rows_of(part)].tolist())


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ratios", [PAPER, FOUR])
def test_no_lesion_is_in_two_parts(seed: int, ratios: dict[Part, float]) -> None:
    split = split_by_group(**cohort(seed), ratios=ratios, seed=seed)
    per_part = [lesions_of(split, part) for part in ratios]
    assert sum(map(len, per_part)) == len(set.union(*per_part)) == 700


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ratios", [PAPER, FOUR])
def test_each_part_holds_its_share_of_each_diagnosis_to_within_a_lesion(
    seed: int, ratios: dict[Part, float]
) -> None:
    rows = cohort(seed)
    split = split_by_group(**rows, ratios=ratios, seed=seed)
    for label in np.unique(rows["labels"]):
        has_label = rows["labels"] == label
        largest = np.unique(rows["lesion_ids"][has_label], return_counts=True)[1].max()
        for part, ratio in ratios.items():
            share = ratio / sum(ratios.values())
            held = int((has_label & (split.parts == part)).sum())
            assert abs(held - share * has_label.sum()) <= max(largest, 2) / 2 + 0.5


@pytest.mark.parametrize("seed", range(5))
def test_parts_hold_lesions_of_many_photographs_alike(seed: int) -> None:
    rows = cohort(seed)
    split = split_by_group(**rows, ratios=PAPER, seed=seed)
    sizes = np.unique(rows["lesion_ids"], return_inverse=True, return_counts=True)
    has_siblings = sizes[2][sizes[1]] > 1
    shares = [has_siblings[split.rows_of(part)].mean() for part in PAPER]
    assert max(shares) - min(shares) < 0.05


def test_row_order_does_not_matter() -> None:
    rows = cohort(42)
    order = np.random.default_rng(42).permutation(len(rows["labels"]))
    one = split_by_group(**rows, ratios=PAPER, seed=3)
    other = split_by_group(
        **{name: column[order] for name, column in rows.items()}, ratios=PAPER, seed=3
    )
    assert part_of_image(one) == part_of_image(other)
    assert one.digest == other.digest
    assert other.image_ids.tolist() == rows["image_ids"][order].tolist()


def test_numbering_the_diagnoses_otherwise_does_not_matter() -> None:
    rows = cohort(42)
    renumbered = np.random.default_rng(42).permutation(7)[rows["labels"]]
    one = split_by_group(**rows, ratios=PAPER, seed=0)
    other = split_by_group(**{**rows, "labels": renumbered}, ratios=PAPER, seed=0)
    assert one.parts.tolist() == other.parts.tolist()


def test_the_seed_decides() -> None:
    rows = cohort(42)
    digests = [split_by_group(**rows, ratios=PAPER, seed=seed).digest for seed in (0, 0, 1, 2)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_trivial_groups_are_dealt_exactly() -> None:
    ids = np.array([f"{number:03d}" for number in range(100)])
    labels = np.repeat([0, 1], [70, 30])
    split = split_by_group(image_ids=ids, lesion_ids=ids, labels=labels, ratios=PAPER, seed=0)
    counts = {part: np.bincount(labels[split.rows_of(part)]).tolist() for part in PAPER}
    assert counts == {"train": [42, 18], "validation": [14, 6], "test": [14, 6]}


def test_ratios_are_relative() -> None:
    rows = cohort(1)
    one = split_by_group(**rows, ratios={"train": 3, "test": 1, "validation": 0}, seed=0)
    other = split_by_group(**rows, ratios={"train": 0.75, "test": 0.25}, seed=0)
    assert one.digest == other.digest
    assert set(one.parts.tolist()) == {"train", "test"}


def test_as_many_lesions_as_parts_give_each_part_one() -> None:
    ids = np.array(["a", "b", "c", "d", "e", "f", "g", "h"])
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    ratios: dict[Part, float] = {"train": 98, "validation": 1, "test": 1}
    split = split_by_group(image_ids=ids, lesion_ids=ids, labels=labels, ratios=ratios, seed=0)
    for label in (0, 1):
        assert set(split.parts[labels == label].tolist()) == set(ratios)
    assert absent_diagnoses(parts=split.parts, labels=labels) == {}


def test_fewer_lesions_than_parts_go_to_the_larger_parts_and_it_is_told() -> None:
    ids = np.array([f"{number:02d}" for number in range(12)])
    labels = np.array([1, 2, 2] + [0] * 9)
    split = split_by_group(
        image_ids=ids,
        lesion_ids=ids,
        labels=labels,
        ratios={"train": 60, "validation": 15, "test": 25},
        seed=0,
    )
    assert split.parts[0] == "train"
    assert set(split.parts[1:3].tolist()) == {"train", "test"}
    absent = absent_diagnoses(parts=split.parts, labels=labels)
    assert absent == {"validation": (1, 2), "test": (1,)}
    assert absence_notes(split, labels=labels, codes=("nv", "bcc", "df")) == (
        "bcc stands in no validation or test part: it has 1 lesion.",
        "df stands in no validation part: it has 2 lesions.",
    )


def test_a_seed_below_nought_is_refused() -> None:
    with pytest.raises(ConfigError, match="`seed` must be at least 0; got -3"):
        split_by_group(**cohort(0), ratios=PAPER, seed=-3)


@pytest.mark.parametrize("seed", range(5))
def test_patients_with_several_diagnoses_stay_whole_and_shares_stay_near(seed: int) -> None:
    rng = np.random.default_rng(seed)
    patients = np.sort(rng.integers(0, 300, 1500)).astype(str)
    labels = rng.choice(4, size=1500, p=[0.7, 0.2, 0.07, 0.03])
    ids = np.array([f"{number:05d}" for number in range(1500)])
    split = split_by_group(
        image_ids=ids, lesion_ids=patients, labels=labels, ratios=PAPER, seed=seed
    )
    assert not lesions_of(split, "train") & lesions_of(split, "test")
    for label in range(4):
        share = (split.parts[labels == label] == "test").mean()
        assert share == pytest.approx(0.2, abs=0.04)


def patients(sizes: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """A group of each size and label, its images of one diagnosis."""
    n_images = int(sizes.sum())
    return {
        "image_ids": np.array([f"I{number:06d}" for number in range(n_images)]),
        "lesion_ids": np.repeat([f"P{number:04d}" for number in range(len(sizes))], sizes),
        "labels": np.repeat(labels, sizes).astype(np.int64),
    }


def unequal_patients() -> dict[str, np.ndarray]:
    """A hundred patients of 1 to 100 photographs, no two of equally many."""
    rng = np.random.default_rng(0)
    return patients(rng.permutation(np.arange(1, 101)), rng.integers(0, 2, 100))


def few_patients() -> dict[str, np.ndarray]:
    """Sixty patients of 5 to 79 photographs and three diagnoses."""
    rng = np.random.default_rng(7)
    return patients(rng.integers(5, 80, 60), rng.integers(0, 3, 60))


@pytest.mark.parametrize("rows", [unequal_patients(), few_patients()], ids=["unequal", "few"])
def test_seeds_test_other_patients_though_sizes_differ(rows: dict[str, np.ndarray]) -> None:
    """Two random fifths share a ninth of their union."""
    splits = [split_by_group(**rows, ratios=PAPER, seed=seed) for seed in range(10)]
    tested = [lesions_of(split, "test") for split in splits]
    overlaps = [len(one & two) / len(one | two) for one, two in combinations(tested, 2)]
    print(f"{len(set(rows['lesion_ids']))} patients: overlap {np.mean(overlaps):.3f}")
    assert len(set(map(frozenset, tested))) == 10
    assert np.mean(overlaps) == pytest.approx(1 / 9, abs=0.03)


@pytest.mark.parametrize("rows", [unequal_patients(), few_patients()], ids=["unequal", "few"])
def test_large_groups_in_random_order_keep_the_shares(rows: dict[str, np.ndarray]) -> None:
    errors = []
    for seed in range(10):
        parts = split_by_group(**rows, ratios=PAPER, seed=seed).parts
        for label in np.unique(rows["labels"]):
            held = parts[rows["labels"] == label]
            errors += [abs((held == part).mean() - ratio / 100) for part, ratio in PAPER.items()]
    print(f"{len(set(rows['lesion_ids']))} patients: error {max(errors):.3f}")
    assert max(errors) <= 0.02


def test_groups_of_a_few_images_come_by_exact_size_and_others_by_doublings() -> None:
    sizes = np.array([1, 7, 6, 8, 15, 16, 31, 32])
    order = _order(
        sizes[:, None], rarest=np.zeros(8, dtype=np.int64), rng=np.random.default_rng(42)
    )
    ordered = sizes[order].tolist()
    assert ordered[0] == 32
    assert (set(ordered[1:3]), set(ordered[3:5])) == ({16, 31}, {8, 15})
    assert ordered[5:] == [7, 6, 1]


@pytest.mark.parametrize("n_diagnoses", [3, 20])
def test_no_part_is_empty_where_each_diagnosis_is_one_group(n_diagnoses: int) -> None:
    rows = patients(np.full(n_diagnoses, 5), np.arange(n_diagnoses))
    for seed in range(10):
        parts = split_by_group(**rows, ratios=PAPER, seed=seed).parts
        counts = [int((parts == part).sum()) for part in PAPER]
        assert counts == [5 * (n_diagnoses - 2), 5, 5]


@pytest.mark.parametrize(
    ("ratios", "message"),
    [
        ({"train": 60, "tset": 40}, "must name train"),
        ({"train": -1, "test": 2}, "finite and not negative"),
        ({"train": float("nan")}, "finite and not negative"),
        ({"train": 0, "test": 0}, "a part above 0"),
    ],
)
def test_impossible_ratios_are_refused(ratios: dict[Part, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_by_group(**cohort(0), ratios=ratios, seed=0)


def test_fewer_groups_than_parts_are_refused() -> None:
    ids = np.array(["a", "b"])
    with pytest.raises(DataError, match="a group for each of its 3 parts; got 2"):
        split_by_group(image_ids=ids, lesion_ids=ids, labels=np.array([0, 0]), ratios=PAPER, seed=0)


def test_broken_rows_are_refused() -> None:
    ids = np.array(["a", "b", "b"])
    with pytest.raises(DataError, match=r"1 images with more \(b\)"):
        split_by_group(image_ids=ids, lesion_ids=ids, labels=np.zeros(3, int), ratios=PAPER, seed=0)
    with pytest.raises(ShapeError, match="got 3, 3 and 2"):
        split_by_group(image_ids=ids, lesion_ids=ids, labels=np.zeros(2, int), ratios=PAPER, seed=0)
    with pytest.raises(ShapeError, match="got -1"):
        split_by_group(
            image_ids=ids, lesion_ids=ids, labels=np.array([0, -1, 0]), ratios=PAPER, seed=0
        )
