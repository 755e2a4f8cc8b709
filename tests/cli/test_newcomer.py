"""The commands that a newcomer meets first, driven in process: demo, casts, cache, doctor …"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from moulage import store
from moulage.casts.generator import make_casts
from moulage.cli import app
from moulage.runs import atelier, demonstration

PHASE = '\n[[common.phases]]\nname = "{name}"\ntrain_from = "{where}"\nepochs = 1\nbatch = 16\n'
COMMON = '\n[common]\nbackbone = "test_efficientnet"\nweights = "random"\nhidden = [4]\n'
STARTS = '\n[[experiment]]\nname = "starter"\n\n[[experiment]]\nname = "random"\n'
SMALL = (
    'name = "demo"\n[images]\nsize = 32\n[machine]\nthreads = 1\n'
    + COMMON
    + PHASE.format(name="frozen", where="head")
    + PHASE.format(name="fine-tuned", where="blocks.3")
    + STARTS
)


@pytest.fixture(scope="module")
def casts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("casts") / "casts"
    return make_casts(folder, n_images=60, seed=1, size=(64, 48), threads=1).folder


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MOULAGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MOULAGE_OFFLINE", "1")
    monkeypatch.setenv("MOULAGE_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("MOULAGE_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *words: None)


@pytest.fixture(autouse=True)
def same_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def call(*words: str) -> int:
    """Run the command line as a shell would; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["moulage", *words])
        try:
            app.main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


def fill_cache(n_bytes: int) -> None:
    with store.publish("pixels", {"a": n_bytes}, about={"dataset": "HAM10000"}) as folder:
        (folder / "content").write_bytes(bytes(n_bytes))


def test_the_demo_says_what_it_showed_where_the_page_is_and_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "demo.toml"
    study.write_text(SMALL)
    monkeypatch.setattr(demonstration, "STUDY_FILE", study)
    monkeypatch.setattr(atelier, "N_IMAGES", 60)
    monkeypatch.setattr(atelier, "SIZE", (64, 48))
    out = tmp_path / "runs"
    assert call("demo", "--out", str(out)) == 0
    said = capsys.readouterr()
    assert "No ImageNet weights are on this machine" in said.err.splitlines()[0]
    assert "accuracy (rule: natural)" in said.out
    assert "balanced accuracy (rule: balanced)" in said.out
    metrics = json.loads((out / "demo" / "starter-seed0" / "metrics.json").read_text())
    test = metrics["parts"]["test"]
    row = next(line for line in said.out.splitlines() if line.startswith("shipped starter"))
    assert f"{test['natural']['accuracy']:.3f}" in row
    assert f"{test['balanced']['balanced_accuracy']:.3f}" in row
    assert str(out / "demo" / "comparison.html") in said.out
    assert (out / "demo" / "comparison.html").is_file()
    assert f"moulage train {out / 'demo.toml'} --data FOLDER --set name=mine" in said.out
    assert (out / "demo.toml").read_text() == SMALL


def test_casts_draws_a_folder_and_lists_what_it_planted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "casts"
    words = ["--n", "40", "--size", "64x48", "--ruler", "mel=1,0.1", "--wrong-labels", "0.2"]
    assert call("casts", str(folder), *words, "--near-duplicates", "1", "--hair", "0") == 0
    said = capsys.readouterr().out
    table = pd.read_csv(folder / "plantings.csv")
    counts = table["kind"].value_counts()
    assert len(pd.read_csv(folder / "HAM10000_metadata.csv")) == 46
    assert f"near duplicate {counts['near_duplicate']}" in said
    assert f"ruler {counts['ruler']}" in said
    assert "hair" not in counts


def test_a_single_cast_is_one_photograph_of_one_lesion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("casts", str(tmp_path / "one"), "--n", "1", "--size", "64x48") == 0
    assert "1 photograph of 1 lesion: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["casts", "x", "--size", "64"], "`--size` must read WIDTHxHEIGHT in pixels; got '64'"),
        (["casts", "x", "--ruler", "mel"], "`--ruler` must read DIAGNOSIS=SHARE"),
        (["casts", "x", "--ruler", "meel=1"], "Did you mean 'mel'?"),
        (["casts", "x", "--hair", "2"], "`share` of Hair must lie in [0, 1]; got 2"),
        (["casts", "x", "--n", "0"], "`n_images` must lie in [1, 1000000]; got 0"),
        (["cache", "prune"], "`prune` must be told an age or a size; got neither"),
        (["cache", "prune", "--older-than", "30"], "`--older-than` must be a number with one of"),
        (["cache", "prune", "--keep", "5 apples"], "`--keep` must be a number with one of"),
        (["features", "x", ".", "--out", "x.csv"], "`--out` must end in .npy or .parquet"),
        (["lr", "x", "--out", "x.pdf"], "`--out` must end in .svg or .png"),
        (["runs", "nowhere"], "`ROOT` must be a folder; got 'nowhere'. Name one that is there."),
        (["lr", "nowhere.toml"], "A study must be a file that can be read; got nowhere.toml"),
    ],
)
def test_a_wrong_word_is_one_line_with_a_cure(
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("moulage: ")
    assert says in line


def test_the_cache_is_listed_by_kind_and_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    fill_cache(2_500_000)
    assert call("cache") == 0
    said = capsys.readouterr().out
    assert re.search(r"pixels\s+HAM10000\s+1\s+2\.5 MB\s+just now", said)
    assert call("cache", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["holdings"]
    assert (row["kind"], row["dataset"], row["n_entries"]) == ("pixels", "HAM10000", 1)


def test_a_torn_entry_of_the_cache_is_listed_as_torn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill_cache(2_500_000)
    (entry,) = store.entries()
    (entry.folder / "key.json").write_bytes(b"")
    assert call("cache") == 0
    said = capsys.readouterr().out
    assert re.search(r"pixels\s+torn\s+1\s+2\.5 MB\s+just now", said)
    assert "What is torn is computed anew where it is needed" in said
    assert call("cache", "prune", "--older-than", "30d") == 0
    assert "1 entries deleted" in capsys.readouterr().out


def test_an_empty_cache_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("cache") == 0
    assert capsys.readouterr().out.startswith("0 bytes in ")


def test_pruning_keeps_what_is_in_use_and_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    for n_bytes in (1_000_000, 2_000_000, 3_000_000):
        fill_cache(n_bytes)
    held = store.find("pixels", {"a": 3_000_000})
    assert held is not None
    assert call("cache", "prune", "--older-than", "30d") == 0
    assert "0 entries deleted" in capsys.readouterr().out
    assert call("cache", "prune", "--keep", "0MB", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["freed_bytes"] >= 3_000_000
    assert facts["in_use"] == [str(held)]
    assert [entry.folder for entry in store.entries()] == [held]


def test_the_doctor_speaks_to_people_and_to_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("doctor", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["precision"] in ("float32", "bfloat16")
    assert call("doctor") == 0
    said = capsys.readouterr().out
    assert facts["precision_reason"] in said
    assert facts["versions"]["torch"] in said
    assert "ImageNet weights of MobileNetV2, MobileNetV3Large" in said


def test_features_of_a_finished_run_and_of_a_backbone(
    casts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, out = tmp_path / "small.toml", tmp_path / "runs"
    study.write_text(SMALL)
    words = ["--only", "random", "--data", str(casts), "--out", str(out)]
    assert call("--quiet", "train", str(study), *words) == 0
    run = out / "demo" / "random-seed0"
    assert call("features", str(run), str(casts), "--out", str(tmp_path / "run.npy")) == 0
    assert "60 images, 256 features each" in capsys.readouterr().out
    backbone = ["test_efficientnet", str(casts), "--weights", "random", "--size", "32"]
    assert (
        call("features", *backbone, "--out", str(tmp_path / "b.parquet"), "--at", "blocks.3") == 0
    )
    assert np.load(tmp_path / "run.npy").shape == (60, 256)
    table = pd.read_parquet(tmp_path / "b.parquet")
    assert table["image_id"].tolist() == pd.read_csv(tmp_path / "run.csv")["image_id"].tolist()


def test_lr_plots_where_the_loss_falls_and_breaks(
    casts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, out = tmp_path / "small.toml", tmp_path / "rates.png"
    study.write_text(SMALL)
    words = [str(study), "--data", str(casts), "--steps", "15", "--out", str(out)]
    assert call("lr", *words, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    table = pd.read_csv(tmp_path / "rates.csv")
    assert len(table) == facts["n_steps"]
    assert facts["lowest_loss_at"] == pytest.approx(
        table["learning_rate"][table["smoothed_loss"].idxmin()], rel=1e-4
    )
    assert out.read_bytes().startswith(b"\x89PNG")
    assert call("lr", *words) == 0
    assert "In phase frozen the loss was" in capsys.readouterr().out


def test_completion_is_offered_for_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    assert "--install-completion" in capsys.readouterr().out
