"""Whole surveys of small folders: sentences held against the tables, pages that stay sensible."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from moulage import actions
from moulage.pages import observations
from moulage.pages.survey import survey_page
from moulage.runs.survey import survey_dataset
from moulage.survey.record import Survey
from moulage.survey.verdict import verdict_of


def silently(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def of_casts(casts: Path, own_cache: Path) -> Survey:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOULAGE_CACHE", str(own_cache))
        patch.delenv("MOULAGE_WEIGHTS", raising=False)
        return survey_dataset(casts, progress=silently)


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes images into one folder a diagnosis, or beside a table."""

    def write(names: list[str], *, table: str = "", seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for name in names:
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 256, (75, 100, 3), dtype=np.uint8))
        if table:
            (tmp_path / "set" / "table.csv").write_text(table)
        return tmp_path / "set"

    return write


def lines_of(survey: Survey) -> dict[str, set[str]]:
    lines: dict[str, set[str]] = {}
    for line in verdict_of(survey):
        lines.setdefault(line.subject, set()).add(line.level)
    return lines


def test_sentences_say_what_the_table_holds(of_casts: Survey, casts: Path) -> None:
    table = pd.read_csv(casts / "HAM10000_metadata.csv")
    counts, described = table["dx"].value_counts(), of_casts.described
    said = observations.balance(described.balance)
    assert f"The most common diagnosis is {counts.index[0]} with {counts.iloc[0]} images" in said
    ages = observations.ages(described.ages)
    filled = table["age"].fillna(table["age"].mean())
    start = int(re.findall(r"aged (\d+) to", ages)[0])
    assert f"{int(filled.between(start, start + 4.999).sum())}, are of patients" in ages
    assert f"The mean is {table['age'].mean():.1f} years" in ages
    sites = table["localization"].value_counts()
    site = observations.distribution(described.distributions["localization"])
    assert f"{sites.index[0]} with {sites.iloc[0]} images" in site
    sizes = table.groupby("lesion_id").size()
    often = observations.photographs(described.balance)
    assert f"{(sizes > 1).sum()} of {len(sizes)} lesions" in often


def test_crosstabs_count_what_pandas_counts(of_casts: Survey, casts: Path) -> None:
    table = pd.read_csv(casts / "HAM10000_metadata.csv").rename(columns={"dx": "diagnosis"})
    for shown in of_casts.described.crosstabs:
        told = pd.crosstab(table[shown.row_name], table[shown.column_name])
        told = told.reindex(index=list(shown.rows), columns=list(shown.columns), fill_value=0)
        assert shown.counts.tolist() == told.to_numpy().tolist()


def test_samples_are_five_a_diagnosis_of_different_lesions(of_casts: Survey) -> None:
    catalogue = of_casts.catalogue
    for code, rows in of_casts.seen.samples.items():
        frame = catalogue.frame.iloc[list(rows)]
        assert set(frame["diagnosis"]) == {code}
        ours = catalogue.frame[catalogue.frame["diagnosis"] == code]
        assert frame["lesion_id"].nunique() == min(5, ours["lesion_id"].nunique())
        assert len(rows) == min(5, len(ours))
        assert all(of_casts.thumbnails[row].shape == (100, 125, 3) for row in rows)


def test_the_page_is_one_file_whose_figures_say_what_they_show(of_casts: Survey) -> None:
    page = survey_page(of_casts, verdict_of(of_casts))
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    labels = re.findall(r"<svg [^>]*aria-label=\"([^\"]+)\"", page)
    assert len(labels) >= 10
    assert all(len(label.split()) > 6 for label in labels)
    assert page.count("n = ") >= 10
    assert "not defined (n = 0)" not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_casts_are_warned_of_what_they_hold(of_casts: Survey) -> None:
    lines = lines_of(of_casts)
    assert lines["files"] == {"look"}  # of 64 × 48 pixels: tiny
    assert "look" in lines["groups"]
    assert "stop" not in {level for levels in lines.values() for level in levels}
    (after,) = [one for one in of_casts.telltales if one.known_after]
    assert after.name == "dx_type"


def test_a_survey_writes_its_page_and_its_pairs(casts: Path, tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    made = actions.make_split(casts, out=split)
    leaky = pd.read_csv(split)
    several = leaky["lesion_id"].value_counts().index[0]
    leaky.loc[leaky.index[leaky["lesion_id"] == several][0], "part"] = "test"
    leaky.loc[leaky.index[leaky["lesion_id"] == several][1], "part"] = "train"
    leaky.to_csv(split, index=False)
    found, lines = actions.survey(casts, out=tmp_path / "out", split=split)
    assert found.split is not None
    assert found.split.lesions == (several,)
    assert found.split.digest != made.digest
    assert lines[0].level == "stop"
    assert several in lines[0].sentence
    assert (tmp_path / "out" / "survey.html").is_file()
    pairs = pd.read_csv(tmp_path / "out" / "near_duplicates.csv")
    assert {"image_id", "other_id", "certainty"} <= set(pairs.columns)


def test_one_image_gives_a_page_and_a_clear_stop(folder_of: Any) -> None:
    folder = folder_of(["a.png"], table="image_id,diagnosis\na,nv\n")
    survey = survey_dataset(folder, kind="table", progress=silently)
    lines = verdict_of(survey)
    assert [line.subject for line in lines if line.level == "stop"] == ["diagnoses"]
    assert "All images have one diagnosis, nv" in lines[0].sentence
    assert "nothing to tell apart" in lines[0].sentence
    assert "1 image of 1 lesion, 1 diagnosis." in survey_page(survey, lines)


def test_no_groups_and_no_metadata_give_a_sensible_page(folder_of: Any) -> None:
    folder = folder_of([f"{code}/{code}{i}.png" for code in ("mel", "nv") for i in range(4)])
    survey = survey_dataset(folder, progress=silently)
    page = survey_page(survey, verdict_of(survey))
    assert survey.described.distributions == {}
    assert survey.described.crosstabs == ()
    assert survey.described.age_spread is None
    assert "says nothing of age, sex, localization or confirmation" in page
    assert "no group id" in page
    assert "Every image is a lesion of its own" in page
    assert "fewer than two diagnoses have 10 lesions" in page


def test_broken_blank_and_doubled_files_are_shown_and_stop(folder_of: Any) -> None:
    folder = folder_of([f"{code}/{code}{i}.png" for code in ("mel", "nv") for i in range(5)])
    (folder / "mel" / "copy.png").write_bytes((folder / "mel" / "mel0.png").read_bytes())
    (folder / "nv" / "foreign.png").write_bytes((folder / "mel" / "mel1.png").read_bytes())
    (folder / "nv" / "broken.png").write_bytes(b"no image at all")
    cv2.imwrite(str(folder / "nv" / "blank.png"), np.full((75, 100, 3), 90, dtype=np.uint8))
    survey = survey_dataset(folder, progress=silently)
    assert {(one.kind, one.image_id) for one in survey.faults} == {
        ("unreadable", "broken"),
        ("blank", "blank"),
        ("twice", "mel0"),  # files are listed by name: copy.png comes first
        ("twice", "foreign"),
    }
    assert {pair.evidence for pair in survey.pairs} == {"same bytes"}
    names = {frozenset((pair.image_id, pair.other_id)) for pair in survey.pairs}
    assert names == {frozenset(("copy", "mel0")), frozenset(("foreign", "mel1"))}
    lines = lines_of(survey)
    assert "stop" in lines["files"]
    assert lines["duplicates"] == {"stop"}
    assert survey.seen.n_images == 13
    assert "cannot be shown" in survey_page(survey, verdict_of(survey))
