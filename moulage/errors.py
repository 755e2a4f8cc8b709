"""Every exception that moulage raises on purpose, grouped by what the caller can do.

    MoulageError
    ├── ConfigError    (ValueError)  change the study file or the argument
    ├── DataError      (ValueError)  mend the data set
    │   ├── LeakageError             make another split
    │   └── ImageError               replace one file; `cause` says what is wrong with it
    ├── ShapeError     (ValueError)  pass an array of the stated shape
    └── RunError       (OSError)     free space, or start the run afresh
        └── MissingWeightsError      fetch weights, or choose others

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


class ImageError(DataError):
    """One file cannot be read as an image; `cause` is a word or two for lists of such files."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        """Come whole out of another process."""
        return type(self), (self.cause, str(self))


class ShapeError(MoulageError, ValueError):
    """An array has another shape, type or range than the one stated."""


class RunError(MoulageError, OSError):
    """The machine refuses: no space, no weights, a folder that belongs to something else."""


class MissingWeightsError(RunError):
    """Pretrained weights are neither on this machine nor to be had from the hub."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a space and a sentence that names the known word closest to `name`, or nothing.

    >>> nearest("densnet201", ["densenet201", "mobilenetv2_100"])
    " Did you mean 'densenet201'?"
    """
    matches = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def examples(names: Iterable[object], most: int = 3) -> str:
    """Join the first few of many for a message: `a, b, c and 4 more`."""
    listed = [str(name) for name in names]
    shown = ", ".join(listed[:most])
    return shown if len(listed) <= most else f"{shown} and {len(listed) - most} more"
