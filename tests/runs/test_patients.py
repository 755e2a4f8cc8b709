"""Runs that read the patient's record: trained, resumed, asked, measured, explained, together."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moulage.catalogue import read_catalogue
from moulage.errors import ConfigError, DataError
from moulage.explanation.examination import Manner
from moulage.networks.saved import load_classifier
from moulage.predictions import read_predictions
from moulage.runs.application import classify_files
from moulage.runs.explaining import Inquiry, explain_files, open_witness
from moulage.runs.foreign import classify_catalogue
from moulage.runs.patients import told_of_files
from moulage.runs.schedule import Outcome, run_study
from moulage.runs.studyfile import parse_study

from .conftest import FROZEN, TINY

RECORD = ["age", "sex", "localization"]
FINE = {"name": "fine", "train_from": "all", "epochs": 1, "batch": 16}


def quiet(what: str, done: int, total: int) -> None:
    """Report progress to nobody."""


@pytest.fixture(scope="module")
def outcome(casts: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    plain = {**TINY, "name": "plain"}
    content: dict[str, Any] = {
        "name": "record",
        "dataset": {"path": str(casts)},
        "images": {"size": 32},
        "machine": {"threads": 1, "precision": "float32"},
        "experiment": [
            {**TINY, "name": "told", "covariates": RECORD, "phases": [FROZEN, FINE]},
            {**TINY, "name": "turned", "covariates": RECORD, "views": 8},
            plain,
        ],
        "ensemble": [{"name": "together", "of": ["plain", "turned"]}],
    }
    out = tmp_path_factory.mktemp("record")
    return run_study(parse_study(content), out=out, only=(), fresh=False, progress=quiet)


@pytest.fixture
def table(outcome: Outcome, tmp_path: Path) -> Path:
    """Return a CSV of the casts' ids and covariates, a column of no use among them."""
    frame = read_catalogue(outcome.finished[0].path / "catalogue.parquet").frame
    path = tmp_path / "record.csv"
    frame[["image_id", *RECORD, "dx_type"]].to_csv(path, index=False)
    return path


def test_covariates_are_fitted_on_training_rows_alone(outcome: Outcome) -> None:
    run = outcome.finished[0]
    catalogue = read_catalogue(run.path / "catalogue.parquet")
    parts = read_predictions(run.path / "predictions.parquet").parts
    age, *_ = load_classifier(run.path).classifier.recipe.covariates
    assert age.mean == pytest.approx(catalogue.frame["age"][parts == "train"].mean())
    assert age.mean != pytest.approx(catalogue.frame["age"].mean(), rel=1e-6)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_new_images_beside_their_table_are_answered_as_in_training(
    outcome: Outcome, casts: Path, table: Path, place: int
) -> None:
    run, pictures = outcome.finished[place], sorted(casts.rglob("*.jpg"))[:7]
    answers = classify_files(run, pictures, covariates=table, progress=quiet)
    written = read_predictions(run.path / "predictions.parquet")
    rows = [written.image_ids.tolist().index(path.stem) for path in pictures]
    columns = [f"probability_{code}" for code in written.diagnoses]
    np.testing.assert_allclose(
        answers.table[columns].to_numpy(), written.take(np.array(rows)).probabilities(), atol=1e-4
    )
    assert answers.missing == ()


def test_an_ensemble_reads_what_any_of_its_members_reads(outcome: Outcome) -> None:
    together = outcome.finished[3]
    assert together.path.name == "together-seed0"
    assert together.study()["experiment"][0]["covariates"] == RECORD
    recipe = load_classifier(together.path).classifier.recipe
    assert sorted(len(member.covariates) for member in recipe.members) == [0, 3]


def test_images_without_a_row_are_unknown_and_counted(
    outcome: Outcome, casts: Path, table: Path
) -> None:
    run, pictures = outcome.finished[0], sorted(casts.rglob("*.jpg"))[:3]
    few = pd.read_csv(table)
    few = few[few["image_id"] != pictures[1].stem]
    few.assign(sex="Other").to_csv(table, index=False)
    answers = classify_files(run, pictures, covariates=table, progress=quiet)
    absent, *unknown = answers.missing
    assert absent == f"1 of 3 images have no row in {table} ({pictures[1].stem})."
    assert any("`sex` is unknown of 3 of 3 images, 2 of them" in note for note in unknown)
    assert len(answers.table) == 3


def test_answers_without_covariates_are_refused(
    outcome: Outcome, casts: Path, table: Path, tmp_path: Path
) -> None:
    run, pictures = outcome.finished[0], sorted(casts.rglob("*.jpg"))[:1]
    with pytest.raises(ConfigError, match="got no table, where it reads age, sex, localization"):
        classify_files(run, pictures, progress=quiet)
    with pytest.raises(ConfigError, match="got no file at"):
        classify_files(run, pictures, covariates=tmp_path / "no.csv", progress=quiet)
    frame = pd.read_csv(table)
    frame.drop(columns="age").to_csv(table, index=False)
    with pytest.raises(DataError, match="must have the columns image_id, age, sex, localization"):
        classify_files(run, pictures, covariates=table, progress=quiet)
    pd.concat([frame, frame[:1]]).to_csv(table, index=False)
    with pytest.raises(DataError, match=f"got more of {frame['image_id'][0]} in"):
        classify_files(run, pictures, covariates=table, progress=quiet)
    (tmp_path / "again").mkdir()
    twin = Path(shutil.copy(pictures[0], tmp_path / "again"))
    frame.to_csv(table, index=False)
    with pytest.raises(DataError, match=r"must have names of their own; got 2 that share one \("):
        classify_files(run, [*pictures, twin], covariates=table, progress=quiet)
    table.write_text(table.read_text() + ",,,\n,,,\n")  # as spreadsheets end
    assert len(classify_files(run, pictures, covariates=table, progress=quiet).table) == 1
    with pytest.raises(ConfigError, match="must go to a classifier that reads some"):
        told_of_files((), ["a.jpg"], table=table)


def test_a_foreign_set_is_answered_from_its_own_columns(outcome: Outcome) -> None:
    run = outcome.finished[0]
    catalogue = read_catalogue(run.path / "catalogue.parquet")
    foreign = classify_catalogue(run, catalogue, theirs={}, progress=quiet)
    written = read_predictions(run.path / "predictions.parquet")
    np.testing.assert_allclose(foreign.predictions.logits, written.logits, atol=1e-4)
    assert f"{len(catalogue)} of {len(catalogue)} images bear ids of the set" in foreign.notes[0]
    silent = type(catalogue)(
        frame=catalogue.frame.assign(age=np.nan),
        diagnoses=catalogue.diagnoses,
        root=catalogue.root,
    )
    notes = classify_catalogue(run, silent, theirs={}, progress=quiet).notes
    assert any(f"`age` is unknown of {len(silent)} of {len(silent)} images" in n for n in notes)


def test_an_explanation_varies_the_image_and_keeps_the_record(
    outcome: Outcome, casts: Path, table: Path
) -> None:
    run, pictures = outcome.finished[0], sorted(casts.rglob("*.jpg"))[:1]
    manner = Manner(cut="grid", n_segments=4, n_evaluations=16)
    inquiry = Inquiry(witness=open_witness(run), manner=manner)
    (case,) = explain_files(run, pictures, inquiry=inquiry, covariates=table, progress=quiet).cases
    written = read_predictions(run.path / "predictions.parquet")
    row = written.image_ids.tolist().index(pictures[0].stem)
    explanation = case.examination.explanation
    assert explanation.probability == pytest.approx(
        written.probabilities()[row, explanation.diagnosis], abs=1e-4
    )


def test_a_run_with_covariates_killed_in_its_middle_ends_in_the_same_bytes(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    study = study_of(
        casts, experiment=[{**TINY, "covariates": RECORD, "phases": [{**FROZEN, "epochs": 3}]}]
    )

    def killer(what: str, done: int, total: int) -> None:
        if what == "frozen 2/3":
            raise OSError("killed")

    whole = run_study(study, out=tmp_path / "whole", only=(), fresh=False, progress=quiet)
    with pytest.raises(OSError, match="killed"):
        run_study(study, out=tmp_path / "killed", only=(), fresh=False, progress=killer)
    again = run_study(study, out=tmp_path / "killed", only=(), fresh=False, progress=quiet)
    one, other = (
        (each.finished[0].path / "predictions.parquet").read_bytes() for each in (whole, again)
    )
    assert one == other


def test_dx_type_and_unknown_words_are_refused() -> None:
    with pytest.raises(ConfigError, match="how a diagnosis was confirmed is not known before"):
        parse_study({"experiment": [{**TINY, "covariates": ["age", "dx_type"]}]})
    with pytest.raises(
        ConfigError, match=r"must be of age, sex, localization\. Did you mean 'sex'"
    ):
        parse_study({"experiment": [{**TINY, "covariates": ["sexx"]}]})
    with pytest.raises(ConfigError, match="must differ from each other"):
        parse_study({"experiment": [{**TINY, "covariates": ["sex", "sex"]}]})
