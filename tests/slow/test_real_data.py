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
