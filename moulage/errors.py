"""Every exception that moulage raises on purpose, grouped by what the caller can do.

    MoulageError
    ├── ConfigError    (ValueError)  change the study file or the argument
    ├── DataError      (ValueError)  mend the data set
    │   └── LeakageError             make another split
    ├── ShapeError     (ValueError)  pass an array of the stated shape
    └── RunError       (OSError)     free space, fetch weights, or start the run afresh

A message reads `<what> must be <rule>; got <value> [in <where>]. <Cure in the imperative>.`
"""

import difflib
from collections.abc import Iterable


class MoulageError(Exception):
    """Any fault that moulage itself reports; the command line prints it as one line."""


class ConfigError(MoulageError, ValueError):
    """A study file, an option or an argument says something that cannot be done."""


class DataError(MoulageError, ValueError):
    """A data set contradicts itself or its files cannot be read."""


class LeakageError(DataError):
    """Two parts of a split share a group."""


class ShapeError(MoulageError, ValueError):
    """An array has another shape, type or range than the one stated."""


class RunError(MoulageError, OSError):
    """The machine refuses: no space, no weights, a folder that belongs to something else."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known word closest to `name`, or an empty string.

    >>> nearest("densnet201", ["densenet201", "mobilenetv2_100"])
    "Did you mean 'densenet201'?"
    """
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {matches[0]!r}?" if matches else ""


def examples(names: Iterable[object], most: int = 3) -> str:
    """Join the first few of many for a message: `a, b, c and 4 more`."""
    listed = [str(name) for name in names]
    shown = ", ".join(listed[:most])
    return shown if len(listed) <= most else f"{shown} and {len(listed) - most} more"
