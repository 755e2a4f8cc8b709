"""Calls side by side, each in a process that has its share of the threads.

In:  functions of this package and what they are given.   Out: what they return, in their order.
Knows nothing of studies.
Why: a head's steps are short, and between them a second thread finds nothing to do; two heads at
once, on a thread each, keep both processors busy (docs/decisions/threads.md).
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor

T = TypeVar("T")


def side_by_side(
    calls: Sequence[tuple[str, Callable[[], T]]],
    *,
    n_jobs: int,
    threads: int,
    told: Callable[[int, int], None],
) -> list[T]:
    """Return what each of the named calls returns; the first fault ends all.

    threads: of each call. told: called with (done, total). Arrays that are mapped files are
    mapped again there, not copied. The processes end with the last call: each holds a torch.
    """
    level = logging.getLogger().level
    asked = [delayed(_call)(place, name, call, level) for place, (name, call) in enumerate(calls)]
    found: dict[int, T] = {}
    try:
        with parallel_config("loky", n_jobs=n_jobs, inner_max_num_threads=threads):
            for place, returned in Parallel(return_as="generator_unordered", batch_size=1)(asked):
                found[place] = returned
                told(len(found), len(asked))
    finally:
        get_reusable_executor().shutdown(wait=True, kill_workers=len(found) < len(asked))
    return [found[place] for place in range(len(asked))]


def _call(place: int, name: str, call: Callable[[], T], level: int) -> tuple[int, T]:
    """Run in a worker: every line of its log begins with the call's name."""
    logging.basicConfig(level=level, format=f"{name}: %(message)s", force=True)
    return place, call()
