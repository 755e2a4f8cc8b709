"""The Python door takes what is meant, and refuses the rest before anything is read or written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import moulage
from moulage import actions
from moulage.casts.generator import make_casts
from moulage.errors import ConfigError, MoulageError


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for a finished run, and return what it is asked about."""
    asked: dict[str, Any] = {}

    def listen(folder: object, paths: object, **others: object) -> object:
        asked["paths"] = paths
        raise ConfigError("heard")

    monkeypatch.setattr("moulage.actions.open_run", lambda path: path)
    monkeypatch.setattr("moulage.runs.application.classify_files", listen)
    monkeypatch.setattr("moulage.runs.explaining.open_witness", lambda run: None)
    monkeypatch.setattr("moulage.runs.explaining.coloured", lambda manner, **others: manner)
    monkeypatch.setattr("moulage.runs.explaining.explain_files", listen)
    return asked


@pytest.mark.parametrize("action", [moulage.predict, moulage.explain])
@pytest.mark.parametrize("images", ["photo.jpg", Path("photo.jpg"), ["photo.jpg"]])
def test_one_path_is_a_list_of_one(
    action: Callable[..., object], images: object, heard: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="heard"):
        action("run", images)
    assert heard["paths"] == [Path("photo.jpg")]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: moulage.train({"a": 1}), "`study` must be a path; got {'a': 1}"),
        (lambda: moulage.read_dataset(None), "`dataset` must be a path; got None"),
        (lambda: moulage.read_dataset(""), "`dataset` must be a path; got ''"),
        (lambda: moulage.read_dataset("x", knid="table"), "Did you mean 'kind'"),
        (
            lambda: moulage.read_dataset("x", columns=["a"]),
            r"`columns` must be a dict; got \['a'\]",
        ),
        (lambda: moulage.evaluate("run", "x", mapping=["a"]), "`mapping` must be a dict"),
        (lambda: moulage.explain("run", metod="sampled"), "Did you mean 'method'"),
        (lambda: moulage.explain("run", sample=0), "`--sample` must be at least 1; got 0"),
        (lambda: moulage.predict("run", None), "`images` must be a list; got None"),
        (lambda: moulage.report(None), "`run` must be a path"),
    ],
)
def test_wrong_arguments_are_told_with_a_cure(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda place, **layout: moulage.read_dataset(place, **layout),
        lambda place, **layout: moulage.evaluate("run", place, **layout),
        lambda place, **layout: moulage.survey(place, **layout),
        lambda place, **layout: moulage.make_split(place, **layout),
        lambda place, **layout: actions.extract_features("a_backbone", place, **layout),
    ],
)
@pytest.mark.parametrize("name", ["absent", "path"])
def test_what_actions_say_themselves_is_no_layout(
    call: Callable[..., object], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moulage.actions.open_run", lambda path: path)
    said = rf"must be one of kind, columns, table, images, classes, name; got '{name}'\."
    with pytest.raises(ConfigError, match=said):
        call(tmp_path, **{name: "note"})


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"jobs": "2"}, "`jobs` must be a whole number; got '2'"),
        ({"only": "fisrt"}, r"`--only` must name .* got fisrt\. Did you mean 'first'"),
        ({"changes": "split.seeds=[0,0]"}, r"`seeds` must differ from each other; got \[0, 0\]\."),
    ],
)
def test_a_study_is_trained_as_it_is_asked_for(
    named: dict[str, Any], said: str, tmp_path: Path
) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        '[[experiment]]\nname = "first"\nbackbone = "test_efficientnet"\n'
        '[[experiment.phases]]\nname = "frozen"\ntrain_from = "head"\n'
    )
    with pytest.raises(ConfigError, match=said):
        moulage.train(study, out=tmp_path / "runs", **named)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"merge": None}, '`merge` must be "auto", "none" or a CSV of pairs; got None'),
        ({"seed": None}, "`seed` must be a whole number; got None"),
        ({"seed": 1.5}, "`seed` must be a whole number; got 1.5"),
        ({"ratios": {}}, "`ratios` must have a part above 0; got {}"),
        ({"ratios": [60, 40]}, "`ratios` must be a dict"),
        ({"ratios": {"train": "60"}}, "`ratios` must be finite and not negative"),
    ],
)
def test_a_split_is_made_as_it_is_asked_for(
    named: dict[str, Any], said: str, tmp_path: Path
) -> None:
    make_casts(tmp_path / "casts", n_images=20, seed=1, size=(64, 48), threads=1)
    with pytest.raises(MoulageError, match=said):
        moulage.make_split(tmp_path / "casts", **named)


def test_a_comparison_asks_for_a_study_with_a_finished_run(tmp_path: Path) -> None:
    for name in ("one/first-seed0", "two/first-seed0"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "study.toml").touch()
    cases = {"nowhere": "got none in .*nowhere", "one": "got none in .*one"}
    for name, said in cases.items():
        with pytest.raises(ConfigError, match=f"`STUDY` must be .* finished run; {said}"):
            moulage.compare(tmp_path / name)
    for run in tmp_path.glob("*/first-seed0"):
        (run / "metrics.json").touch()
    with pytest.raises(ConfigError, match=r"got the run .* Name the folder above it, .*one"):
        moulage.compare(tmp_path / "one" / "first-seed0")
    for action in (moulage.compare, moulage.report):
        with pytest.raises(ConfigError, match=r"got 2 studies below .* Name one: .*one, "):
            action(tmp_path)
    assert not [*tmp_path.rglob("comparison*"), *tmp_path.glob("nowhere")]
