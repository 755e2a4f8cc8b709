"""The comparison page: the paper's table, baselines beside it, one file."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from moulage.pages import prose
from moulage.pages.advice import advice_of
from moulage.pages.comparison import comparison_table
from moulage.pages.prose import uneven_tests
from moulage.pages.recipes import cost_table
from moulage.pages.records import RunRecord, StudyRecord
from moulage.pages.results import ACCURACY, BALANCED
from moulage.pages.standing import Standing, standing_of
from moulage.pages.study import study_page

Reader = Callable[[str], dict[str, list[list[str]]]]


def test_every_column_of_the_papers_table_is_there(
    study: StudyRecord, comparison: str, tables_of: Reader
) -> None:
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
    assert phases[1][2:] == ["weights of", *["accuracy", "loss"] * 3, "time", "peak memory"]
    assert phases[3] == [
        *(
            "exp1",
            "fine-tuning",
            prose.best_epochs(study.runs[:3]),
            "0.861",
            "0.410",
            "0.771",
            "0.650",
            "0.766",
            "0.664",
        ),
        *("20 min 34 s", "not measured"),
    ]


def test_outcomes_are_those_of_the_table_and_baselines_stand_beside_them(
    study: StudyRecord, standing: Standing, comparison: str, tables_of: Reader
) -> None:
    frame = comparison_table(study).set_index(["experiment", "phase"])
    outcome = next(t for caption, t in tables_of(comparison).items() if "kept weights" in caption)
    rows = {row[0]: row[1:] for row in outcome[2:]}
    assert list(rows) == ["exp1", "small", *study.baselines]
    for name, cells in rows.items():
        row = frame.loc[(name, "baseline" if name in study.baselines else "kept")]
        columns = ("test_accuracy", "test_balanced_accuracy", "test_macro_auroc", "test_loss")
        assert cells[1:5] == [f"{row[column]:.3f}" for column in columns]
    found = standing.spread("exp1", ACCURACY).interval
    assert found.value == pytest.approx(frame.loc[("exp1", "kept")]["test_accuracy"])
    assert f"<small>{found.low:.3f}–{found.high:.3f}</small>" in comparison


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
    assert len(drawings) == 8 + 4 + 1 + 6, "curves and confusions, forests, cost, ROC"
    assert all("aria-label=" in drawing for drawing in drawings)
    ids = re.findall(r'\bid="([^"]+)"', comparison)
    assert len(ids) == len(set(ids))


def test_verdicts_stand_as_a_matrix_and_in_words(
    standing: Standing, comparison: str, tables_of: Reader
) -> None:
    tables = tables_of(comparison)
    matrix = next(table for caption, table in tables.items() if "Row minus column" in caption)
    assert matrix[0] == ["experiment", "exp1", "small"]
    assert matrix[1][1] == matrix[2][2] == "—"
    details = next(table for caption, table in tables.items() if "held against" in caption)
    first = standing.pairs[0].difference
    assert details[1][:3] == ["exp1", "small", "accuracy (natural rule)"]
    assert details[1][-1] == first.verdict
    word = first.verdict if first.verdict in ("better", "worse") else "="
    assert matrix[1][2] == f"{word} {first.interval.value:+.3f}".replace("-", "−")
    turned = {"better": "worse", "worse": "better", "=": "="}[word]
    assert matrix[2][1] == f"{turned} {-first.interval.value:+.3f}".replace("-", "−")


def test_the_page_begins_with_advice_from_its_own_numbers(
    study: StudyRecord, standing: Standing, comparison: str
) -> None:
    chosen = advice_of(study, standing, comparison_table(study)).chosen
    assert chosen is not None
    assert f" {chosen} (4,880,967 parameters" in comparison
    found = standing.spread(chosen, BALANCED).interval
    assert (
        f"balanced accuracy {found.value:.3f} ({found.low:.3f} to {found.high:.3f})" in comparison
    )
    assert comparison.index('id="advice"') < comparison.index('id="outcome"')


def test_of_two_diagnoses_the_malignant_ones_curve_is_drawn_alone(run: RunRecord) -> None:
    (mel, nv), kept = run.catalogue.diagnoses[4:6], run.predictions
    rows = np.flatnonzero(np.isin(kept.labels, (4, 5)))
    two = replace(
        kept.take(rows),
        labels=5 - kept.labels[rows],
        logits=kept.logits[rows][:, [5, 4]],
        diagnoses=("nv", "mel"),
        prior=np.array([0.8, 0.2]),
    )
    frame = run.catalogue.frame.iloc[rows].reset_index(drop=True)
    catalogue = replace(run.catalogue, frame=frame, diagnoses=(nv, mel))
    told_apart = replace(run, catalogue=catalogue, predictions=two, baselines={})
    study = StudyRecord(name="two", description="", runs=(told_apart,))
    standing = standing_of(study, n_replicates=20, n_permutations=20)
    page = study_page(study, standing, comparison_table(study))
    assert re.findall(r"(\w+) against the rest \(n", page) == ["mel"]


def test_notes_name_the_runs_they_hold_for(study: StudyRecord) -> None:
    noted = [replace(run, notes=("Stopped early.",)) for run in study.runs[:2]]
    runs = tuple(replace(run, history=run.history.iloc[:0]) for run in noted)
    unfinished = replace(study, runs=runs)
    page = study_page(unfinished, Standing(spreads={}), comparison_table(unfinished))
    assert "No epoch was recorded" in page
    assert "exp1-seed0 and exp1-seed1: Stopped early." in page


def test_the_loss_of_training_is_told_apart_and_dots_are_told_where_there_are_any(
    run: RunRecord, comparison: str
) -> None:
    assert "not comparable with validation" in comparison
    assert "Dotted: where the next phase begins." in comparison
    frozen = replace(run, history=run.history.iloc[:10])
    study = StudyRecord(name="one", description="", runs=(frozen,))
    page = study_page(study, Standing(spreads={}), comparison_table(study))
    assert "not comparable with validation" in page
    assert "Dotted" not in page


def test_a_curve_over_runs_counts_each_image_once(study: StudyRecord, comparison: str) -> None:
    tests = [run.predictions.of("test") for run in study.runs[:3]]
    ids = {str(i) for test in tests for i in test.image_ids[test.labels == 4]}
    assert len(ids) > (tests[0].labels == 4).sum()
    chosen = re.findall(r"rate: (\w+)\. Thin", comparison)
    assert chosen == ["exp1"]
    assert f"mel against the rest (n = {len(ids)} images of it in 3 test parts)." in comparison


def test_an_ensemble_is_told_where_its_cost_is_not(run: RunRecord) -> None:
    whole = replace(run.experiment, name="together", phases=())
    both = replace(run, experiment=whole, history=run.history.iloc[:0])
    study = StudyRecord(name="s", description="", runs=(run, both))
    standing = standing_of(study, n_replicates=20, n_permutations=20)
    table = cost_table(comparison_table(study), standing)
    assert [row[0].text for row in table.rows] == ["exp1"]
    assert table.caption.endswith(
        " Not here: together, an ensemble at the cost of all members together."
    )


def test_a_study_that_ran_nothing_has_a_page(study: StudyRecord) -> None:
    empty = replace(study, runs=(), baselines={})
    page = study_page(empty, Standing(spreads={}), comparison_table(empty))
    assert "No experiment of this study was run." in page
    assert "No experiment was run. 1 experiment could not be run" in page


def folds_of_few(study: StudyRecord, **changes: object) -> StudyRecord:
    """One run thrice; only the first tests any bcc, and the last no melanoma."""
    runs = []
    for lost in ((), ("bcc",), ("bcc", "mel")):
        found = study.runs[0].predictions
        is_lost = np.isin(np.array(found.diagnoses)[found.labels], lost) & (found.parts == "test")
        runs.append(replace(study.runs[0], predictions=found.take(~is_lost)))
    return replace(study, runs=tuple(runs), baselines={}, **changes)


def test_diagnoses_that_some_test_parts_lack_are_named_with_what_that_does(
    study: StudyRecord,
) -> None:
    assert uneven_tests(replace(study, runs=study.runs[:1] * 2)) == ""
    assert uneven_tests(replace(study, runs=())) == ""
    trained = replace(study.runs[0], predictions=study.runs[0].predictions.of("train"))
    assert uneven_tests(replace(study, runs=(study.runs[0], trained))) == ""
    said = uneven_tests(folds_of_few(study))
    assert said == (
        "In some test parts a diagnosis has no image (bcc in 2 of 3, mel in 1 of 3): balanced "
        "accuracy, macro F1 and macro AUROC are there means over the others, so it weighs less in "
        "the means over runs below, which flatters a classifier that seldom finds it."
    )
    pooled = uneven_tests(folds_of_few(study, pooled=("exp1-seed0-pooled",)))
    assert pooled.endswith("; in exp1-seed0-pooled/metrics.json it has its full weight.")


def test_a_cross_validation_says_where_its_pooled_scores_stand(
    study: StudyRecord, comparison: str
) -> None:
    few = folds_of_few(study, pooled=("exp1-seed0-pooled", "exp1-seed1-pooled"))
    standing = standing_of(few, n_replicates=20, n_permutations=19)
    page = study_page(few, standing, comparison_table(few))
    both = "exp1-seed0-pooled/metrics.json and exp1-seed1-pooled/metrics.json"
    assert f"predicted by the fold that tested it, stand in {both}.</p>" in page
    assert "<strong>Note.</strong> In some test parts a diagnosis has no image (bcc in" in page
    assert "metrics.json" not in comparison
