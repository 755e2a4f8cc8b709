"""Columns that give the diagnosis away, and columns that do not."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from moulage.surveying.telltales import (
    Telltale,
    find_pure_levels,
    find_telltales,
    grouped_folds,
    levels_of,
    out_of_fold_areas,
)

N = 600
RNG = np.random.default_rng(42)
LESIONS = np.array([f"l{i}" for i in RNG.integers(0, 400, N)])
OF_LESION = {lesion: int(label) for lesion, label in zip(
    np.unique(LESIONS), RNG.choice(3, len(np.unique(LESIONS)), p=[0.2, 0.3, 0.5]), strict=True
)}  # fmt: skip
LABELS = np.array([OF_LESION[lesion] for lesion in LESIONS])
FOLDS = grouped_folds(lesion_ids=LESIONS, labels=LABELS)
CODES = ("bcc", "mel", "nv")


def asked(column: np.ndarray) -> Telltale:
    (found,) = find_telltales(
        {"x": column}, kinds={"x": "file"}, labels=LABELS, lesion_ids=LESIONS, folds=FOLDS,
        diagnoses=CODES,
    )  # fmt: skip
    return found


def test_no_lesion_lies_in_two_folds_and_all_folds_have_each_diagnosis() -> None:
    for lesion in np.unique(LESIONS):
        assert len(set(FOLDS[lesion == LESIONS])) == 1
    assert set(FOLDS.tolist()) == {0, 1, 2, 3, 4}
    assert all(len(set(LABELS[fold == FOLDS])) == 3 for fold in range(5))


def test_a_column_that_names_the_diagnosis_is_perfect() -> None:
    found = asked(np.array(CODES)[LABELS])
    assert found.auroc == 1
    assert found.p_value < 1e-6
    assert found.chance[0] == pytest.approx(0.5, abs=0.02)


def test_luck_with_a_rare_diagnosis_is_no_finding_but_a_rare_one_given_away_is() -> None:
    sizes = {"nv": 500, "mel": 90, "df": 8, "vasc": 2}
    labels = np.repeat(np.arange(4), list(sizes.values()))
    lesions = np.array([f"l{i}" for i in range(600)])
    rng = np.random.default_rng(0)
    columns = {f"draw {i}": rng.normal(size=600) for i in range(40)}
    columns["format"] = np.where(labels == 2, "PNG", "JPEG")
    found = find_telltales(
        columns, kinds=dict.fromkeys(columns, "file"), labels=labels, lesion_ids=lesions,
        folds=grouped_folds(lesion_ids=lesions, labels=labels), diagnoses=tuple(sizes),
    )  # fmt: skip
    (form,) = [one for one in found if one.name == "format"]
    assert (form.best, form.best_auroc) == ("df", pytest.approx(1.0))
    assert max(one.best_auroc for one in found if one is not form) > 0.8
    assert [one.name for one in found if one.best_p_family < 0.05] == ["format"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_column_that_only_names_the_lesion_tells_nothing(seed: int) -> None:
    """In one fold of images it would tell nearly all: that is why folds are of lesions."""
    rng = np.random.default_rng(seed)
    clinic = {lesion: str(rng.integers(0, 12)) for lesion in np.unique(LESIONS)}
    found = asked(np.array([clinic[lesion] for lesion in LESIONS]))
    mean, deviation = found.chance
    assert abs(found.auroc - mean) < 3 * deviation


def test_a_number_that_leans_to_a_diagnosis_is_found_and_named() -> None:
    size = np.random.default_rng(3).normal(0, 1, N) + 1.5 * (LABELS == 1)
    found = asked(size)
    assert 0.65 < found.auroc < 0.95
    assert found.best == "mel"
    assert found.p_value < 1e-6


def test_one_value_only_tells_nothing() -> None:
    found = asked(np.full(N, "JPEG"))
    assert found.n_levels == 1
    assert np.isnan(found.auroc)
    assert np.isnan(found.p_value)


def test_areas_are_those_of_scikit_learn() -> None:
    levels = np.random.default_rng(5).integers(0, 6, N)
    counts = np.zeros((5, 6, 3), dtype=np.int64)
    np.add.at(counts, (FOLDS, levels, LABELS), 1)
    found = out_of_fold_areas(counts)
    tested = FOLDS == 2
    elsewhere = counts.sum(axis=0) - counts[2]
    prior = elsewhere.sum(axis=0) / elsewhere.sum()
    for k in range(3):
        score = (elsewhere[:, k] + 10 * prior[k]) / (elsewhere.sum(axis=1) + 10)
        told = roc_auc_score(LABELS[tested] == k, score[levels[tested]])
        assert found[2, k] == pytest.approx(told)


def test_levels_are_sixteenths_with_missing_ones_apart() -> None:
    values = np.arange(160, dtype=float)
    values[:5] = np.nan
    levels = levels_of(values)
    assert len(set(levels.tolist())) == 17
    assert len(set(levels[:5].tolist())) == 1
    assert not set(levels[:5]) & set(levels[5:])


def test_rare_words_share_a_level() -> None:
    words = np.array(["a"] * 20 + ["b"] * 12 + [f"rare{i}" for i in range(8)])
    levels = levels_of(words)
    assert len(set(levels.tolist())) == 3
    assert len(set(levels[32:].tolist())) == 1


def test_a_word_of_one_diagnosis_only_is_told_unless_chance_explains_it() -> None:
    words = np.where(LABELS == 2, "follow_up", "histo").astype("<U12")
    words[np.flatnonzero(LABELS == 0)[:2]] = "twice"
    found = find_pure_levels({"dx_type": words}, labels=LABELS, lesion_ids=LESIONS, diagnoses=CODES)
    assert [(one.level, one.diagnosis, one.n_images) for one in found] == [
        ("follow_up", "nv", int((LABELS == 2).sum()))
    ]


def test_many_photographs_of_two_lesions_are_no_pure_word() -> None:
    """One lesion in five has the diagnosis: two share it by chance, ten would not."""
    lesions = np.concatenate([np.repeat(["a", "b"], 5), [f"l{i}" for i in range(48)]])
    labels = np.concatenate([np.zeros(10, int), np.repeat([0, 2], [8, 40])])
    words = np.where(np.arange(58) < 10, "clinic", "elsewhere")
    found = find_pure_levels({"w": words}, labels=labels, lesion_ids=lesions, diagnoses=CODES)
    assert found == ()
    words[:18] = "clinic"
    found = find_pure_levels({"w": words}, labels=labels, lesion_ids=lesions, diagnoses=CODES)
    assert [(one.level, one.n_images, one.n_lesions) for one in found] == [("clinic", 18, 10)]


def test_numbers_have_no_pure_words_and_a_word_of_all_lesions_is_counted_once_a_lesion() -> None:
    columns = {
        "weight": LABELS.astype(np.float64),
        "clinic": np.array(CODES)[LABELS],
        "empty": np.full(N, "missing"),
    }
    found = find_pure_levels(columns, labels=LABELS, lesion_ids=LESIONS, diagnoses=CODES)
    n_lesions = [len(np.unique(LESIONS[label == LABELS])) for label in (2, 1, 0)]
    assert [(one.column, one.diagnosis) for one in found] == [("clinic", c) for c in CODES[::-1]]
    assert [one.n_lesions for one in found] == n_lesions


def test_dx_type_is_known_to_come_after_the_diagnosis() -> None:
    columns = {"dx_type": np.array(CODES)[LABELS], "sex": np.array(CODES)[LABELS]}
    found = find_telltales(
        columns, kinds=dict.fromkeys(columns, "metadata"), labels=LABELS, lesion_ids=LESIONS,
        folds=FOLDS, diagnoses=CODES,
    )  # fmt: skip
    assert {one.name: bool(one.known_after) for one in found} == {"dx_type": True, "sex": False}
