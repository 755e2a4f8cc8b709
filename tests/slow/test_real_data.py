"""The study's data and pretrained weights, where they lie beside this repository."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SHARED = Path(__file__).resolve().parents[2] / "../shared"
STUDY = """
name = "real"
[common]
backbone = "MobileNetV3Small"
weights = "imagenet"
imbalance = "class_weight"
[[common.phases]]
name = "frozen"
train_from = "head"
epochs = 3
[[experiment]]
name = "fig3"
[[experiment]]
name = "second"
dropout = 0.3
"""
ANSWERED = """
import sys
from pathlib import Path

import moulage
from moulage.networks.folding import fold
from moulage.networks.machine import resolve_machine
from moulage.networks.saved import load_classifier
from moulage.runs.studyfile import read_study
from moulage.runs.material import prepare, read_images
from moulage.runs.progress import silently
from moulage.runs.study import cells_of
from moulage.training.loop import answers_of

data, backbone = sys.argv[1:]
given = dict(data=Path(data), changes=[f"common.backbone={backbone}", f"name={backbone}"])
(run,) = moulage.train("study.toml", only=["fig3"], **given).finished
study = read_study(Path("study.toml"), **given)
material = prepare(cells_of(study)[0], read_images(study, silently))
rows = material.of("test")
labels = material.catalogue.labels[rows]
decisions = []
for precision in ("float32", "bfloat16"):
    machine = resolve_machine(precision=precision)
    engine = fold(load_classifier(run.path).classifier, machine)
    decisions.append(answers_of(engine, material.pixels.array[rows], machine=machine).argmax(1))
exact, rounded = decisions
print((exact == rounded).mean(), (rounded == labels).mean() - (exact == labels).mean())
"""
# Imports first: what is timed is the way from the command to the first step.
TIMED = """
import sys, time
from moulage import actions
import moulage.runs.schedule

class Enough(Exception):
    pass

def stop_at_first_step(what, done, total):
    if what.startswith("frozen"):
        raise Enough

started = time.monotonic()
try:
    actions.train("study.toml", data=sys.argv[1], only=["second"], progress=stop_at_first_step)
except Enough:
    print(time.monotonic() - started)
"""


@pytest.fixture(scope="module")
def shared() -> Path:
    """Return the folder with the data set and the weights; CI must have it."""
    if not (SHARED / "ham10000").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must find the data set and the weights in {SHARED}")
        pytest.skip(f"{SHARED} holds no data set here")
    return SHARED.resolve()


@pytest.fixture(scope="module")
def home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the first experiment has run."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "study.toml").write_text(STUDY)
    words = ["train", "study.toml", "--data", str(shared / "ham10000"), "--only", "fig3"]
    _python("from moulage.cli.app import main; main()", *words, home=folder, shared=shared)
    return folder


def _python(code: str, *words: str, home: Path, shared: Path) -> str:
    own = {
        "MOULAGE_CACHE": str(home / "cache"),
        "MOULAGE_DATA": str(home / "data"),
        "MOULAGE_WEIGHTS": str(shared / "weights"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=home,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_three_frozen_epochs_beat_seventy_per_cent_on_lesions_never_seen(home: Path) -> None:
    metrics = json.loads((home / "runs" / "real" / "fig3-seed0" / "metrics.json").read_text())
    accuracy = metrics["parts"]["test"]["natural"]["accuracy"]
    print(f"MobileNetV3Small, frozen, three epochs: test accuracy {accuracy:.3f} (natural)")
    assert 0.70 < accuracy < 0.90
    (phase,) = metrics["phases"]
    assert (phase["n_trainable"], phase["n_total"]) == (1_180_935, 2_120_311)


def test_a_second_experiment_takes_its_first_step_within_three_seconds(
    home: Path, shared: Path
) -> None:
    seconds = float(_python(TIMED, str(shared / "ham10000"), home=home, shared=shared))
    print(f"first step after {seconds:.2f} s")
    assert seconds < 3


@pytest.mark.parametrize("backbone", ["MobileNetV2", "MobileNetV3Small"])
def test_bfloat16_changes_two_decisions_of_a_hundred_at_most(
    backbone: str, home: Path, shared: Path
) -> None:
    told = _python(ANSWERED, str(shared / "ham10000"), backbone, home=home, shared=shared)
    equal, gained = map(float, told.split()[-2:])
    print(f"{backbone}: {equal:.3f} of decisions equal, accuracy {100 * gained:+.2f} points")
    assert equal >= 0.98
    assert abs(gained) <= 0.005
