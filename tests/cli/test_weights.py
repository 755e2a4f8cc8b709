import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from moulage.cli.app import app
from moulage.errors import ConfigError, DataError, MissingWeightsError, RunError
from moulage.networks.classifier import build_network

runner = CliRunner()


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that MOULAGE_WEIGHTS names, with one small network; no network beyond."""
    folder = tmp_path / "weights"
    folder.mkdir()
    tensors = dict(build_network("test_resnet", seed=0).state_dict())
    said = {"mean": "0.1,0.1,0.1", "std": "0.2,0.3,0.2", "license": "MIT"}
    save_file(tensors, folder / "test_resnet.safetensors", metadata=said)
    monkeypatch.setenv("MOULAGE_WEIGHTS", str(folder))
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MOULAGE_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


def test_backbones_lists_the_papers_four_and_the_starter() -> None:
    result = runner.invoke(app, ["backbones", "--json"])
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    sizes = {row["title"]: row["n_parameters"] for row in rows}
    # keras.applications, include_top=False
    assert sizes["MobileNetV2"] == 2_257_984
    assert sizes["DenseNet201"] == 18_321_984
    assert len(rows) == 5
    assert rows[4]["source"] == "shipped with moulage"
    assert [row["weights"] for row in rows[:4]] == [None] * 4


def test_what_the_file_says_stands_in_the_list(shelf: Path) -> None:
    rows = json.loads(runner.invoke(app, ["backbones", "test_resnet", "--json"]).stdout)
    assert rows[0]["weights"] == str(shelf / "test_resnet.safetensors")
    assert (rows[0]["mean"], rows[0]["std"]) == ([0.1, 0.1, 0.1], [0.2, 0.3, 0.2])
    assert (rows[0]["licence"], rows[0]["fault"]) == ("MIT", None)


def test_a_file_of_another_digest_is_no_stock(shelf: Path) -> None:
    (shelf / "digests.json").write_text('{"test_resnet.safetensors": {"sha256": "0"}}')
    rows = json.loads(runner.invoke(app, ["backbones", "test_resnet", "--json"]).stdout)
    assert "must have the digest that digests.json lists" in rows[0]["fault"]


def test_the_table_says_where_weights_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = runner.invoke(app, ["backbones", "test_resnet", "test_vit", "coatnet_0_224"])
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "the folder" in result.stdout
    assert "MOULAGE_WEIGHTS" in result.stdout
    assert "0.2 0.3 0.2" in result.stdout
    assert "not here; the hub is asked" in result.stdout
    assert "none published" in result.stdout


def test_a_file_that_cannot_be_used_is_listed_with_its_reason(shelf: Path) -> None:
    (shelf / "test_resnet.safetensors").write_bytes(b"torn")
    result = runner.invoke(app, ["backbones", "test_resnet"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "cannot be used, see below" in result.stdout
    assert "must be a whole safetensors file" in result.stdout


def test_an_unknown_backbone_is_one_sentence() -> None:
    result = runner.invoke(app, ["backbones", "mobilnetv2_100"])
    assert isinstance(result.exception, ConfigError)
    assert "Did you mean 'mobilenetv2_100'" in str(result.exception)


def test_verify_names_each_file(shelf: Path) -> None:
    result = runner.invoke(app, ["weights", "verify", str(shelf)])
    assert result.exit_code == 0
    assert "test_resnet.safetensors: names and shapes are right" in result.stdout


def test_verify_fails_where_a_file_is_unfit(shelf: Path) -> None:
    save_file({"x": torch.zeros(1)}, shelf / "test_vit.safetensors")
    result = runner.invoke(app, ["weights", "verify", str(shelf)])
    assert "test_vit.safetensors: `test_vit.safetensors` must hold every tensor" in result.stdout
    assert isinstance(result.exception, DataError)
    assert "got 1 that are not: test_vit.safetensors" in str(result.exception)


def test_fetch_without_network_is_one_sentence(tmp_path: Path) -> None:
    result = runner.invoke(app, ["weights", "fetch", "--to", str(tmp_path / "new")])
    assert isinstance(result.exception, RunError)
    assert "The network must be allowed" in str(result.exception)


def test_fetch_says_how_to_use_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(backbones: tuple[object, ...], **_: object) -> tuple[object, ...]:
        asked.extend(backbone.name for backbone in backbones)  # type: ignore[attr-defined]
        return ()

    monkeypatch.setattr("moulage.networks.shelf.fetch_weights", fetch)
    result = runner.invoke(app, ["weights", "fetch", "--to", str(tmp_path)])
    assert f"MOULAGE_WEIGHTS={tmp_path.resolve()}" in result.stdout.replace("\n", "")
    assert asked[:1] == ["mobilenetv2_100"]
    assert len(asked) == 4


def test_a_folder_that_is_not_there_is_listed_as_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOULAGE_WEIGHTS", "/nowhere/at/all")
    result = runner.invoke(app, ["backbones", "test_resnet", "--json"])
    (row,) = json.loads(result.stdout)
    assert row["fault"].startswith("MOULAGE_WEIGHTS must name a folder")
    assert MissingWeightsError.__name__ not in result.stdout
