"""A study file: one TOML, one study. Unknown keys are errors that name the nearest known one.

In:  the text of a study file, and `key=value` overrides.   Out: the models of `config`.
Knows no key by itself: what may stand where is read off the models, `[common]` and changes apart.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from moulage.errors import ConfigError, nearest
from moulage.runs.config import NAME_PATTERN, Described, ExperimentConfig, StudyConfig

_OWN_WORDS = {"finite_number": "must be a finite number"}
_Read = TypeVar("_Read", bound=BaseModel)


def read_study(path: Path, *, changes: Sequence[str] = (), data: Path | None = None) -> StudyConfig:
    """Read a study file; `changes` are `key=value` with a dotted key (`split.seeds=[0,1]`).

    `experiment.dropout=0.3` changes every experiment, `experiment.NAME.dropout=0.3` one.
    `[common]` holds what all experiments share.
    """
    content = _read_toml(path)
    content.setdefault("name", path.stem)
    if data is not None:
        _set(content, ["dataset", "path"], str(data), "--data")
    for change in sorted(changes, key=lambda change: not change.lstrip().startswith("common.")):
        _apply(content, change)
    return parse_study(content, where=str(path))


def read_described(path: Path) -> Described:
    """Read `[dataset]` and `[images]` of a study file; nothing else needs to stand there."""
    return _checked(Described, _read_toml(path), where=str(path))


def parse_study(content: dict[str, Any], *, where: str = "the study") -> StudyConfig:
    """Check the plain values of a study; raises ConfigError that names each fault."""
    content = dict(content)
    _hand_out_common(content, where)
    return _checked(StudyConfig, content, where=where)


def _checked(model: type[_Read], content: dict[str, Any], *, where: str) -> _Read:
    try:
        # As JSON, so that lists may stand for tuples and texts for paths, but nothing else is bent.
        return model.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        faults = "; ".join(_faults(error, content))
        end = "" if faults.endswith("?") else "."
        raise ConfigError(f"{where} must follow the study file's rules: {faults}{end}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(
            f"A study must be a file that can be read; got {path} ({error.strerror}). "
            "`studies/` holds the ready ones."
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path} must be TOML; got: {error}. Correct that line.") from error


def _hand_out_common(content: dict[str, Any], where: str = "the study") -> None:
    """Give each experiment what `[common]` holds and it does not say itself."""
    common = content.pop("common", {})
    if not isinstance(common, dict):
        raise ConfigError(
            f"`common` must be a table in {where}; got {_short(common)}. Write `[common]`."
        )
    if experiments := _tables(content):
        content["experiment"] = [{**deepcopy(common), **experiment} for experiment in experiments]


def _tables(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the study's experiments, or none where they are no list of tables."""
    found = content.get("experiment")
    is_list = isinstance(found, list) and all(isinstance(one, dict) for one in found)
    return found if is_list and found else []


def _faults(error: ValidationError, content: Any) -> Iterator[str]:
    faults = error.errors()
    wrong = {fault["loc"][:depth] for fault in faults for depth in range(len(fault["loc"]))}
    for fault in faults:
        if fault["type"] == "too_short" and fault["loc"] in wrong:
            continue  # a list counts what is right in it: the fault inside is told already
        place = ".".join(_named(fault["loc"], content))
        if fault["type"] == "extra_forbidden":
            known = _keys_at(fault["loc"][:-1])
            hint = nearest(str(fault["loc"][-1]), known) or f" Known: {', '.join(sorted(known))}"
            yield f"`{place}` is no known key.{hint}"
        elif fault["type"] == "missing":
            yield f"`{place}` must be given"
        else:
            message = _OWN_WORDS.get(fault["type"], fault["msg"]).removeprefix("Value error, ")
            got = "" if "; got " in message else f"; got {_short(fault['input'])}"
            yield f"`{place or 'study'}`: {message}{got}"


def _named(location: tuple[int | str, ...], content: Any) -> Iterator[str]:
    """Yield the words of a key as a change writes them: tables in a list go by their names."""
    for part in location:
        try:
            content = content[part]
        except (LookupError, TypeError):
            content = None
        name = content.get("name") if isinstance(content, dict) else None
        is_told = isinstance(part, int) and re.match(NAME_PATTERN, str(name or ""))
        yield str(name if is_told else part)


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Return the known keys of the table at a location of the study file."""
    model: type[BaseModel] = StudyConfig
    for part in location:
        if isinstance(part, int):
            continue
        by_alias = {field.alias or name: field for name, field in model.model_fields.items()}
        model = _model_of(by_alias[part].annotation) or model
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [*names, "common"] if model is StudyConfig else names


def _model_of(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
    return models[0] if models else None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _apply(content: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            f"A change must read key=value; got {change!r}. Write, say, split.seeds=[0,1]."
        )
    parts, value = key.strip().split("."), _value(text.strip())
    if parts[0] == "experiment" and len(parts) > 1:
        _hand_out_common(content)  # else a table changed here would hide the common one
        experiments = _tables(content)
        named = [e for e in experiments if len(parts) > 2 and e.get("name") == parts[1]]
        if len(parts) > 2 and experiments and not named:
            _refuse_stranger(parts[1], [str(e.get("name")) for e in experiments], change)
        for experiment in named or experiments:
            _set(experiment, parts[2:] if named else parts[1:], value, change)
        return
    _set(content, parts, value, change)


def _refuse_stranger(name: str, experiments: list[str], change: str) -> None:
    """Refuse what is neither an experiment nor a key of one."""
    keys = list(ExperimentConfig.model_fields)
    if name not in keys:
        raise ConfigError(
            f"A change must name an experiment ({', '.join(experiments)}) or a key of one; got "
            f"{change!r}.{nearest(name, [*experiments, *keys]) or ' Correct the name.'}"
        )


def _set(table: dict[str, Any], parts: list[str], value: Any, change: str) -> None:
    *tables, last = parts
    for part in tables:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"A change must name a table's key; got {change!r}, where `{part}` is no table. "
                "Edit the study file instead."
            )
        table = inner
    table[last] = value


def _value(text: str) -> Any:
    """Read a value as TOML does; what is no TOML value is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
