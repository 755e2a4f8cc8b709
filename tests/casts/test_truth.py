"""The list of plantings says what can be seen, no more."""

import pandas as pd
import pytest

from moulage.casts.disguise import Disguise
from moulage.casts.plan import Copy
from moulage.casts.planting import Spot, Tube
from moulage.casts.truth import COLUMNS, Planted, copied, share_left, truth_table, wrong_labels

SIZE = (100, 75)
TOP = Spot(x=10, y=0, width=60, height=5)
CROP_TOP = Disguise(kind="cropped", crop=(0.08, 0.0, 0.0, 0.0))


def test_a_crop_that_cuts_the_ruler_off_leaves_nothing_of_it() -> None:
    assert share_left(TOP, CROP_TOP, size=SIZE) == 0
    lower = Spot(x=10, y=3, width=60, height=6)  # a crop of 6 rows leaves 3 of its 6
    assert share_left(lower, CROP_TOP, size=SIZE) == pytest.approx(0.5)
    assert share_left(TOP, Disguise(kind="flipped", view=4), size=SIZE) == 1
    assert share_left(None, CROP_TOP, size=SIZE) == 1


def test_a_crop_can_take_all_dark_corners() -> None:
    tube = Tube(radius=1.1, softness=0.02, shift=(0.0, 0.0))
    everywhere = Disguise(kind="cropped", crop=(0.1, 0.1, 0.1, 0.1))
    assert share_left(tube, everywhere, size=SIZE) == 0
    assert share_left(tube, CROP_TOP, size=SIZE) > 0.4


def test_a_copy_is_listed_with_what_it_still_shows() -> None:
    planted = [
        Planted(image_id="a", kind="hair", numbers="hairs=3"),
        Planted(image_id="a", kind="ruler", numbers="x=10", mark=TOP),
        Planted(image_id="b", kind="hair"),
    ]
    copy = Copy(row={"image_id": "c"}, source="a", disguise=CROP_TOP)
    rows = copied([copy], planted, size=SIZE)
    assert [(row.image_id, row.kind, row.source) for row in rows] == [
        ("c", "near_duplicate", "a"),
        ("c", "hair", "a"),
    ]
    assert rows[0].detail == "cropped"
    assert rows[1].numbers == ""


def test_wrong_labels_list_the_true_diagnosis() -> None:
    table = pd.DataFrame({"image_id": ["a", "b"], "dx": ["nv", "mel"], "truth": ["nv", "bkl"]})
    assert wrong_labels(table) == [Planted(image_id="b", kind="wrong_label", detail="bkl")]


def test_the_table_is_sorted_and_keeps_its_columns_when_empty() -> None:
    rows = [Planted(image_id="b", kind="hair"), Planted(image_id="a", kind="ruler", mark=TOP)]
    assert truth_table(rows)["image_id"].tolist() == ["a", "b"]
    assert tuple(truth_table([]).columns) == COLUMNS
