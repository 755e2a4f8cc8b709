"""Calls side by side, a process each.

In:  functions that can be pickled, and their names.   Out: what they return, in their order.
Knows nothing of what they do.
Why: a head's steps are short, and between them a second thread finds nothing to do; two heads at
once, on a thread each, keep both processors busy (docs/decisions/jobs.md).
"""

import atexit
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from typing import TypeVar

from moulage.errors import RunError

T = TypeVar("T")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_at_work = threading.Lock()  # a worker's, while a call runs
_is_stopped = threading.Event()  # a worker's own: to ask it takes no lock


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
    context = get_context("spawn")
    stopped = context.Event()
    pool = ProcessPoolExecutor(
        min(n_jobs, len(calls)),
        mp_context=context,
        initializer=_begin,
        initargs=(stopped, logging.getLogger().level),
    )
    try:
        with _beginning(threads):  # the processes start here
            futures = [pool.submit(_call, name, call) for name, call in calls]
        for n_done, future in enumerate(as_completed(futures), start=1):
            future.result()
            told(n_done, len(futures))
    except BrokenProcessPool as error:
        raise RunError(
            f"`jobs` must be processes that live until they are done; got one of {n_jobs} that "
            "ended before. Where memory is short, ask for fewer; where a script asks for them, it "
            "must do so below `if __name__ == '__main__':`. What was done is kept."
        ) from error
    except BaseException:
        stopped.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


@contextmanager
def _beginning(threads: int) -> Iterator[None]:
    """Let processes that start in the body have so many threads, and be deaf to Ctrl-C.

    Libraries count threads when they are loaded, and a worker hears what its parent hands on. A
    Ctrl-C for the parent waits until the body's end.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    _let_through(is_heard=False)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        _let_through(is_heard=True)


def _let_through(*, is_heard: bool) -> None:
    """Let Ctrl-C wait, or hear it; processes that start meanwhile let it wait too."""
    if hasattr(signal, "pthread_sigmask"):
        how = signal.SIG_UNBLOCK if is_heard else signal.SIG_BLOCK
        signal.pthread_sigmask(how, {signal.SIGINT})


def _begin(stopped: Event, level: int) -> None:
    """Make a worker out of a new process."""
    logging.getLogger().setLevel(level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _let_through(is_heard=True)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # the terminal's Ctrl-C reaches the parent alone
    threading.Thread(target=_stop_when_told, args=(stopped,), daemon=True).start()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    atexit.register(os._exit, 0)  # nothing is left to tidy, and torch takes a second to fall apart


def _stop_when_told(stopped: Event) -> None:
    """Wait for the event here alone: a signal may leave its lock shut where it strikes."""
    stopped.wait()
    _stop()


def _stop() -> None:
    _is_stopped.set()
    os.kill(os.getpid(), signal.SIGINT)


def _end_with_the_parent() -> None:
    """Stop where the parent is killed: whoever goes on finds nobody at work."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        _stop()
        with _at_work:
            os._exit(1)


def _call(name: str, call: Callable[[], T]) -> T:
    """Run in a worker: every line of its log begins with the call's name."""
    logging.basicConfig(format=f"{name}: %(message)s", force=True)
    with _at_work:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            if _is_stopped.is_set():  # before the signal could be heard
                raise KeyboardInterrupt
            return call()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
