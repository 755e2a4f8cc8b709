"""Of several tables of diagnoses in one place, tell which counts; copies of one are one.

In:  names of tables.   Out: the only one, or a note on those that are not read.
Knows nothing of what is in them.
Why: a table chosen by the alphabet may be the old one, and every number is then of its labels.
"""

from pathlib import Path

from moulage.data.sources import Place, Sources
from moulage.errors import DataError, examples


def the_only(tables: list[str], place: Place) -> str | None:
    """Return the table of diagnoses, or none where there is none.

    Raises DataError where several differ: nobody knows which one is right.
    """
    differ = _differing(place.root, tables)
    if len(differ) > 1:
        raise DataError(
            f"A data set must have one table of images and diagnoses; got {len(differ)} "
            f"({examples(differ)}) in {place.root}. Move all but the right one away, or name that "
            "one: as the data set's path, or as `table` in a study file."
        )
    return differ[0] if differ else None


def unread(table: str, tables: list[str], place: Place) -> list[str]:
    """Return a note on those of some tables that are neither the one that is read nor its copy."""
    others = _differing(place.root, [table, *(name for name in tables if name != table)])[1:]
    if not others:
        return []
    return [
        f"Of {len(others) + 1} tables of diagnoses {table} is read, and {examples(others)} "
        "not: where another is meant, name it as the data set's path, or as `table` in a study "
        "file."
    ]


def _differing(root: Path, names: list[str]) -> list[str]:
    """Return the names of files that differ, byte for byte: of equal ones the first."""
    if len(names) < 2:
        return names
    with Sources(root) as sources:
        found = {sources.digest(name): name for name in reversed(names)}
    return [name for name in names if name in found.values()]
