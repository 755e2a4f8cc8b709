"""A study file is read, changed and refused in words that name the key."""

from pathlib import Path
from typing import Any

import pytest

from moulage.errors import ConfigError
from moulage.runs.config import StudyConfig
from moulage.runs.studyfile import parse_study, read_study

PHASE = {"name": "frozen", "train_from": "head"}
EXPERIMENT = {"name": "exp1", "backbone": "MobileNetV2", "phases": [PHASE]}
TEXT = """
[split]
seeds = [0, 1]
[common]
weights = "random"
hidden = [16]
[[common.phases]]
name = "frozen"
train_from = "head"
[[experiment]]
name = "a"
backbone = "MobileNetV2"
[[experiment]]
name = "b"
backbone = "DenseNet201"
hidden = [8, 4]
"""


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    return path


def parse(**changes: Any) -> StudyConfig:
    return parse_study({"experiment": [EXPERIMENT], **changes})


def test_what_is_common_reaches_each_experiment_that_does_not_say_otherwise(
    study_file: Path,
) -> None:
    study = read_study(study_file)
    assert study.name == "mine"
    assert [experiment.hidden for experiment in study.experiments] == [(16,), (8, 4)]
    assert {experiment.weights for experiment in study.experiments} == {"random"}


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    with pytest.raises(
        ConfigError, match=r"`split\.seed` is no known key\. Did you mean 'seeds'\?"
    ):
        parse(split={"seed": [1]})
    with pytest.raises(
        ConfigError, match=r"`experiment\.exp1\.phases\.frozen\.epoch` .* 'epochs'\?$"
    ):
        parse(experiment=[{**EXPERIMENT, "phases": [{**PHASE, "epoch": 3}]}])
    with pytest.raises(ConfigError, match=r"`experiment\.exp1\.augmentation\.flip` .* 'flips'\?$"):
        parse(experiment=[{**EXPERIMENT, "augmentation": {"flip": True}}])
    with pytest.raises(ConfigError, match=r"`comon` is no known key\. Did you mean 'common'\?"):
        parse(comon={})


def test_every_fault_stands_in_one_message() -> None:
    faulty = {**EXPERIMENT, "dropout": 1.5, "phases": [{"name": "x", "epochs": 0}]}
    with pytest.raises(ConfigError) as caught:
        parse(experiment=[faulty], images={"size": 3}, splitt={})
    message = str(caught.value)
    for place in ("dropout", "train_from` must be given", "epochs", "images.size", "splitt"):
        assert place in message
    assert "\n" not in message
    assert "got 1.5" in message
    assert "at least 1 item" not in message, "the list is not empty: what is in it is wrong"


def test_a_change_reaches_a_table_every_experiment_or_one(study_file: Path) -> None:
    changes = (
        "split.seeds=[4]",
        "images.resize=pad",
        "experiment.dropout=0.1",
        "experiment.b.dropout=0.2",
        "experiment.a.augmentation.turns=true",
        "common.weights='starter'",
        'common.phases=[{name="only", train_from="all", epochs=1}]',
    )
    study = read_study(study_file, changes=changes, data=Path("elsewhere"))
    a, b = study.experiments
    assert study.split.seeds == (4,)
    assert study.images.resize == "pad"
    assert (a.dropout, b.dropout) == (0.1, 0.2)
    assert (a.augmentation.turns, b.augmentation.turns) == (True, False)
    assert a.weights == "starter"
    assert [phase.name for phase in b.phases] == ["only"]
    assert study.dataset.path == Path("elsewhere")


def test_a_change_within_a_common_table_leaves_the_rest_of_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        TEXT + '[common.augmentation]\nflips = true\n[common.imbalance]\nkind = "focal"\n'
    )
    changes = ("experiment.a.augmentation.rotation=20.0", "experiment.imbalance.gamma=3.0")
    a, b = read_study(path, changes=changes).experiments
    assert (a.augmentation.flips, a.augmentation.rotation) == (True, 20.0)
    assert (b.augmentation.flips, b.augmentation.rotation) == (True, 0.0)
    assert [(one.imbalance.kind, one.imbalance.gamma) for one in (a, b)] == [("focal", 3.0)] * 2
    with pytest.raises(ConfigError, match="where `phases` is no table"):
        read_study(path, changes=("experiment.phases.epochs=3",))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("split.seeds", "must read key=value"),
        ("=3", "must read key=value"),
        ("name.first=3", "where `name` is no table"),
        ("common.phases.epochs=3", "where `phases` is no table"),
        ("experiment=3", "experiment"),
        ("experiment.dropuot=3", r"`experiment\.a\.dropuot` is no known key.*'dropout'\?$"),
        ("experiment.c.dropout=0.3", r"an experiment \(a, b\) or a key of one; got 'experiment\.c"),
        ("experiment.augmentatoin.turns=true", r"Did you mean 'augmentation'\?$"),
        ("split.=3", r"`split\.` is no known key"),
    ],
)
def test_a_change_that_names_no_key_is_refused(study_file: Path, change: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_study(study_file, changes=(change,))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"a = ", "must be TOML"), (b"\xff\xfe", "must be TOML"), (b"dataset = 3", "no table")],
)
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        read_study(path, data=Path("x"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope\.toml \(No such file"):
        read_study(tmp_path / "nope.toml")


def test_the_ready_studies_follow_the_rules() -> None:
    ready = sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))
    assert {"ham10000-best", "ham10000-paper"} <= {path.stem for path in ready}
    assert all(read_study(path).experiments for path in ready)
