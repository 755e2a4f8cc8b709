"""Records refuse what a page could not say truthfully."""

from dataclasses import replace

import numpy as np
import pytest

from moulage.errors import DataError, ShapeError
from moulage.pages.records import RunRecord


def test_a_history_without_a_column_is_refused(run: RunRecord) -> None:
    with pytest.raises(DataError, match="got none named validation_loss"):
        replace(run, history=run.history.drop(columns="validation_loss"))


def test_predictions_of_other_diagnoses_are_refused(run: RunRecord) -> None:
    swapped = replace(run.predictions, diagnoses=run.predictions.diagnoses[::-1])
    with pytest.raises(DataError, match="in metadata of exp1-seed0"):
        replace(run, baselines={"metadata": swapped})


def test_a_grey_thumbnail_is_refused(run: RunRecord) -> None:
    with pytest.raises(ShapeError, match=r"got \(8, 8\) of uint8 in IMG_1"):
        replace(run, thumbnails={"IMG_1": np.zeros((8, 8), dtype=np.uint8)})
