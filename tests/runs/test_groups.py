"""Images kept together by patient: intervals draw patients, and nothing is said of lesions.

No patient here has two diagnoses: that groups hold several lesions is known from the table alone.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from moulage import actions
from moulage.evaluation.lesions import WHY_NONE
from moulage.predictions import read_predictions
from moulage.runs.progress import silently
from moulage.runs.schedule import run_study
from moulage.runs.studyfile import parse_study
from moulage.split import read_split

from .conftest import TINY

PATIENTS = {"path": "file", "diagnosis": "dx", "group": "patient_id"}
# What a page may still say: of any lesion, of why nothing is said, of what pairs of images show.
SAID_OF_ANY = (
    WHY_NONE,
    f"{WHY_NONE[0].lower()}{WHY_NONE[1:]}",
    "Benign keratosis-like lesions",
    "Vascular lesions",
    "classifiers of skin lesions",
    "also a lesion that is none of them",
    "It tells strangers, not hard lesions",
    "Subgroups differ in which lesions they have",
    "with few malignant lesions looks easy",
    "may show one lesion",
    "were found to show one lesion",
)


@pytest.fixture(scope="module")
def patients(casts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the casts as a table of patients, each with two lesions of one diagnosis."""
    folder = tmp_path_factory.mktemp("patients") / "clinic"
    shutil.copytree(casts, folder)
    (table,) = folder.rglob("HAM10000_metadata.csv")
    rows = pd.read_csv(table)
    table.unlink()
    (folder / "plantings.csv").unlink(missing_ok=True)
    files = {path.stem: path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    number = rows.groupby("dx")["lesion_id"].transform(lambda ids: pd.factorize(ids)[0] // 2)
    rows = rows.assign(file=rows["image_id"].map(files), patient_id=rows["dx"] + number.astype(str))
    assert (rows.groupby("patient_id")["dx"].nunique() == 1).all()
    assert (rows.groupby("patient_id")["lesion_id"].nunique() == 2).any()
    columns = ["file", "dx", "patient_id", "age", "sex", "localization"]
    rows[columns].to_csv(folder / "clinic.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def study(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study of two experiments, every page of theirs written."""
    content = {
        "name": "clinic",
        "dataset": {"path": str(patients), "columns": PATIENTS},
        "images": {"size": 32},
        "machine": {"threads": 1, "precision": "float32"},
        "experiment": [TINY, {**TINY, "name": "plain", "hidden": []}],
    }
    outcome = run_study(
        parse_study(content),
        out=tmp_path_factory.mktemp("out"),
        only=(),
        fresh=False,
        progress=silently,
    )
    for name in ("tiny-seed0", "plain-seed0"):
        actions.report(outcome.folder / name)
        actions.trust(outcome.folder / name)
        actions.card(outcome.folder / name)
    actions.compare(outcome.folder)
    return outcome.folder


def about_lesions(text: str) -> list[str]:
    """Return what a page says of lesions, scripts, markup and what holds of any apart."""
    text = re.sub(r"<(style|script)\b.*?</\1>|<[^>]+>", " ", text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    for said in SAID_OF_ANY:
        text = text.replace(said, "")
    return re.findall(r".{0,60}[Ll]esion.{0,40}", text)


def keys_of(content: Any) -> set[str]:
    if isinstance(content, dict):
        return set(content).union(*map(keys_of, content.values()))
    return set().union(*map(keys_of, content)) if isinstance(content, list) else set()


def test_a_run_by_patients_has_no_scores_by_lesion_and_says_why(study: Path) -> None:
    run = study / "tiny-seed0"
    test = read_predictions(run / "predictions.parquet").of("test")
    assert test.unit == read_split(run / "split.csv").unit == "group"
    certainty = json.loads((run / "metrics.json").read_text())["certainty"]
    assert certainty["by_lesion"] is None
    assert certainty["why_not_by_lesion"] == WHY_NONE
    for asked in certainty["questions"].values():
        assert asked["by_lesion"] is None
        assert asked["by_image"]["n_positives"] >= 0
    low, high = certainty["intervals"]["natural"]["accuracy"]
    assert 0 <= low <= high <= 1


def test_what_is_counted_is_called_a_group_in_every_file(study: Path) -> None:
    test = read_predictions(study / "tiny-seed0" / "predictions.parquet").of("test")
    n_groups = len(set(test.lesion_ids.tolist()))
    parts = json.loads((study / "tiny-seed0" / "metrics.json").read_text())["parts"]
    assert parts["test"]["natural"]["n_groups"] == n_groups
    for path in study.rglob("*.json"):
        said = {key for key in keys_of(json.loads(path.read_text())) if "lesion" in key}
        assert said <= {"by_lesion", "why_not_by_lesion"}, path
    header = (study / "tiny-seed0" / "split.csv").read_text().partition("\n")[0]
    assert header == "image_id,group_id,part"


def test_pages_by_patients_count_groups(study: Path) -> None:
    pages = [*study.rglob("*.html"), *study.rglob("*.md")]
    assert len(pages) == 9
    for page in pages:
        assert not about_lesions(page.read_text()), page.name
    report = (study / "tiny-seed0" / "report.html").read_text()
    assert WHY_NONE in report
    assert "by group and stratified by diagnosis" in report


def test_no_exact_test_is_made_of_patients(study: Path) -> None:
    pairs = json.loads((study / "comparison.json").read_text())["pairs"]
    assert [pair["exact_p_values"] for pair in pairs] == [[], []]
    assert all("n_groups" in pair for pair in pairs)
    assert not any("lesions" in pair["verdict"] for pair in pairs)


def test_a_set_by_patients_is_measured_by_image_alone(
    study: Path, patients: Path, tmp_path: Path
) -> None:
    found = actions.evaluate(
        study / "tiny-seed0", patients, columns=PATIENTS, kind="table", out=tmp_path
    )
    assert found.predictions.unit == "group"
    assert read_predictions(tmp_path / "predictions.parquet").unit == "group"
    natural = json.loads((tmp_path / "metrics.json").read_text())["parts"]["test"]["natural"]
    assert natural["n_groups"] == len(set(found.predictions.lesion_ids.tolist()))
    assert "n_lesions" not in natural


def test_a_survey_by_patients_judges_image_by_image(
    patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moulage.runs.review.FEWEST", 2)
    actions.make_split(patients, columns=PATIENTS, kind="table", out=tmp_path / "split.csv")
    found, verdict = actions.survey(
        patients, columns=PATIENTS, kind="table", out=tmp_path, split=tmp_path / "split.csv"
    )
    assert found.review is not None
    assert (found.review.unit, found.review.n_lesions) == ("image", len(found.catalogue))
    sentences = " ".join(line.sentence for line in verdict)
    assert "groups with several photographs" in sentences
    assert "No group of the given split stands in two parts." in sentences
    assert not about_lesions(sentences)
    page = (tmp_path / "survey.html").read_text()
    assert WHY_NONE in page
    assert not about_lesions(page)
