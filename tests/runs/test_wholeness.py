"""Run folders that lost something: each is named with a cure, and each cure is tried."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moulage import actions
from moulage.dossier import trust_record
from moulage.errors import RunError
from moulage.runs.config import StudyConfig
from moulage.runs.folder import RunFolder
from moulage.runs.schedule import Outcome, run_study
from moulage.runs.studyfile import parse_study
from moulage.split import read_split, write_split

from .conftest import FROZEN, TINY

PHASES = [FROZEN, {**FROZEN, "name": "again"}]
Mangle = Callable[[Path], None]


def silently(what: str, done: int, total: int) -> None:
    pass


def train(study: StudyConfig, out: Path, *, fresh: bool = False, **kept: Any) -> Outcome:
    return run_study(
        study, out=out, only=(), fresh=fresh, progress=kept.pop("progress", silently), **kept
    )


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def bare(path: Path) -> None:
    path.write_text("{}")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def reassign(path: Path) -> None:
    split = read_split(path)
    moved = np.where(np.arange(len(split)) < 20, "test", split.parts)
    write_split(replace(split, parts=moved), path)


def drop_a_row(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.fixture(scope="module")
def study(casts: Path) -> StudyConfig:
    content: dict[str, Any] = {
        "name": "small",
        "dataset": {"path": str(casts)},
        "images": {"size": 32},
        "machine": {"threads": 1, "precision": "float32"},
        "experiment": [{**TINY, "phases": PHASES}, {**TINY, "name": "other"}],
        "ensemble": [{"name": "together", "of": ["tiny", "other"]}],
    }
    return parse_study(content)


@pytest.fixture(scope="module")
def whole(study: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs that are all finished."""
    out = tmp_path_factory.mktemp("whole")
    train(study, out)
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "runs"))


@pytest.fixture(scope="module")
def begun(study: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs whose first was stopped in its second phase."""
    out = tmp_path_factory.mktemp("begun")

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("again"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(study, out, progress=stop)
    return out


@pytest.fixture
def stopped(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "runs"))


TORN: list[tuple[str, Mangle]] = [
    *(("metrics.json", how) for how in (cut, empty, bare)),
    *(("study.toml", how) for how in (cut, empty)),
    *(("split.csv", how) for how in (Path.unlink, cut, empty, reassign)),
    *(("catalogue.parquet", how) for how in (Path.unlink, cut)),
    *(("history.csv", how) for how in (Path.unlink, empty, drop_a_row)),
    *(("predictions.parquet", how) for how in (Path.unlink, cut)),
    *(("classifier.json", how) for how in (Path.unlink, cut, bare)),
    *(("classifier.safetensors", how) for how in (Path.unlink, cut)),
]


@pytest.mark.parametrize(("name", "how"), TORN)
def test_training_names_the_torn_file_of_a_finished_run(
    study: StudyConfig, out: Path, name: str, how: Mangle
) -> None:
    file = out / "small" / "tiny-seed0" / name
    how(file)
    with pytest.raises(RunError, match=rf"tiny-seed0/{name}`.* delete it and train it again\.$"):
        train(study, out)


@pytest.mark.parametrize("fresh", [True, False], ids=["--fresh", "deleted"])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        *(("metrics.json", cut), ("study.toml", cut), ("split.csv", reassign)),
        *(("classifier.safetensors", flip), ("predictions.parquet", cut)),
        *(("predictions-frozen.parquet", Path.unlink), ("trust.json", bare)),
        *(("unfamiliarity.csv", drop_a_row), ("familiarity.safetensors", cut)),
    ],
)
def test_either_cure_makes_the_run_whole_again(
    study: StudyConfig, whole: Path, out: Path, name: str, how: Mangle, fresh: bool
) -> None:
    file = out / "small" / "tiny-seed0" / name
    how(file)
    if not fresh:
        shutil.rmtree(file.parent)
    train(study, out, fresh=fresh)
    kept = ("predictions.parquet", "classifier.safetensors", "split.csv", "catalogue.parquet")
    for one in kept:
        before = whole / "small" / "tiny-seed0" / one
        assert (file.parent / one).read_bytes() == before.read_bytes()


def test_fresh_leaves_what_is_whole(study: StudyConfig, out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}
    train(study, out, fresh=True)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")} == before


@pytest.mark.parametrize("name", ["metrics.json", "study.toml"])
def test_a_torn_run_stays_where_it_could_not_start_over(
    study: StudyConfig, out: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*_: object) -> None:
        raise RunError("No weights are here.")

    file = out / "small" / "tiny-seed0" / name
    cut(file)
    monkeypatch.setattr("moulage.runs.experiment._refuse_here", refuse)
    with pytest.raises(RunError, match="No weights are here"):
        train(study, out, fresh=True)
    assert file.is_file()


@pytest.mark.parametrize(
    ("name", "how"),
    [("metrics.json", cut), ("study.toml", cut), ("study.toml", empty), ("split.csv", cut)],
)
def test_a_torn_ensemble_is_named_and_made_anew_when_asked(
    study: StudyConfig, whole: Path, out: Path, name: str, how: Mangle
) -> None:
    file = out / "small" / "together-seed0" / name
    how(file)
    with pytest.raises(RunError, match=rf"together-seed0/{name}` must be whole"):
        train(study, out)
    train(study, out, fresh=True)
    before, after = (RunFolder(path=one / "small" / "together-seed0") for one in (whole, out))
    assert after.split().digest == before.split().digest
    assert after.metrics()["parts"] == before.metrics()["parts"]


def test_a_changed_split_is_refused_wherever_a_run_is_opened(out: Path) -> None:
    run = out / "small" / "tiny-seed0"
    reassign(run / "split.csv")
    stated, found = RunFolder(path=run).study()["split"]["digest"], read_split(run / "split.csv")
    said = rf"split\.csv` must have the digest {stated}, .*; got {found.digest}\. Copy the run"
    for opened in (
        *(actions.report, actions.trust, actions.card, actions.units),
        lambda path: actions.explain(path, sample=1),
    ):
        with pytest.raises(RunError, match=said):
            opened(run)


@pytest.mark.parametrize(
    ("how", "said"), [(drop_a_row, "test images"), (empty, "an empty file"), (cut, "breaks off")]
)
def test_lost_rows_of_unfamiliarity_are_told(out: Path, how: Mangle, said: str) -> None:
    run = out / "small" / "tiny-seed0"
    how(run / "unfamiliarity.csv")
    with pytest.raises(RunError, match=rf"unfamiliarity\.csv` must be whole, .*{said}"):
        trust_record(RunFolder(path=run))


def test_a_study_s_pages_are_written_before_a_torn_run_is_raised(out: Path) -> None:
    study, pages = out / "small", ("other-seed0/report.html", "comparison.html")
    drop_a_row(study / "tiny-seed0" / "history.csv")
    for page in out.rglob("*.html"):
        page.unlink()
    with pytest.raises(RunError, match=r"tiny-seed0/history\.csv` must be whole") as raised:
        actions.report(study)
    assert all((study / page).is_file() for page in pages)
    assert not (study / "tiny-seed0" / "report.html").exists()
    assert not hasattr(raised.value, "__notes__")
    cut(study / "other-seed0" / "metrics.json")
    (study / "together-seed0" / "split.csv").unlink()
    with pytest.raises(RunError, match=r"other-seed0/metrics\.json` must be whole") as raised:
        actions.report(study)
    names = ("tiny-seed0/history.csv", "together-seed0/split.csv")
    assert len(raised.value.__notes__) == len(names)
    assert all(any(name in note for note in raised.value.__notes__) for name in names)


def test_lost_epochs_are_told(out: Path) -> None:
    run = RunFolder(path=out / "small" / "tiny-seed0")
    drop_a_row(run.path / "history.csv")
    with pytest.raises(RunError, match=r"history\.csv` .*; got 1 of the 2 epochs in `metrics"):
        actions.report(run.path)


def test_a_study_s_page_names_a_torn_run_and_shows_the_others(
    out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut(out / "small" / "tiny-seed0" / "metrics.json")
    page = actions.compare(out / "small").read_text()
    assert "tiny-seed0 is torn and left out: " in page
    account = json.loads((out / "small" / "comparison.json").read_text())
    assert list(account["torn"]) == ["tiny-seed0"]
    assert set(account["looks"]) == {"other-seed0", "together-seed0"}
    assert any("tiny-seed0 is left out" in message for message in caplog.messages)
    for name in ("other-seed0", "together-seed0"):
        cut(out / "small" / name / "metrics.json")
    with pytest.raises(RunError, match=r"metrics\.json` must be whole"):
        actions.compare(out / "small")


@pytest.mark.parametrize("how", [cut, empty, bare, lambda path: path.write_text("[]")])
def test_a_torn_layout_is_told_and_its_cure_is_true(
    study: StudyConfig, out: Path, how: Mangle
) -> None:
    layout = out / "small" / "study.json"
    before = layout.read_bytes()
    how(layout)
    said = r"study\.json` must be whole, .* Delete it: the next `moulage train`"
    with pytest.raises(RunError, match=said):
        actions.compare(out / "small")
    layout.unlink()
    train(study, out)
    assert layout.read_bytes() == before


@pytest.mark.parametrize("name", ["split.csv", "catalogue.parquet"])
def test_a_run_that_goes_on_gets_back_what_the_data_set_knows(
    study: StudyConfig, whole: Path, stopped: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = stopped / "small" / "tiny-seed0"
    empty(run / name)
    with pytest.raises(RunError, match=rf"{name}` must be whole.* Delete this file: the same"):
        train(study, stopped)
    (run / name).unlink()
    train(study, stopped)
    assert f"{run / name} was gone, and is written anew from the data set" in caplog.messages
    for kept in (name, "predictions.parquet"):
        assert (run / kept).read_bytes() == (whole / "small" / "tiny-seed0" / kept).read_bytes()


@pytest.mark.parametrize("how", [Path.unlink, cut])
def test_a_lost_phase_is_told_before_the_next_is_trained(
    study: StudyConfig, whole: Path, stopped: Path, how: Mangle
) -> None:
    told: list[str] = []
    run = stopped / "small" / "tiny-seed0"
    how(run / "predictions-frozen.parquet")
    with pytest.raises(RunError, match=r"predictions-frozen\.parquet` must be whole.* delete it"):
        train(study, stopped, progress=lambda what, *_: told.append(what))
    assert not any(what.startswith("again") for what in told)
    train(study, stopped, fresh=True)
    before = whole / "small" / "tiny-seed0" / "predictions.parquet"
    assert (run / "predictions.parquet").read_bytes() == before.read_bytes()


@pytest.mark.parametrize("how", [cut, empty, lambda path: path.write_bytes(bytes(99))])
def test_a_torn_recipe_of_an_unfinished_run_is_no_changed_one(
    study: StudyConfig, stopped: Path, how: Mangle
) -> None:
    how(stopped / "small" / "tiny-seed0" / "study.toml")
    with pytest.raises(RunError, match=r"study\.toml` must be whole"):
        train(study, stopped)
    train(study, stopped, fresh=True)
    assert RunFolder(path=stopped / "small" / "tiny-seed0").is_finished


def test_pages_written_elsewhere_leave_the_run_as_it_is(out: Path, tmp_path: Path) -> None:
    run = out / "small" / "tiny-seed0"
    actions.report(run)
    before = (run / "report.html").stat().st_mtime_ns
    actions.units(run, out=tmp_path / "units")
    assert (run / "report.html").stat().st_mtime_ns == before
    actions.units(run)
    assert (run / "report.html").stat().st_mtime_ns > before
