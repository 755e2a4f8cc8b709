"""The measurement of the starter in miniature: fair to both sides, and repeatable."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.starter import Gain, estimate_statistics, main, measure_gain, table_of
from moulage.casts.generator import make_casts
from moulage.networks.classifier import Classifier, InputContract, Recipe, build_classifier
from moulage.networks.inputs import pixels_to_images
from moulage.networks.registry import TORCH_SCALING


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MOULAGE_DATA", str(tmp_path / "data"))


def tiny_classifier() -> Classifier:
    contract = InputContract(
        size_px=32, resize="squash", scaling=TORCH_SCALING, diagnoses=("mel", "nv")
    )
    recipe = Recipe(
        backbone="test_efficientnet", head="pooled", hidden=(), dropout=0.0, contract=contract
    )
    return build_classifier(recipe, seed=3)


def test_estimated_statistics_of_the_first_norm_are_those_of_its_inputs() -> None:
    classifier = tiny_classifier()
    pixels = np.random.default_rng(42).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    estimate_statistics(classifier, pixels)
    stem = classifier.network.get_submodule("conv_stem")
    inputs = (pixels_to_images(pixels, "cpu") - classifier.mean) / classifier.std
    with torch.inference_mode():
        maps = stem(inputs)
    norm = classifier.network.get_submodule("bn1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, maps.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, maps.var(dim=(0, 2, 3)), rtol=1e-2, atol=1e-5)


def test_estimated_statistics_forget_those_before_and_leave_weights_alone() -> None:
    pixels = np.random.default_rng(42).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    classifier, other = tiny_classifier(), tiny_classifier()
    other.network.get_submodule("bn1").get_buffer("running_mean").fill_(9.0)
    for one in (classifier, other):
        estimate_statistics(one, pixels)
    assert classifier.digest() == other.digest()
    before = dict(tiny_classifier().network.named_parameters())
    after = dict(classifier.network.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_table_says_means_seeds_and_points() -> None:
    gain = Gain(dataset="casts", starter=(0.5, 0.7), random=(0.2, 0.4))
    assert gain.points == pytest.approx(30)
    assert table_of([gain]).splitlines()[-1] == (
        "casts | 0.600 (0.500, 0.700) | 0.300 (0.200, 0.400) | +30.0"
    )


def test_both_sides_are_measured_on_the_same_split(tmp_path: Path) -> None:
    data = make_casts(tmp_path / "few", n_images=70, seed=1, size=(64, 48), threads=1).folder
    plan = {"seeds": (0, 1), "size_px": 32, "epochs": 1, "n_threads": torch.get_num_threads()}
    gain = measure_gain(data, folder=tmp_path / "work", **plan)
    assert (len(gain.starter), len(gain.random)) == (2, 2)
    assert all(0 <= score <= 1 for score in (*gain.starter, *gain.random))
    splits = {path.read_text() for path in (tmp_path / "work").glob("*/*/*/split.csv")}
    assert len(splits) == 1


@pytest.mark.slow
def test_the_script_prints_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_casts(tmp_path / "others", n_images=70, seed=2, size=(64, 48)).folder
    main(["--casts", "70", "--size", "32", "--epochs", "1", "--data", str(data)])
    said = capsys.readouterr().out
    assert "casts |" in said
    assert "others |" in said
