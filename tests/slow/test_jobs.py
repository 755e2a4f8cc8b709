"""Runs side by side, interrupted or their parent killed: nobody goes on, the same bytes at last."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from moulage.casts.generator import make_casts
from moulage.training.checkpoint import read_state

pytestmark = pytest.mark.slow
STUDY = """
name = "twins"
[images]
size = 32
[machine]
threads = {threads}
[[experiment]]
name = "tiny"
backbone = "test_efficientnet"
weights = "random"
hidden = [8]
seeds = [0, 1, 2, 3]
[[experiment.phases]]
name = "all"
train_from = "all"
epochs = 6
batch = 4
"""


def start(home: Path, threads: int, *words: str) -> subprocess.Popen[str]:
    (home / "study.toml").write_text(STUDY.format(threads=threads))
    folders = {"MOULAGE_CACHE": str(home / "cache"), "MOULAGE_DATA": str(home / "data")}
    command = "from moulage.cli.app import main; main()"
    data = ["train", "study.toml", "--data", str(home.parent / "casts"), "--out", "runs", *words]
    return subprocess.Popen(
        [sys.executable, "-c", command, *data],
        cwd=home,
        env={**os.environ, **folders},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )


def finish(home: Path, threads: int, *words: str) -> dict[str, bytes]:
    with start(home, threads, *words) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait() == 0, said
    runs = sorted((home / "runs" / "twins").glob("tiny-*"))
    return {path.name: (path / "predictions.parquet").read_bytes() for path in runs}


def children_of(number: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(number: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads children from /proc")
@pytest.mark.parametrize(
    ("stop", "code", "moment"),
    [
        (lambda number: os.killpg(number, signal.SIGINT), 130, "late"),
        (lambda number: os.kill(number, signal.SIGINT), 130, "early"),
        (lambda number: os.kill(number, signal.SIGKILL), -9, "late"),
    ],
    ids=["the terminal's Ctrl-C", "Ctrl-C before they can hear", "the parent killed"],
)
def test_nobody_goes_on_and_the_same_command_ends_in_the_same_bytes(
    tmp_path: Path, stop: Callable[[int], None], code: int, moment: str
) -> None:
    make_casts(tmp_path / "casts", n_images=240, seed=3, size=(64, 48))
    for name in ("calm", "troubled"):
        (tmp_path / name).mkdir()
    with start(tmp_path / "troubled", 2, "--jobs", "2") as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        if moment == "early":
            wait_for(lambda: len(children_of(process.pid)) == 3)
        else:
            assert any("all 2/6" in line for line in lines)
            time.sleep(0.1)  # into the next epoch: at an epoch's very end there is no step to keep
        workers = children_of(process.pid)
        assert len(workers) == 3, "two, and what watches what they share"
        stop(process.pid)
        assert process.wait() == code
        wait_for(lambda: not any(map(is_alive, workers)))
        left = process.stderr.read()
    assert "Traceback" not in left or code == -9
    assert not list((tmp_path / "troubled").rglob("metrics.json")), "none ran on to its end"
    states = [read_state(p) for p in (tmp_path / "troubled").rglob("checkpoint.safetensors")]
    if moment == "late":
        assert any(state.step > 0 for state in states), "a run that is stopped keeps its step"
    troubled = finish(tmp_path / "troubled", 2, "--jobs", "2")
    assert troubled.keys() == {f"tiny-seed{n}" for n in range(4)}
    assert troubled == finish(tmp_path / "calm", 1)
