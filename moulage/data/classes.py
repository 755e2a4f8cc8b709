"""Merge, rename, keep and drop diagnoses, as `[dataset.classes]` of a study file asks.

    [dataset.classes]
    malignant = ["mel", "bcc", "akiec"]     # new class = its old diagnoses
    benign = ["nv", "bkl", "df", "vasc"]

    [dataset.classes]
    keep = "rest"                           # what is not named here stays as it is
    drop = ["unk"]                          # these images are left out; "rest" drops all not named
    tumour = { of = ["mel", "nv"], name = "Melanocytic tumour", malignant = true }

    [dataset.classes]
    malignant = ["mel", "bcc", "akiec"]
    benign = "rest"                         # all that no other class names; one key may take it

Folders or labels that are numbers may be named as such: malignant = [1].

In:  the mapping, the diagnoses the data set knows and those its rows show.   Out: a frozen plan.
Knows nothing of files.
Why: a row whose diagnosis nobody named is dropped by decision, never by accident.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import pandas as pd

from moulage.catalogue import Diagnosis
from moulage.data.diagnoses import describe, known_as
from moulage.errors import ConfigError, examples, nearest

Members = str | int | Sequence[str | int] | Mapping[str, object]
"""One old code, several, or a table of `of` and any of `name`, `colour`, `malignant`."""

KEEP, DROP, REST = "keep", "drop", "rest"
_FIELDS = ("of", "name", "colour", "malignant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Regrouping:
    """What becomes of each old code: its new code in `new_of`, or left out if in `dropped`.

    assumed: old codes that count as benign because nobody knows them and no class says otherwise.
    """

    diagnoses: tuple[Diagnosis, ...]
    new_of: Mapping[str, str]
    dropped: frozenset[str]
    assumed: tuple[str, ...] = ()


def plan_regrouping(
    classes: Mapping[str, Members], *, known: Sequence[Diagnosis], shown: Collection[str]
) -> Regrouping:
    """Turn the mapping into a plan; the new diagnoses stand in the mapping's order.

    A class is malignant if all its members are; a mixed one must say. Members that nobody knows
    are what the class's own name means, else benign. Raises ConfigError where a diagnosis is
    unknown to the data set, named twice, or shown by a row and not named.
    """
    records = {diagnosis.code: diagnosis for diagnosis in (*known, *_strangers(known, shown))}
    olds_of = _with_rest(
        {new: _codes(new, value) for new, value in classes.items()},
        known=[diagnosis.code for diagnosis in known],
        every=records,
    )
    _check_named(olds_of, records, shown)
    built = [_merge(new, olds_of[new], classes[new], records) for new in _merged(olds_of)]
    kept = [records[old] for old in olds_of.get(KEEP, [])]
    return Regrouping(
        diagnoses=_in_order(olds_of, built=built, kept=kept),
        new_of=_new_codes(olds_of),
        dropped=frozenset(olds_of.get(DROP, [])),
        assumed=_assumed(olds_of, classes, records),
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


def _codes(new: str, value: object) -> list[str]:
    """Return a class's old codes; a whole number is a name, as a folder `0` has it."""
    members = _of(new, value) if isinstance(value, Mapping) else value
    listed = [members] if isinstance(members, str | Mapping) else _listed(members)
    strange = [one for one in listed if not _is_name(one)]
    if strange:
        raise ConfigError(
            f"A class in `[dataset.classes]` must be made of names; got {strange[0]!r} in `{new}`. "
            f'Write its old diagnoses in quotes: {new} = ["old", …].'
        )
    return [str(one) for one in listed]


def _is_name(one: object) -> bool:
    return isinstance(one, str | Integral) and not isinstance(one, bool)


def _of(new: str, table: Mapping[str, object]) -> object:
    unknown = [field for field in table if field not in _FIELDS]
    if unknown or "of" not in table or new in (KEEP, DROP):
        raise ConfigError(
            f"A class in `[dataset.classes]` must be a list, or a table of {', '.join(_FIELDS)} "
            f"with at least `of`; got {dict(table)} in `{new}`. Correct the table."
        )
    if not isinstance(table.get("malignant", False), bool):
        raise ConfigError(
            f"`malignant` in `[dataset.classes]` must be true or false; got "
            f"{table['malignant']!r} in `{new}`. Write it without quotes."
        )
    return table["of"]


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, Iterable) else [value]


def _with_rest(
    named: Mapping[str, list[str]], *, known: list[str], every: Iterable[str]
) -> dict[str, list[str]]:
    """Put what is meant in place of "rest", which one key may take.

    `drop` takes whatever is not named; others take what the data set knows, and no strangers.
    """
    takers = [new for new, olds in named.items() if olds == [REST]]
    if len(takers) > 1:
        raise ConfigError(
            f'At most one key of `[dataset.classes]` must be "{REST}"; got it in '
            f"{', '.join(f'`{new}`' for new in takers)}. Name the diagnoses of the others."
        )
    taken = {old for new, olds in named.items() if new not in takers for old in olds}
    left = {
        new: [code for code in (every if new == DROP else known) if code not in taken]
        for new in takers
    }
    return {**named, **left}


def _check_named(
    olds_of: Mapping[str, list[str]], records: Mapping[str, Diagnosis], shown: Collection[str]
) -> None:
    olds = [old for members in olds_of.values() for old in members]
    for old in olds:
        if old not in records:
            raise ConfigError(
                f"`[dataset.classes]` must name diagnoses of the data set; got {old!r}."
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
    """One new diagnosis; what is not said of it is its member's, or what its name means."""
    said = value if isinstance(value, Mapping) else {}
    look = _look(new, olds, records)
    return replace(
        look,
        name=str(said.get("name", look.name)),
        colour=str(said.get("colour", look.colour)),
        is_malignant=_is_malignant(new, olds, said, records),
    )


def _look(new: str, olds: list[str], records: Mapping[str, Diagnosis]) -> Diagnosis:
    """A class of one known member looks like it; any other has its own name."""
    first = records[olds[0]]
    if len(olds) == 1 and (new == first.code or not _is_unknown(first)):
        return replace(first, code=new)
    own = known_as(new)
    return Diagnosis(
        code=new,
        name=(own and own.name) or new.capitalize(),
        colour=(own and own.colour) or first.colour,
    )


def _is_malignant(
    new: str, olds: list[str], said: Mapping[str, object], records: Mapping[str, Diagnosis]
) -> bool:
    if "malignant" in said:
        return bool(said["malignant"])
    own = known_as(new)
    by_name = own is not None and own.is_malignant
    members = [records[old] for old in olds]
    verdicts = {by_name if _is_unknown(one) else one.is_malignant for one in members}
    if len(verdicts) == 1:
        return verdicts.pop()
    raise ConfigError(
        f"A class must hold malignant or benign diagnoses only, or say which it is; got both in "
        f"`{new}` ({', '.join(olds)}). Write "
        f"`{new} = {{ of = {olds}, malignant = true }}`, or false."
    )


def _is_unknown(diagnosis: Diagnosis) -> bool:
    return not diagnosis.is_malignant and known_as(diagnosis.code) is None


def _assumed(
    olds_of: Mapping[str, list[str]],
    classes: Mapping[str, Members],
    records: Mapping[str, Diagnosis],
) -> tuple[str, ...]:
    silent = [
        new for new in olds_of if new != DROP and not _says_whether_malignant(new, classes[new])
    ]
    return tuple(old for new in silent for old in olds_of[new] if _is_unknown(records[old]))


def _says_whether_malignant(new: str, value: Members) -> bool:
    in_table = isinstance(value, Mapping) and "malignant" in value
    return in_table or (new != KEEP and known_as(new) is not None)


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
