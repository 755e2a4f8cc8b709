"""The ledger: how often the test part of a split was looked at, by which run.

In:  a split's digest and a run's name.   Out: a JSON file in the user's data directory.
Why: a test part looked at often enough is a validation part; a page that gives a test score must
say how many looks there were. Phase ends and kept weights of one run are one look.
"""

import json
import time
from pathlib import Path
from typing import Any

from moulage.files import alone_at, data_folder, write_json


def look(split_digest: str, *, run: str, recipe: str) -> list[dict[str, Any]]:
    """Note that a run looked at a test part, and return all looks so far, this one included.

    recipe: a digest of what was trained; the same recipe looking again is no new look.
    """
    path = _path(split_digest)
    with alone_at(path):
        looks = read_ledger(split_digest)
        if not any(entry["recipe"] == recipe for entry in looks):
            looks.append({"run": run, "recipe": recipe, "date": time.strftime("%Y-%m-%d")})
            write_json(path, looks)
    return looks


def refuse_unwritable() -> None:
    """Raise RunError where no look could be noted, before there is anything to look at."""
    trial = _path("trial")
    write_json(trial, [])
    trial.unlink(missing_ok=True)


def read_ledger(split_digest: str) -> list[dict[str, Any]]:
    """Return the looks at a split's test part, first to last."""
    path = _path(split_digest)
    if not path.is_file():
        return []
    looks: list[dict[str, Any]] = json.loads(path.read_text())
    return looks


def in_words(n_looks: int) -> str:
    """Return the sentence that a page gives beside its test scores."""
    times = {1: "once", 2: "twice"}.get(n_looks, f"{n_looks} times")
    return f"The test part of this split has been looked at {times} on this machine."


def _path(split_digest: str) -> Path:
    return data_folder() / "ledger" / f"{split_digest}.json"
