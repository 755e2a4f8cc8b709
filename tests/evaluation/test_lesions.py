from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from moulage.errors import DataError
from moulage.evaluation.lesions import by_lesion, counted_as
from moulage.predictions import Predictions
from moulage.split import Unit

Maker = Callable[..., Predictions]


def test_logits_are_averaged_over_photographs(make_predictions: Maker) -> None:
    predictions = make_predictions(
        labels=[1, 0, 1], logits=[[0, 1], [5, 5], [2, 4]], lesion_ids=["z", "a", "z"]
    )
    lesions = by_lesion(predictions)
    assert lesions.image_ids.tolist() == lesions.lesion_ids.tolist() == ["z", "a"]
    assert lesions.labels.tolist() == [1, 0]
    assert lesions.logits.tolist() == [[1.0, 2.5], [5, 5]]


def test_one_photograph_a_lesion_changes_nothing(make_predictions: Maker) -> None:
    logits = np.random.default_rng(42).normal(size=(30, 3))
    predictions = make_predictions(labels=np.arange(30) % 3, logits=logits)
    lesions = by_lesion(predictions)
    assert lesions.logits.tolist() == predictions.logits.tolist()
    assert lesions.image_ids.tolist() == predictions.image_ids.tolist()


def test_a_loop_gives_the_same_means(make_predictions: Maker) -> None:
    rng = np.random.default_rng(42)
    lesion_ids, logits = rng.integers(0, 40, 100).astype(str), rng.normal(size=(100, 3))
    predictions = make_predictions(labels=np.zeros(100), logits=logits, lesion_ids=lesion_ids)
    lesions = by_lesion(predictions)
    for lesion, row in zip(lesions.lesion_ids, lesions.logits, strict=True):
        expected = predictions.logits[lesion_ids == lesion].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(row, expected, rtol=1e-6)
    assert len(lesions) == len(np.unique(lesion_ids))


def test_a_leaked_lesion_has_a_row_a_part(make_predictions: Maker) -> None:
    predictions = make_predictions(labels=[0, 0], logits=[[1, 0], [3, 0]], lesion_ids=["x", "x"])
    leaky = replace(predictions, parts=np.array(["train", "test"]))
    assert by_lesion(leaky).logits.tolist() == [[1, 0], [3, 0]]


def test_a_lesion_of_two_diagnoses_is_refused(make_predictions: Maker) -> None:
    predictions = make_predictions(labels=[0, 1], logits=np.zeros((2, 2)), lesion_ids=["x", "x"])
    with pytest.raises(DataError, match=r"got 1 with more \(x\)"):
        by_lesion(predictions)


def test_groups_are_refused_though_none_has_two_diagnoses(make_predictions: Maker) -> None:
    """A patient's two nevi are no one lesion, however lucky the labels of the part."""
    predictions = make_predictions(labels=[0, 0], logits=np.zeros((2, 2)), lesion_ids=["P", "P"])
    groups = replace(predictions, unit="group")
    with pytest.raises(DataError, match=r"Ids must be lesions' .*; got those of groups"):
        by_lesion(groups)


@pytest.mark.parametrize("unit", ["lesion", "group"])
def test_counts_are_called_after_what_they_count_and_read_back(unit: Unit) -> None:
    content = {"sets": [{"n_lesions": {"mel": 3}, "over_lesions": None}], "n_images": 5}
    called = counted_as(content, unit)
    assert called["sets"] == [{f"n_{unit}s": {"mel": 3}, f"over_{unit}s": None}]
    assert counted_as(called, "lesion") == content
