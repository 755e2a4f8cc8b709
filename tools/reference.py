"""Write the references that the code itself knows: commands, and the keys of a study file.

In:  the command line and the models of `moulage/runs/config.py`.
Out: docs/commands.md, docs/study-file.md and the README's table of commands. Run as
`python -m tools.reference`.
Why: what is written twice by hand is soon true only once.
"""

import json
import re
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.main import get_command

from moulage.cli.app import app
from moulage.runs.config import StudyConfig

ROOT = Path(__file__).parent.parent
README, COMMANDS, STUDY_FILE = (
    ROOT / "README.md",
    ROOT / "docs" / "commands.md",
    ROOT / "docs" / "study-file.md",
)
OPENING, CLOSING = "<!-- commands -->\n", "<!-- end of commands -->"

_WIDTH = 96
_COMMANDS_HEAD = """# Commands

What `--help` says, command by command; `python -m tools.reference` writes this page anew.
A command that fails prints one line on standard error and exits with 2. Four variables of the
environment matter: `MOULAGE_WEIGHTS` (a folder of pretrained weights), `MOULAGE_CACHE` and
`MOULAGE_DATA` (where caches and the ledger live), `MOULAGE_OFFLINE=1` (never ask the network).
"""
_STUDY_HEAD = """# The study file

One TOML file is one study: experiments × seeds × splits, a run each. `studies/` holds ready ones.
Unknown keys are refused, and the nearest known one is named. `moulage train STUDY --set KEY=VALUE`
changes a key for one call: `--set split.seeds=[0,1]`, `--set experiment.dropout=0.3` for every
experiment, `--set experiment.exp1.dropout=0.3` for one. It reaches no key inside `phases`, a list
of tables: change the file instead. What stands in `[common]` holds for every experiment that does
not say otherwise. `python -m tools.reference` writes this page anew.

The smallest one:

```toml
[dataset]
path = "lesions"

[[experiment]]
name = "first"
backbone = "MobileNetV2"

[[experiment.phases]]
name = "frozen"
train_from = "head"
```
"""
_SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}
_KINDS = {bool: "true, false", int: "integer", float: "number", str: "text", Path: "path"}


def command_reference() -> str:
    """Return docs/commands.md."""
    sections = [f"## {name}\n\n```text\n{_help(name, one)}\n```\n" for name, one in _commands()]
    return "\n".join([_COMMANDS_HEAD, *sections])


def command_table() -> str:
    """Return the README's table: a row a command."""
    rows = [f"| `{name}` | {_first_sentence(one.help)} |" for name, one in _commands()]
    return "\n".join(["| command | does |", "| --- | --- |", *rows]) + "\n"


def study_reference() -> str:
    """Return docs/study-file.md."""
    sections = [_section(where, model) for where, model in _tables(StudyConfig, "")]
    return "\n".join([_STUDY_HEAD, *sections])


def with_table(readme: str, table: str) -> str:
    """Put the table of commands in its place."""
    start = readme.index(OPENING) + len(OPENING)
    return readme[:start] + "\n" + table + "\n" + readme[readme.index(CLOSING) :]


def main() -> None:
    """Write all three."""
    COMMANDS.write_text(command_reference())
    STUDY_FILE.write_text(study_reference())
    README.write_text(with_table(README.read_text(), command_table()))


def _commands() -> Iterator[tuple[str, Any]]:
    return _leaves("moulage", get_command(app))


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield each command with its full name; a group is one where it does something alone."""
    inner = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield name, command
    for word, one in inner.items():
        if not one.hidden:
            yield from _leaves(f"{name} {word}", one)


def _help(name: str, command: Any) -> str:
    command.rich_markup_mode = None
    context = typer.Context(
        command, info_name=name, terminal_width=_WIDTH, max_content_width=_WIDTH
    )
    return str(command.get_help(context)).rstrip()


def _first_sentence(words: str) -> str:
    return " ".join(re.split(r"(?<=\.) |\n\n", words, maxsplit=1)[0].split()).rstrip(".")


def _tables(model: type[BaseModel], where: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each table of a study file with its name, outermost first."""
    yield where, model
    for key, field in _fields(model):
        if inner := _model_in(field.annotation):
            yield from _tables(inner, f"{where}.{key}" if where else key)


def _section(where: str, model: type[BaseModel]) -> str:
    rows = [
        f"| `{key}` | {_allowed(field)} | {_default(field)} | {field.description or ''} |"
        for key, field in _fields(model)
        if not _model_in(field.annotation)
    ]
    title = f"## `{where}`" if where else "## At the top"
    head = ["| key | allowed | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([title, "", f"{_told(model)}", "", *head, *rows, ""])


def _told(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield field.alias or name, field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *typing.get_args(annotation)]
    found = [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]
    return found[0] if found else None


def _allowed(field: FieldInfo) -> str:
    return " ".join([_kind(field.annotation), _bounds(field.metadata)]).strip()


def _bounds(rules: Iterable[Any]) -> str:
    bounds = [
        f"{sign} {getattr(rule, kind.__name__.lower()):g}"
        for rule in rules
        for kind, sign in _SIGNS.items()
        if isinstance(rule, kind)
    ]
    return ", ".join(bounds)


def _kind(annotation: Any) -> str:
    """Say in words which values a key takes.

    >>> _kind(tuple[int, ...]), _kind(str | None)
    ('list of integers', 'text')
    """
    if typing.get_origin(annotation) is typing.Annotated:
        plain, field = typing.get_args(annotation)
        return " ".join([_kind(plain), _bounds(field.metadata)])
    inner = [one for one in typing.get_args(annotation) if one not in (type(None), ...)]
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in inner)
    if origin is tuple:
        length = "list of" if ... in typing.get_args(annotation) else str(len(inner))
        kind, _, bounds = _kind(inner[0]).partition(" ")
        return f"{length} {kind}s {bounds}".rstrip()
    if origin is dict:
        return "table"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_kind(one) for one in inner)
    return _KINDS.get(annotation, "any")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "empty"
    if field.default is PydanticUndefined:
        return "**must be given**"
    if field.default in (None, ""):
        return "none"
    return f"`{_as_toml(field.default)}`"


def _as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_as_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


if __name__ == "__main__":
    main()
