"""The command line, driven in process: words in; lines, files and exit codes out."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import moulage
from moulage.casts.generator import make_casts
from moulage.cli import app
from moulage.cli.application import drawn
from moulage.predictions import read_predictions

STUDY = """
name = "small"
[images]
size = 32
[machine]
threads = 1
[[experiment]]
name = "tiny"
backbone = "test_efficientnet"
weights = "random"
hidden = [4]
[[experiment.phases]]
name = "frozen"
train_from = "head"
epochs = 2
batch = 16
"""


class Desk:
    """A folder with sixty casts, a study of them and, once asked for, its finished run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.casts, self.study = folder / "casts", folder / "study.toml"
        make_casts(self.casts, n_images=60, seed=1, size=(64, 48), threads=1)
        self.study.write_text(STUDY)
        self.run = folder / "runs" / "small" / "tiny-seed0"

    @property
    def training(self) -> list[str]:
        out = str(self.folder / "runs")
        return ["train", str(self.study), "--data", str(self.casts), "--out", out]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(autouse=True)
def own_folders(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's caches and records, and its settings in the test."""
    monkeypatch.setenv("MOULAGE_CACHE", str(desk.folder / "cache"))
    monkeypatch.setenv("MOULAGE_DATA", str(desk.folder / "data"))
    monkeypatch.setenv("MOULAGE_OFFLINE", "1")
    monkeypatch.setenv("MOULAGE_DEBUG", "")
    monkeypatch.delenv("MOULAGE_WEIGHTS", raising=False)


@pytest.fixture(scope="module", autouse=True)
def same_threads() -> object:
    before = torch.get_num_threads()
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


@pytest.fixture
def finished(desk: Desk, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a finished run's folder; only the first test that asks waits for it."""
    if not (desk.run / "report.html").is_file():
        assert call(*desk.training) == 0
        capsys.readouterr()
    return desk.run


def test_ctrl_c_says_in_one_line_how_to_go_on(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(what: str, done: int, total: int) -> None:
        if what.startswith("frozen"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("moulage.cli.progress._Lines.__call__", lambda self, *said: press(*said))
    words = [*desk.training[:-1], str(tmp_path / "runs")]
    assert call("--quiet", *words, "--fresh") == 130
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "moulage: stopped; what was done is kept. Go on with: moulage --quiet "
        + " ".join([*words, "--fresh"])
    ]
    assert (tmp_path / "runs" / "small" / "tiny-seed0" / "checkpoint.safetensors").is_file()
    monkeypatch.undo()


def test_a_study_leads_to_its_pages_and_a_table(
    finished: Path, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (finished / "report.html").read_text().startswith("<!doctype html>")
    assert (finished.parent / "comparison.html").is_file()
    assert (finished.parent / "comparison.csv").is_file()
    before = {p: p.read_bytes() for p in finished.parent.rglob("*") if p.is_file()}
    assert call(*desk.training) == 0
    out = capsys.readouterr().out
    assert "tiny-seed0" in out
    assert "comparison.html" in out
    assert {p: p.read_bytes() for p in finished.parent.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "nowhere.toml"], "A study must be a file that can be read; got nowhere.toml"),
        (["report", "nowhere"], "`RUN` must be the folder of a finished run; got none at nowhere"),
        (["predict", "nowhere", "x.jpg"], "`RUN` must be the folder of a finished run"),
        (["split", "nowhere"], "nowhere"),
        (["split", ".", "--ratios", "a:b"], "`--ratios` must be two to four numbers"),
        (["evaluate", "nowhere", ".", "--map", "NV"], "`--map` must read theirs=ours; got 'NV'"),
        (
            ["evaluate", "nowhere", ".", "--map", "NV=nv", "--map", "NV=mel"],
            "`--map` must give a diagnosis of theirs one of ours; got NV more than once",
        ),
    ],
)
def test_a_fault_is_one_line_and_exit_code_2(
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("moulage: ")
    assert says in line


def test_debug_shows_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moulage.errors import ConfigError

    monkeypatch.setattr(sys, "argv", ["moulage", "--debug", "train", str(tmp_path / "no.toml")])
    with pytest.raises(ConfigError, match="must be a file that can be read"):
        app.main()


def test_what_the_system_refuses_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(root: Path) -> None:
        raise PermissionError(13, "Permission denied", "/locked")

    monkeypatch.setattr("moulage.actions.list_runs", refuse)
    assert call("runs") == 2
    assert capsys.readouterr().err == (
        "moulage: `/locked` must be usable; got 'Permission denied'. Look where it is and who may "
        "use it.\n"
    )


def test_a_folder_that_cannot_be_written_is_one_line(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert call("--quiet", *desk.training[:-1], str(tmp_path / "file")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be writable" in line
    assert "choose another folder (`--out` names it, where the command has that)" in line
    assert call("split", str(desk.casts), "--out", str(tmp_path / "file" / "s.csv")) == 2
    assert "must be writable" in capsys.readouterr().err
    assert call("split", str(desk.casts), "--out", str(tmp_path)) == 2
    assert "must be the name of a file; got a folder's. Name a file." in capsys.readouterr().err


def test_predict_repeats_what_training_wrote(
    finished: Path, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = sorted(path for path in desk.casts.rglob("*.jpg"))[:9]
    assert call("predict", str(finished), *map(str, pictures)) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    written = read_predictions(finished / "predictions.parquet")
    place = {name: row for row, name in enumerate(written.image_ids.tolist())}
    rows = np.array([place[Path(path).stem] for path in table["path"]])
    columns = [f"probability_{code}" for code in written.diagnoses]
    expected = written.take(rows).probabilities()
    np.testing.assert_allclose(table[columns].to_numpy(), expected, atol=0.02)
    assert np.abs(table[columns].sum(axis=1) - 1).max() < 1e-5
    assert all(row["diagnosis"] in row["set"].split() for _, row in table.iterrows())
    assert table["unfamiliarity"].between(0, 1).all()
    assert table["answer"].dtype == table["is_unfamiliar"].dtype == bool
    words = ["--out", str(tmp_path / "a.csv"), "--html", str(tmp_path / "a.html")]
    assert call("predict", str(finished), str(pictures[0]), *words) == 0
    assert len(pd.read_csv(tmp_path / "a.csv")) == 1
    assert pictures[0].name in (tmp_path / "a.html").read_text()


def test_an_old_run_says_what_its_answers_lack(
    finished: Path, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(finished, old)
    for name in ("trust.json", "familiarity.safetensors", "unfamiliarity.csv"):
        (old / name).unlink()
    (picture, *_) = sorted(desk.casts.rglob("*.jpg"))
    assert call("predict", str(old), str(picture)) == 0
    said = capsys.readouterr()
    assert "lacks `trust.json`: its answers have neither sets nor abstention" in said.err
    assert "lacks `familiarity.safetensors`: its answers do not say how unfamiliar" in said.err
    assert "set" not in pd.read_csv(io.StringIO(said.out)).columns
    assert call("trust", str(old)) == 0
    assert call("trust", str(finished)) == 0
    assert (old / "trust.json").read_bytes() == (finished / "trust.json").read_bytes()
    assert "kept no measure of how familiar" in (old / "trust.html").read_text()
    measured = json.loads((finished / "trust-test.json").read_text())
    assert measured["unfamiliarity"]["n_images"] == measured["n_images"]


def test_predict_lists_what_it_cannot_read(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    assert call("predict", str(finished), str(tmp_path / "torn.jpg")) == 2
    assert "torn.jpg was left out: " in capsys.readouterr().err


def test_evaluate_maps_what_it_is_told_and_counts_the_rest(
    finished: Path, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = sorted(desk.casts.rglob("*.jpg"))[:6]
    rows = [("NV", 3), ("mel", 2), ("plane wart", 1)]
    names = [name for name, count in rows for _ in range(count)]
    for name, picture in zip(names, pictures, strict=True):
        (tmp_path / "theirs" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "theirs" / name / picture.name).write_bytes(picture.read_bytes())
    (tmp_path / "theirs/df").mkdir()  # a diagnosis without images is nothing to measure
    words = ["evaluate", str(finished), str(tmp_path / "theirs"), "--kind", "folders"]
    assert call(*words, "--map", "NV=nv", "--out", str(tmp_path / "out")) == 0
    out, told = capsys.readouterr()
    assert "1 of 4 diagnoses have no image (df): nothing is said of them." in told
    assert "1 images of 'plane wart' were left out: map them with --map 'plane wart=OURS'" in out
    assert "5 images measured" in out
    found = read_predictions(tmp_path / "out" / "predictions.parquet")
    assert sorted(found.diagnoses[label] for label in found.labels) == ["mel"] * 2 + ["nv"] * 3
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["n_unmapped"] == {"plane wart": 1}
    assert call(*words, "--map", "NV=naevus", "--out", str(tmp_path / "out")) == 2
    assert "got NV=naevus" in capsys.readouterr().err


def test_evaluate_prints_scores_beside_the_runs_own_and_names_the_set(
    finished: Path,
    desk: Desk,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("evaluate", str(finished), str(desk.casts)) == 0
    place = Path("evaluation/casts/tiny-seed0/metrics.json")
    said, told = capsys.readouterr().out, json.loads(place.read_text())
    heads, accuracy, balanced, area, loss, last = said.splitlines()[-6:]
    assert heads.split() == ["score", "Casts", "test", "part", "of", "tiny-seed0"]
    own = json.loads((finished / "metrics.json").read_text())
    for line, rule, name in (
        (accuracy, "natural", "accuracy"),
        (balanced, "balanced", "balanced_accuracy"),
        (area, "natural", "macro_auroc"),
        (loss, "natural", "log_loss"),
    ):
        for metrics in (told, own):
            assert f"{metrics['parts']['test'][rule][name]:.3f} (" in line
        low, high = told["certainty"]["intervals"][rule][name]
        assert ("(no bounds)" if low is None else f"({low:.3f} to {high:.3f})") in line
    assert last.endswith(f"95 % intervals over lesions: {place}")
    assert drawn("group", "group", "mine") == "groups"
    assert drawn("lesion", "group", "mine") == "lesions, of mine over groups"


def test_runs_lists_finished_and_unfinished_ones_as_a_table_or_json(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = finished.parent / "other-seed0"
    other.mkdir(exist_ok=True)
    (other / "study.toml").write_text((finished / "study.toml").read_text())
    try:
        assert call("runs", str(finished.parent), "--json") == 0
        facts = json.loads(capsys.readouterr().out)
        assert [fact["finished"] for fact in facts] == [False, True]
        assert 0 <= facts[1]["test_accuracy_natural"] <= 1
        assert call("runs", str(finished.parent)) == 0
        said = capsys.readouterr().out
        assert "unfinished" in said
        assert str(finished / "report.html") in said, "off a terminal no path is cut"
    finally:
        (other / "study.toml").unlink()
        other.rmdir()


def test_a_torn_run_is_named_among_the_others(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished.parent, tmp_path / "small")
    for name in ("cut-seed0", "lost-seed0"):
        shutil.copytree(finished, tmp_path / "small" / name)
    cut, lost = (tmp_path / "small" / name for name in ("cut-seed0", "lost-seed0"))
    (cut / "metrics.json").write_text("{")
    (lost / "study.toml").write_text("")
    assert call("runs", str(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert [line.split()[-1] == "torn" for line in out.splitlines()[1:]] == [True, True, False]
    assert [f"`{cut / 'metrics.json'}` must be whole" in line for line in err.splitlines()] == [
        *(True, False)
    ]
    assert call("runs", str(tmp_path), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert ["torn" in fact for fact in facts] == [True, True, False]
    assert 0 <= facts[2]["test_accuracy_natural"] <= 1
    assert call("report", str(tmp_path / "small")) == 2
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        str(tmp_path / "small" / finished.name / "report.html"),
        str(tmp_path / "small" / "comparison.html"),
    ]
    assert sum("study.toml` must be whole, as moulage wrote it; got an empty" in line
               for line in err.splitlines() if line.startswith("moulage: ")) == 1  # fmt: skip


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"moulage {version('moulage')}\n"
    words = [sys.executable, "-m", "moulage", "--version"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"moulage {version('moulage')}\n")


def test_ctrl_c_while_modules_load_is_one_line() -> None:
    code = (
        "import sys\n"
        "class Pressed:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Pressed())\n"
        "from moulage.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "moulage: stopped before it began.\n")


def test_runs_says_so_where_there_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("runs", str(tmp_path)) == 0
    assert "No runs below" in capsys.readouterr().out


def test_a_studys_pages_are_written_anew_by_command_and_from_python(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, comparison = finished / "report.html", finished.parent / "comparison.html"
    page.unlink()
    assert call("report", str(finished.parent)) == 0
    assert capsys.readouterr().out.split() == [str(page), str(comparison)]
    page.unlink()
    assert moulage.report(str(finished.parent)) == comparison
    assert page.is_file()


def test_report_writes_a_page_anew(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = finished / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert call("report", str(finished)) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert page.read_bytes() == before


def test_split_writes_a_table_without_shared_lesions(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "split.csv"
    assert call("split", str(desk.casts), "--out", str(out), "--ratios", "50:25:25") == 0
    frame = pd.read_csv(out)
    assert frame.groupby("lesion_id")["part"].nunique().max() == 1
    assert "digest" in capsys.readouterr().out


def test_split_ties_the_confirmed_pairs_of_a_file(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(desk.casts / "HAM10000_metadata.csv")
    one, other = table.drop_duplicates("lesion_id").groupby("dx").get_group("nv")["image_id"][:2]
    listed, out = tmp_path / "pairs.csv", tmp_path / "split.csv"
    listed.write_text(f"image_id,other_id,confirmed\n{one},{other},yes\n")
    assert call("split", str(desk.casts), "--out", str(out), "--merge", str(listed)) == 0
    frame = pd.read_csv(out).set_index("image_id")
    assert frame.loc[one, "lesion_id"] == frame.loc[other, "lesion_id"]
    assert frame.groupby("lesion_id")["part"].nunique().max() == 1
    assert "2 lesion ids show 1 lesion, by the pairs in pairs.csv" in capsys.readouterr().err


def test_audit_finds_what_two_data_sets_share(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["audit", str(desk.casts), str(desk.casts), "--out", str(tmp_path / "pairs.csv")]
    assert call(*words) == 0
    assert "60 of 60 images of Casts (second)" in capsys.readouterr().out
    found = pd.read_csv(tmp_path / "pairs.csv")
    same = found[found["image_id"] == found["other_id"]]
    assert len(same) == 60
    assert set(same["evidence"]) == {"same bytes"}
    assert call(*words, "--strict") == 1


@pytest.mark.parametrize("words", [["--help"], ["runs"], ["runs", "--json"], ["cache"]])
def test_quick_commands_load_no_heavy_library(words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from moulage.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'torchvision', 'timm', 'sklearn', 'scipy', 'pandas', 'matplotlib', "
        "'cv2', 'skimage', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "[]"
