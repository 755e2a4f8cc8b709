"""Experiments that answer together: their predictions, and the classifier that repeats them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moulage import actions
from moulage.covariates import Covariate
from moulage.dossier import card_record, inner_notes, run_record
from moulage.errors import ConfigError
from moulage.networks.committee import committee_of, first_of
from moulage.networks.machine import Machine
from moulage.networks.saved import load_classifier
from moulage.pages.card import card_markdown
from moulage.pages.report import report_page
from moulage.predictions import read_predictions
from moulage.runs.anatomy import _origin
from moulage.runs.application import classify_files
from moulage.runs.config import StudyConfig
from moulage.runs.ensemble import average, keep_ensembles
from moulage.runs.folder import PAGES, RunFolder
from moulage.runs.rates import cell_of
from moulage.runs.schedule import Outcome, run_study
from moulage.runs.study import cells_of
from moulage.runs.studyfile import parse_study

from .conftest import FROZEN, TINY

OTHER = {**TINY, "name": "other", "head": "pooled", "hidden": [], "views": 8}
MEASURED = ("members", "parts", "certainty")
MACHINE = Machine(device="cpu", precision="float32", threads=1)


@pytest.fixture(scope="module")
def study(casts: Path) -> StudyConfig:
    content: dict[str, Any] = {
        "name": "small",
        "dataset": {"path": str(casts)},
        "images": {"size": 32},
        "machine": {"threads": 1, "precision": "float32"},
        "experiment": [{**TINY, "seeds": [0, 1]}, OTHER],
        "ensemble": [{"name": "together", "of": ["tiny", "other"]}],
    }
    return parse_study(content)


@pytest.fixture(scope="module")
def outcome(study: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run_study(
        study,
        out=tmp_path_factory.mktemp("ensemble"),
        only=(),
        fresh=False,
        progress=lambda what, done, total: None,
    )


def test_an_ensemble_is_the_mean_log_probability_by_pencil(outcome: Outcome) -> None:
    *members, together = outcome.finished
    assert together.path.name == "together-seed0"
    logs = [
        np.log(read_predictions(run.path / "predictions.parquet").probabilities())
        for run in members
    ]
    ours = read_predictions(together.path / "predictions.parquet")
    np.testing.assert_allclose(ours.logits, np.mean(logs, axis=0), atol=1e-5)
    assert together.metrics()["members"]["names"] == [run.path.name for run in members]
    looks = together.metrics()["run"]["n_looks"]
    assert looks == members[-1].metrics()["run"]["n_looks"] + 1


def test_the_saved_ensemble_repeats_its_predictions_on_loose_files(
    outcome: Outcome, casts: Path
) -> None:
    together = outcome.finished[-1]
    pictures = sorted(casts.rglob("*.jpg"))[:7]
    answers = classify_files(together, pictures, progress=lambda what, done, total: None)
    written = read_predictions(together.path / "predictions.parquet")
    place = {name: row for row, name in enumerate(written.image_ids.tolist())}
    rows = np.array([place[path.stem] for path in pictures])
    columns = [f"probability_{code}" for code in written.diagnoses]
    np.testing.assert_allclose(
        answers.table[columns].to_numpy(), written.take(rows).probabilities(), atol=1e-4
    )
    assert answers.missing == ()
    assert answers.table["unfamiliarity"].between(0, 1).all()
    loaded = load_classifier(together.path).classifier
    assert loaded.digest() == written.classifier_digest
    assert first_of(loaded).recipe.backbone == "test_efficientnet"
    assert [loaded.boundary(name) for name in ("all", "head")] == [0, 1]


def test_an_ensemble_is_measured_as_any_run_is(outcome: Outcome) -> None:
    *members, together = (found.metrics() for found in outcome.finished)
    assert together["certainty"].keys() == members[0]["certainty"].keys() != set()
    low, high = together["certainty"]["intervals"]["natural"]["accuracy"]
    assert low <= together["parts"]["test"]["natural"]["accuracy"] <= high
    assert "Its own page tells the recipe of tiny-seed0; others differ." in together["run"]["notes"]


def test_pages_that_look_into_an_ensemble_name_the_member_that_they_show(
    outcome: Outcome, tmp_path: Path
) -> None:
    *members, together = outcome.finished
    said = "is that of its first member, tiny-seed0. It has no check by heads with random weights."
    actions.explain(together.path, sample=1, n_segments=3, method="exact", out=tmp_path)
    actions.units(together.path, out=tmp_path)
    for page in ("explanations.html", "units.html"):
        assert said in (tmp_path / page).read_text()
    assert inner_notes(members[0]) == ()


def test_units_of_a_head_without_a_hidden_layer_are_called_maps(
    outcome: Outcome, tmp_path: Path
) -> None:
    other = outcome.finished[-2]
    layer = actions.units(other.path, out=tmp_path)
    said = "the head has no hidden layer, so these are the last maps below it, pooled"
    assert layer.origin == said
    assert f"{len(layer.units.areas)} units: {said}." in (tmp_path / "units.html").read_text()
    recipe = load_classifier(other.path).classifier.recipe
    age = Covariate(name="age")
    assert _origin(replace(recipe, covariates=(age,))) == (
        said + " (the covariates that it reads are not among them)"
    )


def test_an_ensemble_of_other_members_drops_the_pages_of_the_one_before(
    study: StudyConfig, outcome: Outcome, tmp_path: Path
) -> None:
    folder = tmp_path / "small"
    shutil.copytree(outcome.folder, folder)
    kept = folder / "together-seed0"
    pages = [kept / name for name in (*PAGES, "report.html", "trust-test.json", "card.md")]
    for page in pages:
        page.touch()
    cells = cells_of(study)
    keep_ensembles(cells, folder)
    assert all(page.exists() for page in pages), "nothing has changed"
    for content in ({"members": {"digest": "another"}}, {}):
        (kept / "metrics.json").write_text(json.dumps(content))
        keep_ensembles(cells, folder)
        assert not any(page.exists() for page in pages)
        found, whole = RunFolder(path=kept).metrics(), outcome.finished[-1].metrics()
        assert [found[key] for key in MEASURED] == [whole[key] for key in MEASURED]


def test_a_range_test_of_an_ensemble_names_its_members(outcome: Outcome) -> None:
    with pytest.raises(ConfigError, match=r"got the ensemble .* one of its members: tiny-seed0"):
        cell_of(outcome.finished[-1].path, experiment=None, data=None)


def test_an_ensemble_has_a_page_and_a_card(outcome: Outcome) -> None:
    together = outcome.finished[-1]
    assert "An ensemble: the mean log-probability" in report_page(run_record(together))
    assert "An ensemble: the mean log-probability" in card_markdown(card_record(together))


def test_the_mean_of_one_classifier_with_itself_is_itself(outcome: Outcome) -> None:
    one = read_predictions(outcome.finished[0].path / "predictions.parquet")
    assert average([one, one]).probabilities() == pytest.approx(one.probabilities(), abs=1e-6)


def test_ensembles_without_members_or_names_are_refused(outcome: Outcome) -> None:
    content = {"experiment": [TINY], "ensemble": [{"name": "e", "of": ["tinny"]}]}
    with pytest.raises(ConfigError, match=r"got 'tinny'\. Did you mean 'tiny'\?"):
        parse_study(content)
    content["ensemble"] = [{"name": "e", "of": ["tiny"]}]
    with pytest.raises(ConfigError, match="two members or more"):
        parse_study(content)
    content["ensemble"] = [{"name": "tiny", "of": ["tiny"]}]
    content["experiment"] = [{**TINY, "seeds": [0, 1], "phases": [FROZEN]}]
    with pytest.raises(ConfigError, match=r"`ensemble\.name` must be free"):
        parse_study(content)
    member = load_classifier(outcome.finished[0].path).classifier
    with pytest.raises(ConfigError, match="two members or more; got 1"):
        committee_of([member], [1.0])
