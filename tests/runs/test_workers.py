import logging
import math
import operator
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from moulage.errors import ImageError, RunError
from moulage.files import alone_at
from moulage.runs.ledger import look, read_ledger
from moulage.runs.workers import side_by_side

NAMES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def ran(calls: list[Any], n_jobs: int = 2, threads: int = 1, told: Any = None) -> list[Any]:
    named = [(f"call{n}", call) for n, call in enumerate(calls)]
    told = told or (lambda done, total: None)
    return side_by_side(named, n_jobs=n_jobs, threads=threads, told=told)


def is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_answers_come_in_the_calls_order_whichever_ends_first() -> None:
    told: list[tuple[int, int]] = []
    calls = [partial(time.sleep, 0.3), partial(operator.add, 1, 2), partial(math.sqrt, 16)]
    assert ran(calls, told=lambda *step: told.append(step)) == [None, 3, 4.0]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_calls_run_in_processes_that_end_with_the_last() -> None:
    numbers = set(ran([os.getpid] * 6))
    assert os.getpid() not in numbers
    assert 1 <= len(numbers) <= 2
    assert not any(map(is_alive, numbers))


class Late:
    """Writes a file when its process is taken apart."""

    def __init__(self, path: str) -> None:
        self.touch = partial(open, path, "w")

    def __del__(self) -> None:
        self.touch().close()


def leave(path: str) -> None:
    sys.late = Late(path)  # type: ignore[attr-defined]


def test_processes_end_without_being_taken_apart(tmp_path: Path) -> None:
    ran([partial(leave, str(tmp_path / "apart"))])
    assert not (tmp_path / "apart").exists()


def test_each_call_has_its_share_of_the_threads() -> None:
    before = {name: os.environ.get(name) for name in NAMES}
    assert ran([torch.get_num_threads] * 2, threads=1) == [1, 1]
    asked = [partial(os.getenv, name) for name in NAMES]
    assert ran(asked, threads=3) == ["3", "3", "3"]
    assert {name: os.environ.get(name) for name in NAMES} == before


def test_a_fault_comes_whole_out_of_its_process() -> None:
    came = pickle.loads(pickle.dumps(ImageError("torn", "`a` is torn")))
    assert isinstance(came, ImageError)
    assert (came.cause, str(came)) == ("torn", "`a` is torn")


def test_the_first_fault_ends_the_others() -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"math domain error|expected a nonneg"):
        ran([partial(time.sleep, 60), partial(math.sqrt, -1), *[partial(time.sleep, 60)] * 4])
    assert time.monotonic() - started < 30


def test_a_workers_lines_name_their_call(capfd: pytest.CaptureFixture[str]) -> None:
    assert logging.getLogger().getEffectiveLevel() <= logging.WARNING
    ran([partial(logging.warning, "said %d", 7)] * 2)
    assert sorted(capfd.readouterr().err.split("\n")) == ["", "call0: said 7", "call1: said 7"]


def test_a_killed_process_is_one_sentence() -> None:
    with pytest.raises(
        RunError, match=r"`jobs` must be processes that live until .*one of 2 that ended"
    ):
        ran([partial(os._exit, 9), partial(operator.add, 1, 2)])


def test_looks_at_one_test_part_from_several_processes_are_all_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOULAGE_DATA", str(tmp_path))
    ask = "print(flush=True); from moulage.runs.ledger import look; print(flush=True); look('d1', "
    command = [sys.executable, "-c", f"{ask}run='s/a', recipe='r1')"]
    with alone_at(tmp_path / "ledger" / "d1.json"):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["\n", "\n"]
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert read_ledger("d1") == []
    assert process.communicate()
    assert process.returncode == 0
    assert [entry["recipe"] for entry in look("d1", run="s/b", recipe="r2")] == ["r1", "r2"]


def test_a_stop_while_processes_start_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = ProcessPoolExecutor.submit

    def interrupted(*given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return submit(*given)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", interrupted)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ran([partial(time.sleep, 60)] * 4)
    assert time.monotonic() - started < 30
    monkeypatch.undo()
    assert ran([partial(math.sqrt, 16)]) == [4.0]
