"""Wrong labels planted among separable activations, and the rules that find them."""

import shlex

import numpy as np
import pytest

from moulage.surveying.labels import (
    Review,
    confident_counts,
    out_of_fold,
    review_labels,
    suspects_table,
)
from moulage.surveying.telltales import grouped_folds

CODES = ("bcc", "mel", "nv")


def reviewed(*, seed: int, n_lesions: int = 300, n_wrong: int = 9) -> tuple[Review, set[str]]:
    """Review lesions of two photographs whose activations lie in three clouds."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n_lesions, p=[0.2, 0.3, 0.5])
    given = truth.copy()
    wrong = rng.choice(n_lesions, n_wrong, replace=False)
    given[wrong] = (truth[wrong] + rng.integers(1, 3, n_wrong)) % 3
    lesion_of = np.repeat(np.arange(n_lesions), 2)
    centres = rng.normal(0, 1, (3, 20))
    features = (centres[truth[lesion_of]] + rng.normal(0, 0.35, (2 * n_lesions, 20))).astype(
        np.float32
    )
    lesion_ids, labels = np.array([f"l{i:03d}" for i in lesion_of]), given[lesion_of]
    folds = grouped_folds(lesion_ids=lesion_ids, labels=labels)
    probabilities = out_of_fold(features, labels=labels, folds=folds, n_classes=3)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    review = review_labels(
        probabilities, labels=labels, lesion_ids=lesion_ids, diagnoses=CODES, judge="a test"
    )
    return review, {f"l{i:03d}" for i in wrong}


@pytest.mark.parametrize("seed", [0, 42])
def test_planted_labels_are_found_and_little_else(seed: int) -> None:
    review, wrong = reviewed(seed=seed)
    named = [suspect.lesion_id for suspect in review.suspects]
    assert len(wrong & set(named)) >= 6  # of nine
    assert len(set(named) - wrong) <= 2
    assert all(suspect.given != suspect.suggested for suspect in review.suspects)
    assert all(len(suspect.rows) == 2 for suspect in review.suspects)
    odds = [suspect.odds for suspect in review.suspects]
    assert odds == sorted(odds, reverse=True)
    assert min(odds) >= 10


def test_without_wrong_labels_the_list_is_nearly_empty() -> None:
    review, _ = reviewed(seed=1, n_wrong=0)
    assert len(review.suspects) <= 2
    assert review.accuracy > 0.97


def test_a_row_counts_where_it_reaches_what_that_diagnosis_is_usually_believed_with() -> None:
    labels = np.repeat([0, 1], 10)
    believed = np.array([[0.9, 0.1]] * 10 + [[0.4, 0.6]] * 10)
    believed[0] = [0.35, 0.65]  # mean of its own: 0.845; of the other: 0.6, which it reaches
    believed[1] = [0.5, 0.5]  # reaches neither
    found = confident_counts(believed, labels=labels)
    assert found[0] == 1
    assert found[1] == -1
    assert found[2:].tolist() == [0] * 8 + [1] * 10


def test_a_diagnosis_of_a_few_lesions_is_neither_judged_nor_suggested() -> None:
    labels = np.array([0] * 12 + [1] * 12 + [2] * 3)
    believed = np.full((27, 3), 0.05)
    believed[np.arange(27), labels] = 0.9
    believed[0] = [0.02, 0.02, 0.96]
    believed[-1] = [0.96, 0.02, 0.02]
    found = confident_counts(believed, labels=labels)
    assert found[0] == -1
    assert found[-3:].tolist() == [-1, -1, -1]


def test_one_diagnosis_in_all_other_folds_is_believed_entirely() -> None:
    features = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    labels, folds = np.array([0] * 10 + [1] * 10), np.array([0] * 10 + [1] * 10)
    found = out_of_fold(features, labels=labels, folds=folds, n_classes=2)
    assert found.argmax(axis=1).tolist() == [1] * 10 + [0] * 10


def test_a_patients_diagnoses_are_judged_one_by_one() -> None:
    """One patient with a melanoma and nine nevi is no wrong label; a nevus called bcc is one."""
    others = np.repeat(np.arange(3), 20)
    labels = np.concatenate([others, [1], [2] * 9, [0]])
    truth = np.concatenate([others, [1], [2] * 9, [2]])
    ids = [f"l{i}" for i in range(60)] + ["patient"] * 11
    review = review_labels(
        np.where(np.eye(3)[truth] > 0, 0.98, 0.01),
        labels=labels,
        lesion_ids=np.array(ids),
        diagnoses=CODES,
        judge="a test",
    )
    found = [(one.lesion_id, one.given, one.suggested, one.rows) for one in review.suspects]
    assert found == [("patient", "bcc", "nv", (70,))]
    assert review.n_lesions == 63
    assert review.accuracy == pytest.approx(62 / 63)


def test_images_of_groups_are_judged_each_by_itself() -> None:
    """A patient's nevus called bcc stands out, though four true bcc of the patient hide it."""
    labels = np.concatenate([np.repeat(np.arange(3), 20), [0] * 5])
    truth = np.concatenate([np.repeat(np.arange(3), 20), [0] * 4, [2]])
    ids = np.array([f"l{i}" for i in range(60)] + ["patient"] * 5)
    images = np.array([f"I{i}" for i in range(65)])
    believed = np.where(np.eye(3)[truth] > 0, 0.98, 0.01)
    given = {"labels": labels, "lesion_ids": ids, "diagnoses": CODES, "judge": "a test"}
    assert not review_labels(believed, **given).suspects
    review = review_labels(believed, **given, image_ids=images)
    assert [(one.lesion_id, one.rows) for one in review.suspects] == [("I64", (64,))]
    assert (review.unit, review.n_lesions) == ("image", 65)


def test_the_table_has_every_suspect_with_its_images() -> None:
    review, _ = reviewed(seed=0)
    names = [f"image {row}" for row in range(600)]
    table = suspects_table(review, names)
    assert table["suspect"].tolist() == [one.lesion_id for one in review.suspects]
    assert [shlex.split(said) for said in table["images"]] == [
        [names[row] for row in one.rows] for one in review.suspects
    ]
    assert table["odds"].tolist() == pytest.approx([one.odds for one in review.suspects], abs=0.05)
    empty = suspects_table(None, names)
    assert empty.empty
    assert empty.columns.tolist() == table.columns.tolist()
