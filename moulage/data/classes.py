"""Merge, rename, keep and drop diagnoses, as `[dataset.classes]` of a study file asks.

    [dataset.classes]
    malignant = ["mel", "bcc", "akiec"]     # new class = its old diagnoses
    benign = ["nv", "bkl", "df", "vasc"]

    [dataset.classes]
    keep = "rest"                           # what is not named here stays as it is
    drop = ["unk"]                          # these images are left out; "rest" drops all not named
    tumour = { of = ["mel", "nv"], name = "Melanocytic tumour", malignant = true }

In:  the mapping, the diagnoses the data set knows and those its rows show.   Out: a frozen plan.
Knows nothing of files.
Why: a row whose diagnosis nobody named is dropped by decision, never by accident.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from moulage.catalogue import Diagnosis
from moulage.data.diagnoses import describe
from moulage.errors import ConfigError, examples, nearest

Members = str | Sequence[str] | Mapping[str, object]
"""One old code, several, or a table of `of` and any of `name`, `colour`, `malignant`."""

KEEP, DROP, REST = "keep", "drop", "rest"
_FIELDS = ("of", "name", "colour", "malignant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Regrouping:
    """What becomes of each old code: its new code in `new_of`, or left out if in `dropped`."""

    diagnoses: tuple[Diagnosis, ...]
    new_of: Mapping[str, str]
    dropped: frozenset[str]


def plan_regrouping(
    classes: Mapping[str, Members], *, known: Sequence[Diagnosis], shown: Collection[str]
) -> Regrouping:
    """Turn the mapping into a plan; the new diagnoses stand in the mapping's order.

    A class is malignant if all its members are; a mixed one must say. Raises ConfigError where
    a diagnosis is unknown, named twice, or shown by a row and not named.
    """
    records = {diagnosis.code: diagnosis for diagnosis in (*known, *_strangers(known, shown))}
    named = {new: _codes(new, value) for new, value in classes.items()}
    rest = _rest(named, [diagnosis.code for diagnosis in known], records)
    olds_of = {new: rest[new] if olds == [REST] else olds for new, olds in named.items()}
    _check_named(olds_of, records, shown)
    built = [_merge(new, olds_of[new], classes[new], records) for new in _merged(olds_of)]
    kept = [records[old] for old in olds_of.get(KEEP, [])]
    return Regrouping(
        diagnoses=_in_order(olds_of, built=built, kept=kept),
        new_of=_new_codes(olds_of),
        dropped=frozenset(olds_of.get(DROP, [])),
    )


def regroup(frame: pd.DataFrame, plan: Regrouping) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows left, under new codes, and how many were dropped of each old code."""
    is_dropped = frame["diagnosis"].isin(plan.dropped)
    counts = frame.loc[is_dropped, "diagnosis"].value_counts(sort=False)
    left = frame.loc[~is_dropped]
    dropped = {str(code): int(n) for code, n in counts.items()}
    return left.assign(diagnosis=left["diagnosis"].map(dict(plan.new_of))), dropped


def _strangers(known: Sequence[Diagnosis], shown: Collection[str]) -> tuple[Diagnosis, ...]:
    return describe(sorted(set(shown) - {diagnosis.code for diagnosis in known}))


def _codes(new: str, value: Members) -> list[str]:
    if isinstance(value, Mapping):
        return _codes_of_table(new, value)
    return [value] if isinstance(value, str) else list(value)


def _codes_of_table(new: str, table: Mapping[str, object]) -> list[str]:
    unknown = [field for field in table if field not in _FIELDS]
    if unknown or "of" not in table or new in (KEEP, DROP):
        raise ConfigError(
            f"A class in `[dataset.classes]` must be a list, or a table of {', '.join(_FIELDS)} "
            f"with at least `of`; got {dict(table)} in `{new}`. Correct the table."
        )
    olds = table["of"]
    return [olds] if isinstance(olds, str) else [str(old) for old in _listed(olds)]


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, Iterable) else (value,)


def _rest(
    named: Mapping[str, list[str]], known: list[str], records: Mapping[str, Diagnosis]
) -> dict[str, list[str]]:
    """What "rest" means: `keep` takes the known ones not named, `drop` whatever is not named."""
    taken = {old for olds in named.values() for old in olds}
    return {
        KEEP: [code for code in known if code not in taken],
        DROP: [code for code in records if code not in taken],
    }


def _check_named(
    olds_of: Mapping[str, list[str]], records: Mapping[str, Diagnosis], shown: Collection[str]
) -> None:
    olds = [old for members in olds_of.values() for old in members]
    for old in olds:
        if old not in records:
            raise ConfigError(
                f"`[dataset.classes]` must name diagnoses of the data set; got {old!r}. "
                f"{nearest(old, records)} It has {', '.join(records)}; write new = [old, …]."
            )
    for new, members in olds_of.items():
        if not members and new not in (KEEP, DROP):
            raise ConfigError(
                f"A class in `[dataset.classes]` must name at least one diagnosis; got none in "
                f"`{new}`. Name its old diagnoses, or delete it."
            )
    twice = sorted({old for old in olds if olds.count(old) > 1})
    if twice:
        raise ConfigError(
            f"A diagnosis must stand in one class of `[dataset.classes]` only; got "
            f"{examples(twice)} more than once. Name each once."
        )
    left = sorted(set(shown) - set(olds))
    if left:
        raise ConfigError(
            f"Every diagnosis must be named in `[dataset.classes]`; got none for "
            f'{", ".join(left)}. Add each to a class, or write `keep = "rest"` or '
            '`drop = "rest"`.'
        )


def _merged(olds_of: Mapping[str, list[str]]) -> list[str]:
    return [new for new in olds_of if new not in (KEEP, DROP)]


def _merge(
    new: str, olds: list[str], value: Members, records: Mapping[str, Diagnosis]
) -> Diagnosis:
    """One new diagnosis; a class of one member inherits all that is not said otherwise."""
    said = value if isinstance(value, Mapping) else {}
    own = describe([new])[0]
    look = replace(records[olds[0]], code=new) if len(olds) == 1 else own
    if own.name == new and len(olds) > 1:
        look = replace(own, name=new.capitalize(), colour=records[olds[0]].colour)
    return replace(
        look,
        name=str(said.get("name", look.name)),
        colour=str(said.get("colour", look.colour)),
        is_malignant=_is_malignant(new, olds, said, records),
    )


def _is_malignant(
    new: str, olds: list[str], said: Mapping[str, object], records: Mapping[str, Diagnosis]
) -> bool:
    if "malignant" in said:
        return bool(said["malignant"])
    verdicts = {records[old].is_malignant for old in olds}
    if len(verdicts) == 1:
        return verdicts.pop()
    raise ConfigError(
        f"A class must hold malignant or benign diagnoses only, or say which it is; got both in "
        f"`{new}` ({', '.join(olds)}). Write "
        f"`{new} = {{ of = {olds}, malignant = true }}`, or false."
    )


def _in_order(
    olds_of: Mapping[str, list[str]], *, built: list[Diagnosis], kept: list[Diagnosis]
) -> tuple[Diagnosis, ...]:
    by_code = {diagnosis.code: diagnosis for diagnosis in built}
    clash = [diagnosis.code for diagnosis in kept if diagnosis.code in by_code]
    if clash or not (built or kept):
        raise ConfigError(
            "`[dataset.classes]` must leave diagnoses with names of their own; got "
            f"{f'{examples(clash)} twice' if clash else 'none'}. Rename a class."
        )
    groups = [kept if new == KEEP else [by_code[new]] for new in olds_of if new != DROP]
    return tuple(diagnosis for group in groups for diagnosis in group)


def _new_codes(olds_of: Mapping[str, list[str]]) -> dict[str, str]:
    return {
        old: old if new == KEEP else new
        for new, olds in olds_of.items()
        if new != DROP
        for old in olds
    }
