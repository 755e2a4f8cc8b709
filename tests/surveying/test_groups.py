"""What a split shares, and what a split of single images would leak."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moulage.catalogue import Catalogue, Diagnosis
from moulage.split import Split
from moulage.surveying.groups import audit_split, image_split_leakage

CODES = ("mel", "nv")


def catalogue_of(n_lesions: int, n_photographs: int) -> Catalogue:
    lesions = np.repeat(np.arange(n_lesions), n_photographs)
    frame = pd.DataFrame(
        {
            "image_id": [f"i{place}" for place in range(len(lesions))],
            "lesion_id": [f"l{lesion}" for lesion in lesions],
            "path": "x.jpg",
            "diagnosis": np.array(CODES)[lesions % 2],
            "age": np.nan,
            "sex": np.nan,
            "localization": np.nan,
            "dx_type": np.nan,
        }
    )
    diagnoses = tuple(Diagnosis(code=code, name=code, colour="#777777") for code in CODES)
    return Catalogue(frame=frame, diagnoses=diagnoses, root=Path())


def test_where_no_split_tests_an_image_nothing_is_said_to_leak() -> None:
    assert image_split_leakage(catalogue_of(2, 2).take([0, 1])) is None


def test_single_photographs_cannot_leak() -> None:
    found = image_split_leakage(catalogue_of(60, 1))
    assert found is not None
    assert found.share == 0
    assert found.by_diagnosis == {"mel": 0, "nv": 0}


def test_pairs_leak_as_often_as_the_other_photograph_is_in_training() -> None:
    found = image_split_leakage(catalogue_of(150, 2))
    assert found is not None
    assert found.share == pytest.approx(0.6, abs=0.05)  # 60 % of images train


def test_too_few_images_cannot_be_split() -> None:
    assert image_split_leakage(catalogue_of(1, 2)) is None


def test_shared_lesions_and_leaked_images_are_counted() -> None:
    split = Split(
        image_ids=np.array(["a", "b", "c", "d", "e"]),
        lesion_ids=np.array(["1", "1", "2", "3", "3"]),
        parts=np.array(["train", "test", "test", "validation", "train"]),
    )
    found = audit_split(split)
    assert found.lesions == ("1", "3")
    assert (found.n_test, found.n_leaked) == (2, 1)
    assert found.shared == {("train", "validation"): ("3",), ("train", "test"): ("1",)}
