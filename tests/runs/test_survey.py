"""Whole surveys of small folders: sentences held against the tables, pages that stay sensible."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from moulage import actions
from moulage.errors import DataError
from moulage.pages import observations
from moulage.pages.survey import survey_page
from moulage.runs.progress import silently
from moulage.runs.survey import survey_dataset
from moulage.surveying.record import Survey
from moulage.surveying.verdict import verdict_of


@pytest.fixture(scope="module")
def out(casts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of one survey of all casts, with a split that tears one lesion apart."""
    folder = tmp_path_factory.mktemp("surveyed")
    actions.make_split(casts, out=folder / "split.csv")
    leaky = pd.read_csv(folder / "split.csv")
    several = leaky["lesion_id"].value_counts().index[0]
    rows = leaky.index[leaky["lesion_id"] == several]
    leaky.loc[rows, "part"] = "train"
    leaky.loc[rows[0], "part"] = "test"
    leaky.to_csv(folder / "split.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def of_casts(casts: Path, own_cache: Path, out: Path) -> Survey:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOULAGE_CACHE", str(own_cache))
        patch.delenv("MOULAGE_WEIGHTS", raising=False)
        return actions.survey(casts, out=out, split=out / "split.csv")[0]


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


def test_the_page_is_one_file_whose_figures_say_what_they_show(of_casts: Survey, out: Path) -> None:
    page = (out / "survey.html").read_text()
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
    assert lines["groups"] == {"look"}
    assert {subject for subject, levels in lines.items() if "stop" in levels} == {"split"}
    (after,) = [one for one in of_casts.telltales if one.known_after]
    assert after.name == "dx_type"


def test_a_lesion_in_two_parts_is_named_first_and_pairs_are_written(
    of_casts: Survey, out: Path
) -> None:
    split = pd.read_csv(out / "split.csv")
    parts = split.groupby("lesion_id")["part"].nunique()
    assert of_casts.split is not None
    assert of_casts.split.lesions == tuple(parts.index[parts > 1])
    assert of_casts.split.n_leaked == 1
    assert of_casts.split.lesions[0] in verdict_of(of_casts)[0].sentence
    pairs = pd.read_csv(out / "near_duplicates.csv")
    assert {"image_id", "other_id", "certainty"} <= set(pairs.columns)
    assert len(pairs) == len(of_casts.pairs)
    suspects = pd.read_csv(out / "suspect_labels.csv")
    assert len(suspects) == len(of_casts.review.suspects if of_casts.review else ())
    assert suspects.columns.tolist()[:3] == ["suspect", "given", "suggested"]


def test_one_image_gives_a_page_and_a_clear_stop(folder_of: Any) -> None:
    folder = folder_of(["a.png"], table="image_id,diagnosis\na,nv\n")
    survey = survey_dataset(folder, {"kind": "table"}, progress=silently)
    lines = verdict_of(survey)
    assert [line.subject for line in lines if line.level == "stop"] == ["diagnoses"]
    assert "All images have one diagnosis, nv" in lines[0].sentence
    said = [line.sentence for line in lines if line.subject == "marks"]
    assert not any("is shown to reach" in sentence for sentence in said)
    assert "nothing to tell apart" in lines[0].sentence
    page = survey_page(survey, lines)
    assert "1 image of 1 lesion, 1 diagnosis." in page
    assert "The only image shows nv." in page
    assert "not defined (n = 0)" not in page, "what is not known has no row"


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
    said = {line.sentence for line in verdict_of(survey) if line.subject == "files"}
    assert "Images that show nothing, one shade all over: 1." in said
    assert lines["duplicates"] == {"stop"}
    assert survey.seen.n_images == 13
    assert "cannot be shown" in survey_page(survey, verdict_of(survey))


def test_pairs_that_a_list_ties_are_marked_and_stop_nothing(folder_of: Any, tmp_path: Path) -> None:
    names = [f"{code}/{code}{i}.png" for code in ("mel", "nv") for i in range(4)]
    folder = folder_of(names)
    for copy, source in (("copy", "mel0"), ("again", "mel1")):
        (folder / "mel" / f"{copy}.png").write_bytes(
            (folder / "mel" / f"{source}.png").read_bytes()
        )
    merge = tmp_path / "merge.csv"
    merge.write_text("image_id,other_id\ncopy,mel0\n")
    survey = survey_dataset(folder, merge=str(merge), progress=silently)
    tied = [(pair.image_id, pair.other_id, pair.tied_by) for pair in survey.pairs]
    assert tied == [("again", "mel1", ""), ("copy", "mel0", "merge.csv")]
    found = [line for line in verdict_of(survey) if line.subject == "duplicates"]
    assert [line.level for line in found] == ["stop", "ok"]
    assert "1 pair of images under different lesion ids may show one lesion" in found[0].sentence
    assert "kept together in splits by merge.csv" in found[1].sentence
    assert "tied by merge.csv" in survey_page(survey, verdict_of(survey))
    merge.write_text("image_id,other_id\ncopy,mel0\nagain,mel1\n")
    assert "stop" not in lines_of(replace(survey, pairs=survey.pairs[1:]))["duplicates"]
    actions.make_split(folder, merge=str(merge), out=tmp_path / "split.csv")
    split = survey_dataset(
        folder, merge=str(merge), split=tmp_path / "split.csv", progress=silently
    )
    assert split.split is not None
    assert split.split.lesions == ()
    with pytest.raises(DataError, match=r"name that list \(`--merge`"):
        survey_dataset(folder, split=tmp_path / "split.csv", progress=silently)


def test_columns_that_no_one_named_are_examined_too(folder_of: Any) -> None:
    rng = np.random.default_rng(0)
    rows = [(f"a{i}", ("mel", "nv")[i % 2]) for i in range(60)]
    lines = [f"{name},{dx},{'cure' if dx == 'mel' else 'none'},{rng.random()}" for name, dx in rows]
    table = "\n".join(["image_id,diagnosis,treatment,weight_kg", *lines]) + "\n"
    folder = folder_of([f"{name}.png" for name, _ in rows], table=table)
    survey = survey_dataset(folder, {"kind": "table"}, progress=silently)
    found = {one.name: one for one in survey.telltales}
    assert found["treatment"].auroc == pytest.approx(1.0)
    assert found["weight_kg"].auroc < 0.7
    assert found["weight_kg"].n_levels > 8, "numbers are binned, not words"
    pure, strong = [line for line in verdict_of(survey) if line.subject == "columns"]
    assert pure.level == strong.level == "look"
    assert "treatment has words of one diagnosis only: cure (30 images, mel)" in pure.sentence
    assert "treatment alone predicts the diagnosis with a macro AUROC of 1.00" in strong.sentence


def test_one_diagnosis_that_is_given_away_counts_though_the_mean_hides_it(folder_of: Any) -> None:
    n_images = {"bcc": 30, "bkl": 30, "mel": 20, "nv": 60}
    rows = [(f"{dx}{i}", dx) for dx, n in n_images.items() for i in range(n)]
    clinics = ["oncology" if dx == "mel" else "practice" for _, dx in rows]
    wards = [
        "oncology" if name in {"bcc0", "bkl0", "nv0"} or dx == "mel" else "" for name, dx in rows
    ]
    cells = zip(rows, clinics, wards, strict=True)
    lines = [f"{name},{dx},{clinic},{ward}" for (name, dx), clinic, ward in cells]
    folder = folder_of(
        [f"{name}.{'png' if dx == 'mel' else 'jpg'}" for name, dx in rows],
        table="\n".join(["image_id,diagnosis,clinic,ward", *lines]) + "\n",
    )
    survey = survey_dataset(folder, {"kind": "table"}, progress=silently)
    form = next(one for one in survey.telltales if one.name == "file format")
    assert form.auroc < 0.8
    said = [(line.level, line.sentence) for line in verdict_of(survey)]
    assert any(level == "stop" and "File format alone" in words for level, words in said)
    assert any(level == "look" and "clinic has words of one" in words for level, words in said)
    assert any(level == "look" and "ward alone predicts" in words for level, words in said)


def test_same_pixels_in_other_bytes_are_not_called_unlike(folder_of: Any) -> None:
    folder = folder_of([f"{code}/{code}{i}.png" for code in ("mel", "nv") for i in range(3)])
    image = cv2.imread(str(folder / "mel" / "mel0.png"))
    assert image is not None
    cv2.imwrite(str(folder / "mel" / "again.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    said = [line.sentence for line in verdict_of(survey_dataset(folder, progress=silently))]
    assert "All 7 files are whole, and no two have the same bytes." in said
    assert any("same pixels 1" in sentence for sentence in said)


def test_dx_type_is_warned_of_where_all_have_one_diagnosis(folder_of: Any) -> None:
    table = "image_id,lesion_id,diagnosis,dx_type\na,l,nv,histo\nb,l,nv,histo\nc,m,nv,consensus\n"
    folder = folder_of(["a.png", "b.png", "c.png"], table=table)
    lines = verdict_of(survey_dataset(folder, {"kind": "table"}, progress=silently))
    assert [line.level for line in lines if line.subject == "columns"] == ["look"]
    assert not any("nan" in line.sentence for line in lines)


def test_marks_that_do_not_vary_are_not_called_too_few(folder_of: Any) -> None:
    folder = folder_of([f"{code}/{code}{i}.png" for code in ("mel", "nv") for i in range(6)])
    content = (folder / "mel" / "mel0.png").read_bytes()
    for path in folder.glob("*/*.png"):
        path.write_bytes(content)
    lines = verdict_of(survey_dataset(folder, progress=silently))
    (said,) = [line for line in lines if line.subject == "marks"]
    assert (said.level, "varies" in said.sentence) == ("ok", True)


def test_what_was_written_into_the_pairs_outlives_a_second_survey(
    folder_of: Any, tmp_path: Path
) -> None:
    folder = folder_of(["nv/a.png", "mel/c.png"])
    (folder / "nv" / "b.png").write_bytes((folder / "nv" / "a.png").read_bytes())
    table, marks = tmp_path / "out" / "near_duplicates.csv", []
    for mark in ("no", "perhaps"):
        actions.survey(folder, out=table.parent)
        pairs = pd.read_csv(table, dtype=str, keep_default_na=False)
        marks.append(pairs.set_index(["image_id", "other_id"]).loc[("a", "b"), "confirmed"])
        pairs.assign(confirmed=mark).to_csv(table, index=False)
    assert marks == ["yes", "no"]
