"""The page of a run says what independent counting and scikit-learn say, in one file."""

import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
)

from moulage.catalogue import Diagnosis
from moulage.pages import prose
from moulage.pages.records import Answered, Certainty, PhaseRecord, RunRecord
from moulage.pages.report import report_page
from moulage.split import Split

Tables = dict[str, list[list[str]]]
Reader = Callable[[str], Tables]


@pytest.fixture(scope="module")
def tables(report: str, tables_of: Reader) -> Tables:
    return tables_of(report)


def rows_of(table: list[list[str]]) -> dict[str, list[str]]:
    """Index rows by their first cell."""
    return {row[0]: row[1:] for row in table}


def phase_scores(tables: Tables) -> list[list[str]]:
    return next(table for caption, table in tables.items() if caption.startswith("Where each"))


def mean_recall(labels: NDArray[np.int64], decisions: NDArray[np.int64]) -> float:
    """Return balanced accuracy over the diagnoses present."""
    return float(recall_score(labels, decisions, labels=np.unique(labels), average="macro"))


def test_scores_are_those_of_scikit_learn(run: RunRecord, tables: Tables) -> None:
    table = tables["Scores of the kept weights."]
    columns = {part: table[0].index(part) for part in ("train", "validation", "test")}
    found = {(row[0], row[1]): row for row in table}
    for part, column in columns.items():
        rows = run.predictions.of(part)  # type: ignore[arg-type]
        natural = rows.logits.argmax(axis=1)
        balanced = (rows.logits - np.log(rows.prior)).argmax(axis=1)
        probabilities = rows.probabilities()
        expected = {
            ("accuracy", "natural"): np.mean(natural == rows.labels),
            ("accuracy", "balanced"): np.mean(balanced == rows.labels),
            ("balanced accuracy", "natural"): mean_recall(rows.labels, natural),
            ("balanced accuracy", "balanced"): mean_recall(rows.labels, balanced),
            ("log loss after temperature", "none needed"): log_loss(
                rows.labels, probabilities, labels=range(7)
            ),
            ("log loss before temperature", "none needed"): log_loss(
                rows.labels, replace(rows, temperature=1.0).probabilities(), labels=range(7)
            ),
        }
        for key, value in expected.items():
            assert found[key][column] == f"{value:.3f}", (key, part)
        assert found["n images", ""][column] == f"{len(rows):,}"


def test_macro_auroc_is_the_mean_over_the_diagnoses(run: RunRecord, tables: Tables) -> None:
    test = run.predictions.of("test")
    areas = [roc_auc_score(test.labels == k, test.probabilities()[:, k]) for k in range(7)]
    table = tables["Scores of the kept weights."]
    assert rows_of(table)["macro AUROC"][table[0].index("test") - 1] == f"{np.mean(areas):.3f}"
    each = rows_of(tables["Each diagnosis against all others, on the test part."])
    shown = [each[code][1] for code in run.catalogue.codes]
    assert shown == [f"{area:.3f}" for area in areas]


@pytest.mark.parametrize("rule", ["natural", "balanced"])
def test_each_diagnosis_is_that_of_scikit_learn(run: RunRecord, tables: Tables, rule: str) -> None:
    test = run.predictions.of("test")
    shift = np.log(test.prior) if rule == "balanced" else 0
    decided = (test.logits - shift).argmax(axis=1)
    columns = precision_recall_fscore_support(
        test.labels, decided, labels=range(7), zero_division=np.nan
    )
    each = rows_of(tables["Each diagnosis against all others, on the test part."])
    first = 3 if rule == "natural" else 6
    for k, code in enumerate(run.catalogue.codes):
        scores = [columns[i][k] for i in range(3)]
        said = ["not defined (n = 0)" if np.isnan(score) else f"{score:.3f}" for score in scores]
        assert each[code][0] == f"{columns[3][k]:,}"
        assert each[code][first : first + 3] == said
        precision = average_precision_score(test.labels == k, test.probabilities()[:, k])
        assert each[code][2] == f"{precision:.3f}"


@pytest.mark.parametrize("rule", ["natural", "balanced"])
def test_confusion_counts_stand_in_a_table_too(run: RunRecord, tables: Tables, rule: str) -> None:
    test = run.predictions.of("test")
    shift = np.log(test.prior) if rule == "balanced" else 0
    counts = confusion_matrix(test.labels, (test.logits - shift).argmax(axis=1), labels=range(7))
    shown = tables[f"The counts as a table, {rule} rule: rows truth, columns prediction."]
    numbers = [[int(cell.replace(",", "")) for cell in row[1:-1]] for row in shown[2:]]
    np.testing.assert_array_equal(numbers, counts)


def test_the_split_is_counted(run: RunRecord, tables: Tables) -> None:
    table = rows_of(tables["Images and lesions in each part, by diagnosis."])
    frame = run.catalogue.frame.assign(part=run.split.parts)
    for code in run.catalogue.codes:
        rows = frame[frame["diagnosis"] == code]
        expected = [
            f"{part[column].nunique():,}"
            for part in [rows[rows["part"] == p] for p in ("train", "validation", "test")] + [rows]
            for column in ("image_id", "lesion_id")
        ]
        assert table[code] == expected


def test_baselines_stand_beside_the_run(run: RunRecord, tables: Tables) -> None:
    table = rows_of(tables["This run and what is simpler, on the test part."])
    for name, predictions in {run.name: run.predictions, **run.baselines}.items():
        test = predictions.of("test")
        assert table[name][0] == f"{np.mean(test.logits.argmax(axis=1) == test.labels):.3f}"


def test_a_baseline_that_scores_as_well_is_named(run: RunRecord, report: str) -> None:
    said = "At least as good as this run: "
    assert said not in report
    as_good = replace(run, baselines={**run.baselines, "twin": run.predictions})
    assert (
        f"{said}twin in accuracy (natural rule), balanced accuracy (balanced rule), macro AUROC "
        "and log loss."
    ) in report_page(as_good)


def test_phases_say_what_they_trained_and_cost(run: RunRecord, tables: Tables) -> None:
    cost = rows_of(tables["What each phase trained, and what it cost."])
    assert cost["frozen"] == [
        *("head", "10", "0.001", "2,622,727", "4,880,967", "1 min 23 s", "1,210 MiB")
    ]
    assert cost["fine-tuning"][-2:] == ["20 min 34 s", "not measured"]
    scores = rows_of(phase_scores(tables))
    assert scores["fine-tuning"] == [
        *(prose.best_epochs([run]), "0.861", "0.410", "0.771", "0.650", "0.766", "0.664")
    ]
    assert scores["frozen"][0] == prose.best_epochs([run], "frozen")


def test_a_loss_of_one_phase_has_no_dots(run: RunRecord, report: str) -> None:
    frozen = report_page(replace(run, history=run.history.iloc[:10]))
    for page in (report, frozen):
        assert "not comparable with validation, which is plain cross-entropy." in page
    assert "Dotted: where the next phase begins." in report
    assert "Dotted" not in frozen


def test_the_page_is_one_file_without_network(report: str) -> None:
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", report))
    assert {address.split("/")[2] for address in addresses} <= {"www.w3.org"}
    assert not re.findall(r"<(?:link|iframe|object|embed)\b|@import|\bsrc=\"(?!data:)", report)
    assert set(re.findall(r"<script[^>]*>", report)) == {"<script>"}


def test_every_figure_has_a_label_and_every_picture_words(report: str) -> None:
    drawings = re.findall(r"<svg[^>]*>", report)
    assert len(drawings) == 4
    assert all('role="img"' in drawing and "aria-label=" in drawing for drawing in drawings)
    pictures = re.findall(r"<img[^>]*>", report)
    assert len(pictures) == 10
    assert all(re.search(r'alt="[^"]+"', picture) for picture in pictures)


def test_no_id_stands_twice_and_every_link_leads_somewhere(report: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', report)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', report)) <= set(ids)


def test_digests_seed_versions_and_the_warning_are_told(run: RunRecord, report: str) -> None:
    for said in (run.split.digest, run.catalogue.digest, run.predictions.classifier_digest):
        assert said in report
    assert "torch 2.6.0" in report
    assert run.ledger in report
    assert report.count("Not a medical device.") == 2


def test_pages_beside_this_one_are_linked_by_name(run: RunRecord, report: str) -> None:
    beside = replace(run, pages={"trust.html": "how far it can be trusted"})
    assert '<a href="trust.html">how far it can be trusted</a>.' in report_page(beside)
    assert "Beside this page" not in report


def test_the_head_that_reads_covariates_says_which_and_what_is_unknown(run: RunRecord) -> None:
    frame = run.catalogue.frame
    told = replace(
        run,
        catalogue=replace(run.catalogue, frame=frame.assign(sex=["unknown", *frame["sex"][1:]])),
        experiment=replace(run.experiment, covariates=("age", "sex")),
    )
    assert "Beside the image the head reads age and sex as recorded" in report_page(told)
    assert re.search(r"sex is unknown of \d+ image", report_page(told))


def test_a_leak_is_the_first_note(run: RunRecord) -> None:
    tested = run.split.rows_of("test")
    rows = np.concatenate([np.arange(len(run.split)), tested])
    parts = np.concatenate([run.split.parts, np.full(len(tested), "train")])
    leaky = Split(
        image_ids=run.split.image_ids[rows], lesion_ids=run.split.lesion_ids[rows], parts=parts
    )
    page = report_page(replace(run, split=leaky, split_kind="leaky", notes=("Stopped early.",)))
    first, second = re.findall(r'role="note"><strong>Note.</strong> ([^<]+)', page)
    assert f"{len(tested):,} of {len(tested):,} test images (1.000)" in first
    assert second == "Stopped early."


def test_names_from_the_data_are_text_and_nothing_else(run: RunRecord) -> None:
    evil = "<script>alert(1)</script>"
    kinds = (Diagnosis(code=evil, name=evil, colour=evil), *run.catalogue.diagnoses[1:])
    frame = run.catalogue.frame.replace({"diagnosis": {"akiec": evil}})
    catalogue = replace(run.catalogue, frame=frame, diagnoses=kinds, name=evil)
    codes = (evil, *run.predictions.diagnoses[1:])
    page = report_page(
        replace(
            run,
            name=evil,
            notes=(evil,),
            catalogue=catalogue,
            predictions=replace(run.predictions, diagnoses=codes),
            baselines={},
        )
    )
    assert evil not in page
    assert page.count("<script>") == 1


def test_what_stands_between_backquotes_is_code_and_still_escaped(run: RunRecord) -> None:
    page = report_page(replace(run, notes=("Say in `[dataset.classes]`, `<b>`; one ` stays.",)))
    assert "Say in <code>[dataset.classes]</code>, <code>&lt;b&gt;</code>; one ` stays." in page


def test_a_run_without_test_part_epochs_or_pictures_has_a_page(
    run: RunRecord, tables_of: Reader
) -> None:
    rows = np.flatnonzero(run.split.parts != "test")
    split = Split(
        image_ids=run.split.image_ids[rows],
        lesion_ids=run.split.lesion_ids[rows],
        parts=run.split.parts[rows],
    )
    bare = replace(
        run,
        split=split,
        predictions=run.predictions.take(rows),
        history=run.history.iloc[:0],
        experiment=replace(run.experiment, phases=()),
        baselines={},
        thumbnails={},
    )
    page = report_page(bare)
    each = rows_of(tables_of(page)["Each diagnosis against all others, on the test part."])
    assert each["nv"] == ["0", *["not defined (n = 0)"] * 8]
    assert "No image was set aside to test it." in page
    assert "No epoch was recorded" in page
    assert ">nan<" not in page


def test_a_mistake_without_a_thumbnail_says_so(run: RunRecord) -> None:
    assert report_page(replace(run, thumbnails={})).count("no picture kept") == 10


def test_a_part_that_a_phase_did_not_look_at_was_not_measured(
    run: RunRecord, tables_of: Reader
) -> None:
    first, last = run.experiment.phases
    blind: PhaseRecord = replace(first, scores={"train": first.scores["train"]})
    page = report_page(replace(run, experiment=replace(run.experiment, phases=(blind, last))))
    assert rows_of(phase_scores(tables_of(page)))["frozen"] == [
        prose.best_epochs([run], "frozen"),
        "0.803",
        "0.550",
        *["not measured"] * 4,
    ]


def test_the_same_record_gives_the_same_bytes(run: RunRecord, report: str) -> None:
    assert report_page(run) == report


def test_a_run_that_measured_its_certainty_shows_intervals_lesions_and_questions(
    run: RunRecord, tables_of: Callable[[str], dict[str, list[list[str]]]]
) -> None:
    names = ("accuracy", "balanced_accuracy", "macro_f1", "matthews", "cohen_kappa")
    more = ("macro_auroc", "macro_average_precision", "log_loss", "brier")
    ends = dict.fromkeys((*names, *more), (0.4, 0.9)) | {"macro_auroc": (math.nan, math.nan)}
    asked = Answered(
        question="melanoma",
        unit="lesion",
        answer="sensitivity_at_specificity_90",
        value=0.71,
        low=0.6,
        high=0.8,
        other=0.88,
        threshold=0.25,
        n=40,
    )
    certainty = Certainty(
        intervals={"natural": ends, "balanced": ends},
        by_lesion={rule: dict.fromkeys(ends, 0.66) for rule in ("natural", "balanced")},
        asked=(asked,),
        thresholds_from="validation",
    )
    page = report_page(replace(run, certainty=certainty))
    assert page.count('<dd class="beside">0.400 to 0.900</dd>') == 3
    assert page.count('<dd class="beside">no bounds</dd>') == 1
    assert re.search(r"accuracy is 0\.\d{3} \(0\.400 to 0\.900\) under the natural rule", page)
    tables = tables_of(page)
    scores = next(table for caption, table in tables.items() if "drawing lesions" in caption)
    assert scores[1][:2] == ["accuracy", "natural"]
    assert scores[1][3:] == ["0.400 to 0.900", "0.660"]
    auroc = next(row for row in scores if row[0] == "macro AUROC")
    assert auroc[3] == "no bounds"
    questions = next(table for caption, table in tables.items() if "Is it melanoma" in caption)
    assert questions[1] == [
        *("melanoma?", "lesion", "sensitivity at 90 % specificity", "0.710", "40", "0.880"),
        "0.250",
    ]
    assert not any("Is it melanoma" in caption for caption in tables_of(report_page(run)))
