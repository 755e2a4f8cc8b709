"""Images and lesions of a split, counted by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moulage.catalogue import Catalogue, Diagnosis
from moulage.pages.composition import (
    composition_table,
    leak_notes,
    leak_of,
    leak_sentence,
    parts_of,
)
from moulage.split import Split

#        image  lesion dx   part
ROWS = [
    ("i1", "l1", "mel", "train"),
    ("i2", "l1", "mel", "train"),
    ("i3", "l2", "nv", "train"),
    ("i4", "l3", "nv", "test"),
    ("i5", "l4", "mel", "test"),
]


def catalogue() -> Catalogue:
    frame = pd.DataFrame(
        [(i, lesion, f"{i}.jpg", dx) for i, lesion, dx, _ in ROWS],
        columns=["image_id", "lesion_id", "path", "diagnosis"],
    ).assign(age=np.nan, sex=None, localization=None, dx_type=None)
    kinds = (
        Diagnosis(code="mel", name="Melanoma", colour="#000"),
        Diagnosis(code="nv", name="Nevus", colour="#000"),
        Diagnosis(code="df", name="Fibroma", colour="#000"),
    )
    return Catalogue(frame=frame, diagnoses=kinds, root=Path())


def split(rows: list[tuple[str, str, str, str]] = ROWS) -> Split:
    images, lesions, _, parts = (np.array(column) for column in zip(*rows, strict=True))
    return Split(image_ids=images, lesion_ids=lesions, parts=parts)


def test_images_and_lesions_are_counted_by_part_and_diagnosis() -> None:
    table = composition_table(catalogue(), split())
    counts = {row[0].text: [cell.text for cell in row[1:]] for row in (*table.rows, table.sums)}
    assert table.groups == [("", 1), ("train", 2), ("test", 2), ("together", 2)]
    assert counts["mel"] == ["2", "1", "1", "1", "3", "2"]
    assert counts["nv"] == ["1", "1", "1", "1", "2", "2"]
    assert counts["df"] == ["0"] * 6
    assert counts["all"] == ["3", "2", "2", "2", "5", "4"]


def test_an_image_in_two_parts_counts_once_together() -> None:
    leaky = split([*ROWS, ("i4", "l3", "nv", "train")])
    table = composition_table(catalogue(), leaky)
    assert [cell.text for cell in table.sums[1:]] == ["4", "3", "2", "2", "5", "4"]


def test_parts_without_images_are_left_out() -> None:
    assert parts_of(split()) == ("train", "test")


def test_an_honest_split_leaks_nothing() -> None:
    leak = leak_of(split())
    assert (leak.n_lesions, leak.n_siblings, leak.n_selves) == (0, 0, 0)
    assert leak_sentence(leak) == "No lesion has photographs in two parts."


def test_where_no_two_images_have_one_lesion_id_nothing_is_claimed() -> None:
    alone = replace(split(), lesion_ids=split().image_ids)
    assert leak_of(alone).is_blind
    assert "nobody can say" in leak_sentence(leak_of(alone))
    assert not leak_of(split()).is_blind


def test_a_sibling_and_a_self_are_told_apart() -> None:
    leak = leak_of(split([*ROWS, ("i4", "l3", "nv", "train"), ("i6", "l1", "mel", "test")]))
    assert (leak.n_lesions, leak.n_test, leak.n_siblings, leak.n_selves) == (2, 3, 2, 1)
    assert leak.sibling_share == pytest.approx(2 / 3)
    assert "2 of 3 test images (0.667) show a lesion that was trained on" in leak_sentence(leak)
    assert "1 of them" in leak_sentence(leak)
    assert leak_notes(leak) == (leak_sentence(leak),)


def test_only_a_leak_is_said_first() -> None:
    alone = replace(split(), lesion_ids=split().image_ids)
    assert leak_notes(leak_of(split())) == leak_notes(leak_of(alone)) == ()


def test_images_count_where_no_lesion_is_known() -> None:
    known, unknown = leak_of(split()), leak_of(replace(split(), lesion_ids=split().image_ids))
    assert (known.unit, known.lesions(4)) == ("lesion", "4 lesions")
    assert (unknown.unit, unknown.lesions(4)) == ("image", "unknown lesions")
