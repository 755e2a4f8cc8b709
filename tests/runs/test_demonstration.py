"""The demonstration: who takes part, and what is read back."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from moulage.networks.classifier import build_network
from moulage.runs.demonstration import STUDY_FILE, demonstrated, draw_programme
from moulage.runs.progress import silently
from moulage.runs.schedule import run_study
from moulage.runs.studyfile import read_study


@pytest.fixture
def no_hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *words: None)


def test_without_imagenet_weights_two_take_part(no_hub_cache: None) -> None:
    programme = draw_programme()
    assert programme.experiments == ("starter", "random")
    assert programme.note.startswith("No ImageNet weights are on this machine")


def test_imagenet_weights_that_are_here_take_part_and_are_named(
    no_hub_cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = build_network("mobilenetv2_100", seed=0).state_dict()
    save_file(state, tmp_path / "mobilenetv2_100.safetensors")
    monkeypatch.setenv("MOULAGE_WEIGHTS", str(tmp_path))
    programme = draw_programme()
    assert programme.experiments == ("starter", "random", "imagenet")
    assert "MobileNetV2 were found in the folder MOULAGE_WEIGHTS" in programme.note
    study = read_study(STUDY_FILE, changes=programme.changes)
    assert study.experiments[-1].backbone == "MobileNetV2"


def test_the_study_file_differs_in_nothing_but_the_start() -> None:
    starter, random, imagenet = read_study(STUDY_FILE).experiments
    changed = {"name", "weights", "backbone"}
    assert starter.model_dump(exclude=changed) == random.model_dump(exclude=changed)
    assert starter.model_dump(exclude=changed) == imagenet.model_dump(exclude=changed)
    assert starter.backbone == random.backbone
    assert [phase.train_from for phase in starter.phases] == ["head", "all"]


def test_scores_are_those_of_the_metrics(casts: Path, tmp_path: Path, study_of: Any) -> None:
    outcome = run_study(study_of(casts), out=tmp_path, only=(), fresh=False, progress=silently)
    shown = demonstrated(
        outcome.finished, page=tmp_path / "page.html", study_file=tmp_path / "demo.toml"
    )
    test = outcome.finished[0].metrics()["parts"]["test"]
    (score,) = shown.scores
    assert score.experiment == "tiny"
    assert score.accuracy == test["natural"]["accuracy"]
    assert score.balanced_accuracy == test["balanced"]["balanced_accuracy"]
    assert (shown.n_images, shown.n_test) == (60, test["natural"]["n_images"])
    assert shown.n_lesions < 60
