import logging
import math
import operator
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from moulage.errors import RunError
from moulage.runs.ledger import look, read_ledger
from moulage.runs.workers import side_by_side


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


@pytest.mark.parametrize("threads", [1, 2])
def test_each_call_has_its_share_of_the_threads(threads: int) -> None:
    before = torch.get_num_threads()
    assert ran([torch.get_num_threads] * 2, threads=threads) == [threads] * 2
    assert torch.get_num_threads() == before


def test_the_first_fault_ends_the_others() -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"math domain error|expected a nonneg"):
        ran([partial(time.sleep, 60), partial(math.sqrt, -1)])
    assert time.monotonic() - started < 30


def test_a_workers_lines_name_their_call(capfd: pytest.CaptureFixture[str]) -> None:
    assert logging.getLogger().getEffectiveLevel() <= logging.WARNING
    ran([partial(logging.warning, "said %d", 7)] * 2)
    assert sorted(capfd.readouterr().err.split("\n")) == ["", "call0: said 7", "call1: said 7"]


def test_a_killed_process_is_one_sentence() -> None:
    with pytest.raises(RunError, match=r"`jobs` must leave each run the memory .* killed among 2"):
        ran([partial(os._exit, 9), partial(operator.add, 1, 2)])


def test_looks_at_one_test_part_from_several_processes_are_all_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOULAGE_DATA", str(tmp_path))
    ran([partial(look, "d1", run=f"s/{n}", recipe=f"r{n}") for n in range(60)])
    assert {entry["recipe"] for entry in read_ledger("d1")} == {f"r{n}" for n in range(60)}
