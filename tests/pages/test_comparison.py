"""The comparison's numbers: means and ranges over runs, computed again here."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moulage.pages.comparison import (
    COLUMNS,
    baselines_of,
    comparison_table,
    experiments_of,
)
from moulage.pages.records import Score, StudyRecord


def row_of(frame: pd.DataFrame, experiment: str, phase: str) -> pd.Series:
    found = frame[(frame["experiment"] == experiment) & (frame["phase"] == phase)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_row_stands_for_each_phase_the_kept_weights_and_each_baseline(
    study: StudyRecord,
) -> None:
    frame = comparison_table(study)
    assert list(frame.columns) == list(COLUMNS)
    assert list(zip(frame["experiment"], frame["phase"], frame["n_runs"], strict=True)) == [
        ("exp1", "frozen", 3),
        ("exp1", "fine-tuning", 3),
        ("exp1", "kept", 3),
        ("small", "frozen", 1),
        ("small", "fine-tuning", 1),
        ("small", "kept", 1),
        *((name, "baseline", 3) for name in study.baselines),
    ]


def test_kept_accuracy_is_the_mean_over_runs_with_its_range(study: StudyRecord) -> None:
    tests = [run.predictions.of("test") for run in study.runs[:3]]
    accuracies = [float(np.mean(t.logits.argmax(axis=1) == t.labels)) for t in tests]
    row = row_of(comparison_table(study), "exp1", "kept")
    assert row["test_accuracy"] == pytest.approx(np.mean(accuracies), rel=1e-12)
    assert row["test_accuracy_low"] == min(accuracies)
    assert row["test_accuracy_high"] == max(accuracies)
    assert row["test_loss"] != row["test_log_loss_calibrated"]


def test_phase_scores_are_averaged_over_runs(study: StudyRecord) -> None:
    runs = list(study.runs)
    phases = runs[0].experiment.phases
    better = replace(phases[0], scores={"test": Score(accuracy=0.9, loss=0.1)}, seconds=100.0)
    runs[0] = replace(runs[0], experiment=replace(runs[0].experiment, phases=(better, phases[1])))
    row = row_of(comparison_table(replace(study, runs=tuple(runs))), "exp1", "frozen")
    assert row["test_accuracy"] == pytest.approx((0.9 + 2 * 0.739) / 3, rel=1e-12)
    assert (row["test_accuracy_low"], row["test_accuracy_high"]) == (0.739, 0.9)
    assert row["seconds_high"] == 100.0
    assert math.isnan(row["train_accuracy"])  # one run did not measure it


def test_equal_values_have_themselves_as_mean(study: StudyRecord) -> None:
    row = row_of(comparison_table(study), "exp1", "frozen")
    assert row["validation_accuracy"] == row["validation_accuracy_low"] == 0.744


def test_a_file_of_the_table_reads_back(study: StudyRecord) -> None:
    text = comparison_table(study).to_csv(index=False)
    assert "exp1,frozen,mobilenetv2_100,128," in text
    assert ",2622727,4880967,3," in text


def test_a_study_that_ran_nothing_has_an_empty_table() -> None:
    empty = comparison_table(StudyRecord(name="none", description="", runs=()))
    assert list(empty.columns) == list(COLUMNS)
    assert empty.empty


def test_a_run_stopped_in_its_first_phase_is_counted_there_only(study: StudyRecord) -> None:
    runs = list(study.runs)
    short = replace(runs[0].experiment, phases=runs[0].experiment.phases[:1])
    runs[0] = replace(runs[0], experiment=short)
    frame = comparison_table(replace(study, runs=tuple(runs)))
    assert row_of(frame, "exp1", "frozen")["n_runs"] == 3
    assert row_of(frame, "exp1", "fine-tuning")["n_runs"] == 2


def test_experiments_keep_the_studys_order(study: StudyRecord) -> None:
    assert {name: len(runs) for name, runs in experiments_of(study).items()} == {
        "exp1": 3,
        "small": 1,
    }


def test_a_baseline_counts_once_a_split(study: StudyRecord) -> None:
    found = baselines_of(study.runs)  # exp1 and small share the split of seed 0
    assert {name: len(each) for name, each in found.items()} == dict.fromkeys(study.baselines, 3)
