"""Finished runs measured on foreign sets: what `metrics.json` of `moulage evaluate` holds."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, recall_score, roc_auc_score

from moulage import actions
from moulage.errors import ConfigError, DataError, RunError
from moulage.evaluation.decisions import decide
from moulage.evaluation.intervals import as_json, intervals
from moulage.predictions import read_predictions
from moulage.runs.folder import RunFolder
from moulage.runs.material import open_described
from moulage.runs.schedule import run_study
from moulage.runs.studyfile import parse_study
from moulage.seeding import generator

from .conftest import TINY

LACKING = "df"


def silent(what: str, done: int, total: int) -> None:
    """Report progress to nobody."""


@pytest.fixture(scope="module")
def runs(casts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, ...]:
    """Two classifiers, and the ensemble of both."""
    content: dict[str, Any] = {
        "name": "small",
        "dataset": {"path": str(casts)},
        "images": {"size": 32},
        "machine": {"threads": 1, "precision": "float32"},
        "experiment": [TINY, {**TINY, "name": "other", "seeds": [1]}],
        "ensemble": [{"name": "both", "of": ["tiny", "other"]}],
    }
    out = tmp_path_factory.mktemp("runs")
    study = parse_study(content)
    return run_study(study, out=out, only=(), fresh=False, progress=silent).finished


@pytest.fixture
def site(casts: Path, tmp_path: Path) -> Path:
    """Return a table of casts under codes of its own, one diagnosis lacking, one unknown to us."""
    table = pd.read_csv(casts / "HAM10000_metadata.csv")
    table = table[table["dx"] != LACKING].rename(columns={"dx": "diagnosis"})
    table["diagnosis"] = table["diagnosis"].replace({"nv": "mole", "vasc": "red spot"})
    folder = tmp_path / "site"
    for name in table["image_id"]:
        picture = next(casts.rglob(f"{name}.jpg"))
        (folder / "photos").mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder / "photos")
    table.drop(columns="dataset", errors="ignore").to_csv(folder / "labels.csv", index=False)
    return folder


def evaluated(run: RunFolder, dataset: Path, out: Path, **options: Any) -> dict[str, Any]:
    layout = {"kind": "table", "mapping": {"mole": "nv"}, **options}
    actions.evaluate(run.path, dataset, out=out, **layout)
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def test_scores_are_those_of_scikit_learn_on_the_predictions(
    runs: tuple[RunFolder, ...], site: Path, tmp_path: Path
) -> None:
    metrics = evaluated(runs[0], site, tmp_path / "out")
    found = read_predictions(tmp_path / "out" / "predictions.parquet")
    natural, balanced = (metrics["parts"]["test"][rule] for rule in ("natural", "balanced"))
    labels, probabilities = found.labels, found.probabilities()
    present = np.unique(labels)
    assert natural["accuracy"] == pytest.approx(
        accuracy_score(labels, found.logits.argmax(axis=1)), rel=1e-6
    )
    decisions = decide(logits=found.logits.astype(float), prior=found.prior, rule="balanced")
    recalls = recall_score(labels, decisions, labels=present, average="macro", zero_division=0)
    assert balanced["balanced_accuracy"] == pytest.approx(recalls, rel=1e-6)
    assert natural["log_loss"] == pytest.approx(
        log_loss(labels, probabilities, labels=range(len(found.diagnoses))), rel=1e-6
    )
    areas = [roc_auc_score(labels == k, probabilities[:, k]) for k in present]
    assert natural["macro_auroc"] == pytest.approx(np.mean(areas), rel=1e-6)
    assert metrics["diagnoses"] == list(found.diagnoses)
    rows = np.array(natural["confusion"]).sum(axis=1)
    assert rows.tolist() == np.bincount(labels, minlength=len(found.diagnoses)).tolist()


def test_metrics_say_what_was_measured_and_with_what(
    runs: tuple[RunFolder, ...], site: Path, tmp_path: Path
) -> None:
    run = runs[0]
    (site / "photos/stray.jpg").write_bytes(b"no row names it")
    metrics = evaluated(run, site, tmp_path / "out")
    catalogue = open_described(site, {"kind": "table"}, absent="note").catalogue
    assert metrics["dataset"]["digest"] == catalogue.digest
    assert metrics["dataset"]["path"] == str(site.resolve())
    assert metrics["mapping"]["mole"] == "nv"
    assert metrics["mapping"]["mel"] == "mel"
    assert set(metrics["n_unmapped"]) == {"red spot"}
    own = read_predictions(run.path / "predictions.parquet")
    assert metrics["classifier_digest"] == own.classifier_digest
    stray, benign, known, lacking = metrics["notes"]
    assert stray.startswith("1 of ")
    assert "images have no row in labels.csv (photos/stray.jpg)" in stray
    assert benign.startswith("Diagnoses that nobody knows count as benign")
    assert "bear ids of the set that the run was made from" in known
    assert lacking.startswith(f"2 of the classifier's 7 diagnoses have no image here ({LACKING}, v")
    assert metrics["fitted"].endswith("on the validation part, whose images also chose the epoch.")


def test_intervals_draw_lesions_and_absent_diagnoses_are_null(
    runs: tuple[RunFolder, ...], site: Path, tmp_path: Path
) -> None:
    metrics = evaluated(runs[0], site, tmp_path / "out")
    found = read_predictions(tmp_path / "out" / "predictions.parquet")
    for rule, kept in metrics["certainty"]["intervals"].items():
        expected = as_json(intervals(found, rng=generator("intervals"), rule=rule))
        assert kept["accuracy"] == pytest.approx(expected["accuracy"], rel=1e-6)
        assert kept["log_loss"] == pytest.approx(expected["log_loss"], rel=1e-6)
        assert kept.keys() == expected.keys()
    assert kept[f"recall.{LACKING}"] == [None, None]
    of_lacking = metrics["parts"]["test"]["natural"]["diagnoses"][LACKING]
    assert of_lacking.pop("support") == 0
    assert set(of_lacking.values()) == {None}
    sets = metrics["trust"]["sets"][1]["covered"]
    assert [one["share"] for one in sets if one["code"] == LACKING] == [None]


@pytest.mark.parametrize("place", [0, 2])
def test_on_its_own_test_part_a_run_is_measured_as_it_measured_itself(
    runs: tuple[RunFolder, ...], casts: Path, tmp_path: Path, place: int
) -> None:
    run = runs[place]
    own = read_predictions(run.path / "predictions.parquet").of("test")
    table = pd.read_csv(casts / "HAM10000_metadata.csv")
    for name in own.image_ids:
        (tmp_path / "test").mkdir(exist_ok=True)
        shutil.copy(next(casts.rglob(f"{name}.jpg")), tmp_path / "test")
    tested = table[table["image_id"].isin(own.image_ids)]
    tested.to_csv(tmp_path / "test/HAM10000_metadata.csv", index=False)
    out = tmp_path / "out"
    metrics = evaluated(run, tmp_path / "test", out, kind="ham10000", mapping={})
    assert metrics["classifier_digest"] == own.classifier_digest
    kept = run.metrics()
    scores, expected = (each["parts"]["test"]["natural"] for each in (metrics, kept))
    assert scores["confusion"] == expected["confusion"]
    assert scores["log_loss"] == pytest.approx(expected["log_loss"], rel=1e-4)
    ours, theirs = (each["certainty"] for each in (metrics, kept))
    assert ours["thresholds_from"] == theirs["thresholds_from"]
    for question in theirs["questions"]:
        one, other = (each["questions"][question]["by_image"] for each in (ours, theirs))
        assert one["n_positives"] == other["n_positives"]
        name = "sensitivity_at_specificity_90"
        assert one[name]["threshold"] == other[name]["threshold"], "chosen on the run's own images"
    actions.trust(run.path)
    page = json.loads((run.path / "trust-test.json").read_text())
    assert metrics["trust"]["calibration"]["after"]["ece"] == pytest.approx(
        page["calibration"]["after"]["ece"], rel=1e-4
    )
    assert metrics["trust"]["unfamiliarity"]["n_images"] == len(own)
    assert evaluated(run, tmp_path / "test", out, kind="ham10000", mapping={}) == metrics


def test_another_result_is_not_overwritten(
    runs: tuple[RunFolder, ...], site: Path, casts: Path, tmp_path: Path
) -> None:
    first = evaluated(runs[0], site, tmp_path / "out")
    with pytest.raises(RunError, match=r"got metrics of .*tiny-seed0 on site in .*out\. Name anot"):
        evaluated(runs[0], casts, tmp_path / "out", kind="ham10000", mapping={})
    with pytest.raises(RunError, match="must be free, or hold what this classifier made"):
        evaluated(runs[1], site, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == first
    with pytest.raises(RunError, match="got metrics of something else"):
        evaluated(runs[0], site, runs[0].path)


def test_a_study_file_may_skip_what_cannot_be_read(
    runs: tuple[RunFolder, ...], site: Path, tmp_path: Path
) -> None:
    whole = evaluated(runs[0], site, tmp_path / "whole")
    measured = read_predictions(tmp_path / "whole" / "predictions.parquet").image_ids
    (site / f"photos/{measured[0]}.jpg").write_bytes(b"\xff\xd8\xff")
    described = tmp_path / "site.toml"
    described.write_text(f"[dataset]\npath = '{site}'\nkind = 'table'\n")
    with pytest.raises(DataError, match=r"in a study, skip them with `images\.unreadable = "):
        evaluated(runs[0], described, tmp_path / "out")
    described.write_text(described.read_text() + "[images]\nunreadable = 'skip'\n")
    metrics = evaluated(runs[0], described, tmp_path / "out")
    assert (whole["n_unreadable"], metrics["n_unreadable"]) == (0, 1)
    assert any(
        note.startswith(f"photos/{measured[0]}.jpg was left out: ") for note in metrics["notes"]
    )
    left = read_predictions(tmp_path / "out" / "predictions.parquet")
    assert left.image_ids.tolist() == measured[1:].tolist()
    described.write_text(described.read_text().replace("unreadable", "unreadble"))
    with pytest.raises(ConfigError, match=r"Did you mean 'unreadable'"):
        evaluated(runs[0], described, tmp_path / "out")


def test_a_space_after_a_code_is_seen_and_the_nearest_code_named(
    runs: tuple[RunFolder, ...], site: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(site / "labels.csv").query("diagnosis in ['bcc', 'mel']")
    table.assign(diagnosis=table["diagnosis"] + " ").to_csv(site / "labels.csv", index=False)
    with pytest.raises(ConfigError, match=r"'mel', .*; got 'bcc ', 'mel '\. Did you mean 'bcc'\?"):
        evaluated(runs[0], site, tmp_path / "out", mapping={})
    with pytest.raises(ConfigError, match="theirs one of 'bcc ', 'mel ' and ours one of 'akiec'"):
        evaluated(runs[0], site, tmp_path / "out", mapping={"bcc": "bcc"})
