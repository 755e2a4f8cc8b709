"""Calls side by side, each in a process that has its share of the threads.

In:  functions that can be pickled, and their names.   Out: what they return, in their order.
Knows nothing of studies.
Why: a head's steps are short, and between them a second thread finds nothing to do; two heads at
once, on a thread each, keep both processors busy (docs/decisions/threads.md).
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import TypeVar

from moulage.errors import RunError

T = TypeVar("T")
_at_work = threading.Lock()  # a worker's, while a call runs
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def side_by_side(
    calls: Sequence[tuple[str, Callable[[], T]]],
    *,
    n_jobs: int,
    threads: int,
    told: Callable[[int, int], None],
) -> list[T]:
    """Return what each of the named calls returns; the first fault ends all.

    threads: of each call. told: called with (done, total). Ctrl-C is handed on to every call, and
    waits for it. Raises RunError where a process is killed.
    """
    others = set(active_children())
    pool = ProcessPoolExecutor(
        min(n_jobs, len(calls)),
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(threads, logging.getLogger().level),
    )
    try:
        futures = [pool.submit(_call, name, call) for name, call in calls]
        for n_done, future in enumerate(as_completed(futures), start=1):
            future.result()
            told(n_done, len(futures))
    except BrokenProcessPool as error:
        raise RunError(
            f"`jobs` must leave each run the memory that it needs; got a process that was killed "
            f"among {n_jobs}. Ask for fewer: what was done is kept."
        ) from error
    except BaseException:
        _interrupt(set(active_children()) - others)
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def _interrupt(processes: Iterable[BaseProcess]) -> None:
    for process in processes:
        if process.pid is not None:
            os.kill(process.pid, signal.SIGINT)


def _begin(threads: int, level: int) -> None:
    """Make a worker out of a new process, before it knows of any library."""
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    logging.getLogger().setLevel(level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # the terminal's Ctrl-C reaches the parent alone, who hands it on
    threading.Thread(target=_follow_the_parent, daemon=True).start()


def _follow_the_parent() -> None:
    """End as at Ctrl-C where the parent is killed: whoever goes on finds nobody at work."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGINT)
        with _at_work:
            os._exit(1)


def _call(name: str, call: Callable[[], T]) -> T:
    """Run in a worker: every line of its log begins with the call's name."""
    logging.basicConfig(format=f"{name}: %(message)s", force=True)
    with _at_work:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return call()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
