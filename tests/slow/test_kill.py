"""SIGKILL at any moment, the same command again, the same bytes in `predictions.parquet`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from moulage.casts.generator import make_casts

pytestmark = pytest.mark.slow

# Dies before the nth time that a file of this name is opened, or something renamed to it.
DRIVER = """
import os, signal, sys
event, name, left = sys.argv[1], sys.argv[2], [int(sys.argv[3])]

def watch(happens, given):
    if happens == event and name in str(given[1 if event == "os.rename" else 0]):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
sys.argv = ["moulage", *sys.argv[4:]]
from moulage.cli.app import main
from moulage.training import loop
loop._CHECKPOINT_APART_S = 0.0  # epochs of milliseconds leave checkpoints as those of seconds do
main()
"""
# In the order of a run's life: each life begins where the one before ended.
MOMENTS = (
    ("open", "pixels.npy", 1),
    ("os.rename", "cache/pixels/", 2),
    ("os.rename", "study.toml", 1),
    ("open", "maps.npy", 1),
    ("os.rename", "cache/activations/", 2),
    ("log", "frozen 1/2", 1),
    ("os.rename", "predictions-frozen.parquet", 1),
    ("os.rename", "start-1.safetensors", 1),
    ("os.rename", "checkpoint.safetensors", 1),
    ("log", "fine-tuned 1/2", 1),
    ("os.rename", "predictions-fine-tuned.parquet", 1),
    ("open", "maps.npy", 1),
    ("os.rename", "checkpoint.safetensors", 2),
    ("os.rename", "/predictions.parquet", 1),
    ("os.rename", "metrics.json", 1),
    ("os.rename", "metadata-regression.parquet", 1),
    ("os.rename", "report.html", 1),
)
STUDY = """
name = "killed"
[images]
size = 32
[machine]
threads = 1
[[experiment]]
name = "tiny"
backbone = "test_efficientnet"
weights = "random"
hidden = [8]
imbalance = "class_weight"
[experiment.augmentation]
turns = true
brightness = 0.2
mixup = 0.4
[[experiment.phases]]
name = "frozen"
train_from = "head"
epochs = 2
batch = 16
average = 0.9
[[experiment.phases]]
name = "fine-tuned"
train_from = "all"
epochs = 2
batch = 16
schedule = "one_cycle"
warmup = 0.3
average = 0.9
[[experiment.phases]]
name = "polish"
train_from = "head"
epochs = 2
batch = 16
"""


def words_of(place: Path) -> list[str]:
    return ["train", str(place / "study.toml"), "--data", str(place / "casts"), "--out", "runs"]


def settings(place: Path) -> dict[str, str]:
    folders = {"MOULAGE_CACHE": str(place / "cache"), "MOULAGE_DATA": str(place / "data")}
    return {**os.environ, **folders, "OMP_NUM_THREADS": "1"}


def start(home: Path, place: Path, *watched: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *watched, *words_of(place)],
        cwd=home,
        env=settings(home),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def live_until(moment: tuple[str, str, int], home: Path, place: Path) -> tuple[int, str]:
    """Run the command until the moment; return its exit code and what it said."""
    event, name, nth = moment
    watched = ("none", "-", "1") if event == "log" else (event, name, str(nth))
    with start(home, place, *watched) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if event == "log" and name in line:
                process.kill()
        return process.wait(), "".join(said)


def finish(home: Path, place: Path) -> Path:
    code, said = live_until(("none", "-", 1), home, place)
    assert code == 0, said
    return home / "runs" / "killed" / "tiny-seed0"


def test_a_study_killed_at_every_kind_of_moment_ends_in_the_same_bytes(tmp_path: Path) -> None:
    make_casts(tmp_path / "casts", n_images=120, seed=3, size=(64, 48))
    (tmp_path / "study.toml").write_text(STUDY)
    for name in ("calm", "troubled"):
        (tmp_path / name).mkdir()
    calm = finish(tmp_path / "calm", tmp_path)
    for moment in MOMENTS:
        code, said = live_until(moment, tmp_path / "troubled", tmp_path)
        assert code == -9, f"{moment} was never reached:\n{said}"
    troubled = finish(tmp_path / "troubled", tmp_path)
    assert len(MOMENTS) >= 12
    files = sorted(path.name for path in calm.iterdir())
    assert files == sorted(path.name for path in troubled.iterdir())
    assert "report.html" in files
    assert not any(name.startswith(("checkpoint", "start-", ".")) for name in files)
    for name in files:
        if name.endswith((".parquet", ".safetensors", "split.csv")):
            assert (calm / name).read_bytes() == (troubled / name).read_bytes(), name
