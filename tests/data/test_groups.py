"""Images without a group stand alone, whatever word says that they have none."""

import numpy as np
import pandas as pd
import pytest

from moulage.data.groups import fill_groups


def frame_of(*groups: object) -> pd.DataFrame:
    ids = [f"I{n}" for n in range(len(groups))]
    return pd.DataFrame({"image_id": ids, "lesion_id": list(groups)})


@pytest.mark.parametrize(
    "word", ["NA", "n/a", "NaN", "NULL", "None", " unknown ", "#N/A", "Unknown"]
)
def test_a_word_for_none_is_no_group(word: str) -> None:
    frame, (note,) = fill_groups(frame_of("L1", word, "L1", word))
    assert frame["lesion_id"].tolist() == ["L1", "I1", "L1", "I3"]
    assert note.startswith(
        f"2 of 4 images have no group id (2 of them say {word.strip()}), so each is a group of its "
    )


def test_empty_cells_are_counted_without_words() -> None:
    frame, (note,) = fill_groups(frame_of("L1", np.nan, None, "  ", "NA"))
    assert frame["lesion_id"].tolist() == ["L1", "I1", "I2", "I3", "I4"]
    assert note.startswith("4 of 5 images have no group id (1 of them say NA), so")
    assert "id, so each" in fill_groups(frame_of(np.nan, "L1"))[1][0]


def test_groups_that_are_all_named_stay_as_they_are() -> None:
    frame = frame_of("L1", "Nando", "unknown lesion")
    same, notes = fill_groups(frame)
    assert notes == []
    assert same is frame
