"""Counts of images, lesions, ages and photographs, held against counting by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moulage.catalogue import Catalogue, Diagnosis
from moulage.surveying.exploration import ages_of, balance_of, distribution_of, summarise


def catalogue_of(rows: list[tuple[str, str, float, str | None]]) -> Catalogue:
    """Build a catalogue of (lesion, diagnosis, age, sex)."""
    codes = sorted({row[1] for row in rows})
    frame = pd.DataFrame(rows, columns=["lesion_id", "diagnosis", "age", "sex"])
    frame = frame.assign(
        image_id=[f"i{place}" for place in range(len(rows))],
        path=[f"i{place}.jpg" for place in range(len(rows))],
        localization=np.nan,
        dx_type=np.nan,
    )
    diagnoses = tuple(Diagnosis(code=code, name=code, colour="#777777") for code in codes)
    return Catalogue(frame=frame, diagnoses=diagnoses, root=Path())


@pytest.fixture
def few() -> Catalogue:
    return catalogue_of(
        [
            ("a", "nv", 44.0, "male"),
            ("a", "nv", 44.0, "male"),
            ("b", "nv", 45.0, "unknown"),
            ("c", "mel", np.nan, None),
            ("d", "nv", 49.0, "female"),
        ]
    )


def test_diagnoses_are_counted_by_image_and_by_lesion(few: Catalogue) -> None:
    found = balance_of(few)
    assert [(one.name, one.n_images, one.n_lesions) for one in found.diagnoses.levels] == [
        ("mel", 1, 1),
        ("nv", 4, 3),
    ]
    assert found.ratio == 4.0
    assert found.photographs == {1: 3, 2: 1}
    assert (found.n_lesions, found.n_with_several) == (4, 1)


def test_a_bin_of_ages_holds_its_first_year_and_not_its_last(few: Catalogue) -> None:
    found = ages_of(few.frame)
    assert found.starts.tolist() == [40, 45]
    assert found.counts.tolist() == [2, 3]  # 45, 49 and the mean, 45.5, of the missing one
    assert found.n_filled == 1
    assert found.mean == pytest.approx(np.mean([44, 44, 45, 49]))
    assert found.most_frequent == 45


def test_bins_of_ages_agree_with_numpys_histogram() -> None:
    ages = np.random.default_rng(42).integers(0, 90, 500).astype(float)
    found = ages_of(pd.DataFrame({"age": ages}))
    edges = np.append(found.starts, found.starts[-1] + 5)
    counts, _ = np.histogram(ages, bins=edges)
    assert found.counts.tolist() == counts.tolist()


def test_no_age_at_all_is_no_bin() -> None:
    found = ages_of(pd.DataFrame({"age": [np.nan, np.nan]}))
    assert len(found.counts) == 0
    assert np.isnan(found.mean)


def test_an_empty_cell_is_missing_and_unknown_says_nothing(few: Catalogue) -> None:
    found = distribution_of(few.frame, "sex")
    assert {one.name: one.n_images for one in found.levels} == {
        "male": 2,
        "female": 1,
        "missing": 1,
        "unknown": 1,
    }
    assert [one.name for one in found.known] == ["male", "female"]
    assert found.share(found.levels[0]) == 0.4


def test_summaries_are_those_of_pandas() -> None:
    values = np.random.default_rng(42).normal(size=101)
    values[3] = np.nan
    (found,) = summarise({"x": values})
    told = pd.Series(values).describe()
    assert found.n_known == told["count"]
    assert found.n_missing == 1
    assert (found.mean, found.deviation) == pytest.approx((told["mean"], told["std"]))
    assert (found.least, *found.quartiles, found.most) == pytest.approx(
        told[["min", "25%", "50%", "75%", "max"]].tolist()
    )


def test_a_summary_of_nothing_is_not_a_number() -> None:
    (found,) = summarise({"x": np.array([np.nan])})
    assert (found.n_known, found.n_missing) == (0, 1)
    assert np.isnan([found.mean, found.deviation, found.least, *found.quartiles]).all()
