"""What a caller passed, held against what was asked: a sentence with its cure, where it differs.

In:  an argument and its name.   Out: the argument in the type asked for.
Knows nothing of what arguments are used for, nor of arrays (`arrays`): commands that need no
numpy need not wait for it.
"""

import math
import os
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from moulage.errors import ConfigError, examples, nearest


def path_of(value: object, name: str) -> Path:
    """Return a path that was passed as text or `Path`."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise ConfigError(
            f"`{name}` must be a path; got {value!r}. Pass the name of a file or a folder."
        )
    return Path(value)


def paths_of(values: object, name: str) -> list[Path]:
    """Return paths; one alone is a list of one."""
    return [path_of(value, name) for value in _several(values, name)]


def names_of(values: object, name: str) -> tuple[str, ...]:
    """Return texts; one alone is a list of one."""
    found = tuple(_several(values, name))
    if not all(isinstance(one, str) for one in found):
        raise ConfigError(f"`{name}` must be a list of texts; got {values!r}. Pass their names.")
    return found


def whole_number(value: object, name: str, *, least: int = 0) -> int:
    """Return an integer that is no less than `least`."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ConfigError(
            f"`{name}` must be a whole number; got {value!r}. Write, say, {max(least, 1)}."
        )
    if value < least:
        raise ConfigError(f"`{name}` must be at least {least}; got {value}. Write {least} or more.")
    return int(value)


def is_finite(value: object) -> bool:
    """Say whether a value is a number, neither NaN nor infinite."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_positive(value: object) -> bool:
    """Say whether a value is a finite number above 0."""
    return is_finite(value) and value > 0  # type: ignore[operator]


def one_of(value: object, name: str, known: Collection[str]) -> None:
    """Refuse a word that is not known."""
    if not isinstance(value, str) or value not in known:
        raise ConfigError(
            f"`{name}` must be one of {examples(known, 9)}; got {value!r}."
            + (nearest(str(value), known) or " Choose one of them.")
        )


def known_keywords(given: Iterable[str], known: Collection[str], what: str) -> None:
    """Refuse a keyword that the function `what` has not."""
    for name in given:
        if name not in known:
            raise ConfigError(
                f"A further argument of `{what}` must be one of {', '.join(known)}; got {name!r}."
                + (nearest(name, known) or " Leave it out.")
            )


def mapping_of(value: object, name: str, example: str) -> Mapping[Any, Any]:
    """Return a mapping; nothing counts as an empty one."""
    if value is not None and not isinstance(value, Mapping):
        raise ConfigError(f"`{name}` must be a dict; got {value!r}. Write, say, {example}.")
    return value or {}


def _several(values: object, name: str) -> Iterable[Any]:
    if isinstance(values, str | os.PathLike):
        return [values]
    if not isinstance(values, Iterable):
        raise ConfigError(f"`{name}` must be a list; got {values!r}. Write [{values!r}].")
    return values
