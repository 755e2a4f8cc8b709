"""The comparison page: the paper's table, baselines beside it, one file."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from moulage.pages.comparison import comparison_table
from moulage.pages.records import ComparisonRow, StudyRecord
from moulage.pages.study import study_page

Reader = Callable[[str], dict[str, list[list[str]]]]


def test_every_column_of_the_papers_table_is_there(comparison: str, tables_of: Reader) -> None:
    tables = tables_of(comparison)
    recipe = tables["What was compared; parameters trained in the first phase and in the last."]
    assert recipe[1] == [
        *("experiment", "architecture", "hidden layers", "regularisation", "imbalance"),
        *("epochs", "first", "last", "total"),
    ]
    assert recipe[2][2:4] == ["1 layer, size 128", "dropout 0.5, batch normalisation"]
    assert recipe[2][5:] == ["10 + 10", "2,622,727", "4,846,855", "4,880,967"]
    phases = next(table for caption, table in tables.items() if caption.startswith("Where each"))
    assert phases[0] == ["", "train", "validation", "test", ""]
    assert phases[1][2:] == [*["accuracy", "loss"] * 3, "time", "peak memory"]
    assert phases[3] == [
        *("exp1", "fine-tuning", "0.861", "0.410", "0.771", "0.650", "0.766", "0.664"),
        *("20 min 34 s", "not measured"),
    ]


def test_outcomes_are_those_of_the_table_and_baselines_stand_beside_them(
    study: StudyRecord, comparison: str, tables_of: Reader
) -> None:
    frame = comparison_table(study).set_index(["experiment", "phase"])
    outcome = next(t for caption, t in tables_of(comparison).items() if "kept weights" in caption)
    rows = {row[0]: row[1:] for row in outcome[2:]}
    assert list(rows) == ["exp1", "small", *study.baselines]
    for name, cells in rows.items():
        row = frame.loc[(name, "baseline" if name in study.baselines else "kept")]
        columns = ("test_accuracy", "test_balanced_accuracy", "test_macro_auroc", "test_loss")
        assert cells[1:5] == [f"{row[column]:.3f}" for column in columns]
    assert f"{frame.loc[('exp1', 'kept')]['test_accuracy_low']:.3f}–" in comparison


def test_confusions_of_several_runs_are_added_up(study: StudyRecord, comparison: str) -> None:
    n = sum(len(run.predictions.of("test")) for run in study.runs[:3])
    right = sum(
        int(np.sum(t.logits.argmax(axis=1) == t.labels))
        for t in (run.predictions.of("test") for run in study.runs[:3])
    )
    assert f"exp1, natural rule (n = {n:,} test images, 3 runs added up)." in comparison
    assert f"Confusion matrix of exp1, natural rule. {right:,} of {n:,} images" in comparison


def test_what_was_not_run_is_told_with_its_reason(comparison: str) -> None:
    assert "<dt>exp3</dt>\n<dd>No weights for densenet201 were found.</dd>" in comparison


def test_the_page_is_one_file_without_network(comparison: str) -> None:
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", comparison))
    assert {address.split("/")[2] for address in addresses} <= {"www.w3.org"}
    assert not re.findall(r"<(?:link|iframe|object|embed)\b|@import|\bsrc=\"(?!data:)", comparison)


def test_figures_are_labelled_and_no_id_stands_twice(comparison: str) -> None:
    drawings = re.findall(r"<svg[^>]*>", comparison)
    assert len(drawings) == 8
    assert all("aria-label=" in drawing for drawing in drawings)
    ids = re.findall(r'\bid="([^"]+)"', comparison)
    assert len(ids) == len(set(ids))


def test_verdicts_are_shown_where_there_are_any(study: StudyRecord, tables_of: Reader) -> None:
    verdict = ComparisonRow(
        first="exp1",
        second="small",
        metric="accuracy, natural rule",
        difference=-0.031,
        low=-0.052,
        high=0.004,
        p_value=0.0004,
        verdict="no difference shown on 180 lesions",
    )
    tables = tables_of(study_page(replace(study, runs=(), comparisons=(verdict,))))
    shown = next(table for caption, table in tables.items() if "held against" in caption)
    assert shown[1][2:] == [
        *("accuracy, natural rule", "−0.031", "−0.052 to +0.004", "< 0.001"),
        "no difference shown on 180 lesions",
    ]


def test_notes_name_the_runs_they_hold_for(study: StudyRecord) -> None:
    noted = [replace(run, notes=("Stopped early.",)) for run in study.runs[:2]]
    runs = tuple(replace(run, history=run.history.iloc[:0]) for run in noted)
    page = study_page(replace(study, runs=runs))
    assert "No epoch was recorded" in page
    assert "exp1-seed0 and exp1-seed1: Stopped early." in page


def test_a_study_that_ran_nothing_has_a_page(study: StudyRecord) -> None:
    page = study_page(replace(study, runs=(), baselines={}))
    assert "No experiment of this study was run." in page
    assert "No experiment was run. 1 experiment could not be run" in page
