"""A run's small files read back: JSON, TOML and tables; what is torn is told, with a cure.

In:  a file that moulage wrote.   Out: plain values.
Knows nothing of what they mean. pandas is imported where it is used: listing runs must not wait.
Why one reader a kind: a copy that broke off must never read as a fault of ours, or as less.
"""

import io
import json
import tomllib
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moulage.errors import RunError, examples

if TYPE_CHECKING:
    import pandas as pd

AGAIN = "Copy the run folder again, or delete it and train it again."


class Kept(dict[str, Any]):
    """A table of a file: to ask it for what it lacks says so of the file."""

    def __init__(self, content: Mapping[str, Any], *, path: Path, cure: str) -> None:
        super().__init__(content)
        self._path, self._cure = path, cure

    def __missing__(self, key: str) -> Any:
        raise torn(self._path, f"no {key!r} in it", self._cure)


def torn(path: Path, found: object, cure: str = AGAIN) -> RunError:
    """Return the error that names a file of a run which is not what moulage wrote."""
    return RunError(f"`{path}` must be whole, as moulage wrote it; got {found}. {cure}")


def read_json(path: Path, *, keys: Collection[str] = (), cure: str = AGAIN) -> dict[str, Any]:
    """Read a JSON table; raises RunError where it is gone, torn or lacks one of `keys`."""
    text = _text(path, cure)
    try:
        content = json.loads(text, object_hook=partial(Kept, path=path, cure=cure))
    except ValueError as error:
        raise torn(path, f"torn JSON ({error})", cure) from error
    return _checked(content, path, keys, cure)


def read_toml(path: Path, *, keys: Collection[str] = ()) -> dict[str, Any]:
    """Read a TOML table; raises RunError as `read_json` does."""
    text = _text(path, AGAIN)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise torn(path, f"torn TOML ({error})") from error
    _refuse_break(text, path)
    return _checked(_keeping(content, path), path, keys, AGAIN)


def read_table(path: Path, *, columns: Collection[str], texts: Collection[str]) -> "pd.DataFrame":
    """Read a CSV; columns that are not named in `texts` hold numbers. RunError as above."""
    import pandas as pd

    content = _text(path, AGAIN)
    _refuse_break(content, path)
    try:
        frame = pd.read_csv(
            io.StringIO(content),
            dtype=dict.fromkeys(texts, str),
            keep_default_na=False,
            na_values=[""],
        )
    except ValueError as error:  # pandas' own are ValueErrors
        raise torn(path, f"a torn table ({error})") from error
    if missing := [name for name in columns if name not in frame.columns]:
        raise torn(path, f"no column {examples(missing)}")
    numbers = frame.drop(columns=list(texts)) if len(frame) else frame.iloc[:, :0]
    if odd := [name for name in numbers if not pd.api.types.is_numeric_dtype(numbers[name])]:
        raise torn(path, f"text among the numbers of {examples(odd)}")
    return frame


def _text(path: Path, cure: str) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise torn(path, "no such file", cure) from error
    if not content.strip(b"\0"):
        raise torn(path, "nothing but zeros" if content else "an empty file", cure)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise torn(path, f"what is no text ({error})", cure) from error


def _refuse_break(text: str, path: Path) -> None:
    """Refuse text whose last line has no end: a shorter file may read as a whole one."""
    if not text.endswith("\n"):
        raise torn(path, f"a file that breaks off after {len(text):,} letters")


def _keeping(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        inner = {key: _keeping(part, path) for key, part in value.items()}
        return Kept(inner, path=path, cure=AGAIN)
    return [_keeping(part, path) for part in value] if isinstance(value, list) else value


def _checked(content: Any, path: Path, keys: Collection[str], cure: str) -> dict[str, Any]:
    if not isinstance(content, Kept):
        raise torn(path, f"a {type(content).__name__} in place of a table", cure)
    if missing := [key for key in keys if key not in content]:
        raise torn(path, f"no {examples(missing)} in it", cure)
    return content
