"""Tie lesion ids that show one lesion after all, so that no split tears it apart.

In:  pairs of images that somebody confirmed; a Catalogue; a Split.
Out: a `Merger`: who belongs together; a Split whose merged lesions lie in one part each.
Knows nothing of how pairs were found.
Why: two ids for one lesion leak as two photographs of it do. What is merged moves, all else stays
where it was: a split with merges can be compared with the one without.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.errors import ConfigError, DataError, examples
from moulage.files import separator_of
from moulage.split import Split, Unit

AUTO, NONE = "auto", "none"
_KNOWN: Mapping[str, str] = {"ham10000": "ham10000-merge.csv"}
_YES = frozenset({"yes", "y", "true", "1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Merger:
    """Lesion ids that belong together.

    tied: lesion id → the first, by name, of those that it shows. names: the same, without groups
    of several diagnoses: there each lesion keeps its own id, for a lesion has one diagnosis.
    contradicting: the first ids of those groups. source: where the pairs come from, in words.
    """

    tied: Mapping[str, str]
    names: Mapping[str, str]
    contradicting: tuple[str, ...] = ()
    source: str = ""
    unit: Unit = "lesion"

    def ties(self, one: str, other: str) -> bool:
        """Say whether two lesion ids are known to show one lesion."""
        return one in self.tied and self.tied[one] == self.tied.get(other)

    def rename(self, lesion_ids: NDArray[np.str_]) -> NDArray[np.str_]:
        """Return lesion ids (N,) with one name for each merged lesion."""
        return np.array([self.names.get(name, name) for name in lesion_ids.tolist()], dtype=str)

    def renamed(self, catalogue: Catalogue) -> Catalogue:
        """Return the catalogue with these lesion ids."""
        names = self.rename(catalogue.lesion_ids)
        return replace(catalogue, frame=catalogue.frame.assign(lesion_id=names))

    def notes(self, n_moved: int = 0) -> tuple[str, ...]:
        """Say what was merged, and how many images changed their part for it."""
        if not self.tied:
            return ()
        n_ids, n_lesions = len(self.tied), len(set(self.tied.values()))
        noun = self.unit if n_lesions == 1 else f"{self.unit}s"
        moved = f"; {n_moved} images changed their part for it" if n_moved else ""
        notes = [
            f"{n_ids} {self.unit} ids show {n_lesions} {noun}, by the pairs in {self.source}: each "
            f"lies in one part{moved}."
        ]
        if self.contradicting:
            notes.append(
                f"Merged lesions with several diagnoses: {len(self.contradicting)} (first: "
                f"{self.contradicting[0]}). Each lies in one part, and each image keeps its own "
                "lesion id and diagnosis; one of the labels is wrong."
            )
        return tuple(notes)


NOTHING = Merger(tied={}, names={})


def find_merger(merge: str, *, catalogue: Catalogue, kind: str) -> Merger:
    """Return what `merge` asks for: "auto", the pairs known for a kind of data set; "none"; or a
    file such as `near_duplicates.csv`, in which `confirmed` says yes.

    A file must name images of the catalogue; of known pairs those count that are in it.
    """
    if not isinstance(merge, str | Path):
        raise ConfigError(
            f'`merge` must be "auto", "none" or a CSV of pairs; got {merge!r}. Write "auto".'
        )
    if merge == NONE or (merge == AUTO and kind not in _KNOWN):
        return NOTHING
    if merge == AUTO:
        shipped = resources.files("moulage.splits").joinpath(_KNOWN[kind]).read_text()
        here = set(catalogue.image_ids.tolist())
        pairs = [pair for pair in _parse(shipped, _KNOWN[kind]) if here.issuperset(pair)]
        return merge_lesions(pairs, catalogue=catalogue, source=_KNOWN[kind])
    return merge_lesions(read_pairs(Path(merge)), catalogue=catalogue, source=Path(merge).name)


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Read the confirmed pairs of a CSV with image_id, other_id and, perhaps, confirmed.

    Raises ConfigError where the file cannot be read, lacks a column or confirms nothing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f'`merge` must be "auto", "none" or a CSV of pairs; got {path} ({error}). Name the '
            "near_duplicates.csv that a survey wrote."
        ) from error
    return _parse(text, str(path))


def merge_lesions(
    pairs: Sequence[tuple[str, str]], *, catalogue: Catalogue, source: str = "a list"
) -> Merger:
    """Tie the lesions of each pair of images, and of chains of pairs."""
    lesions = catalogue.lesion_ids.tolist()
    lesion_of = dict(zip(catalogue.image_ids.tolist(), lesions, strict=True))
    strangers = sorted({image for pair in pairs for image in pair if image not in lesion_of})
    if strangers:
        raise DataError(
            f"Pairs to merge must be images of the data set; got {len(strangers)} others "
            f"({examples(strangers)}) in {source}. Survey this data set again."
        )
    tied = _tie_chains((lesion_of[one], lesion_of[other]) for one, other in pairs)
    shown: dict[str, set[int]] = {}
    for lesion, label in zip(lesions, catalogue.labels.tolist(), strict=True):
        if lesion in tied:
            shown.setdefault(tied[lesion], set()).add(label)
    torn = tuple(sorted(first for first, found in shown.items() if len(found) > 1))
    torn = torn if catalogue.unit == "lesion" else ()  # groups may have several diagnoses
    names = {lesion: first for lesion, first in tied.items() if first not in torn}
    return Merger(tied=tied, names=names, contradicting=torn, source=source, unit=catalogue.unit)


def tie(split: Split, merger: Merger, *, move: bool = True) -> tuple[Split, int]:
    """Put each merged lesion into the part of its first id; return how many images moved too.

    move: False leaves the parts as they are and renames lesions only. Raises DataError where a
    part would lose all its images.
    """
    if not merger.tied:
        return split, 0
    parts = _tied_parts(split, merger) if move else split.parts
    emptied = np.setdiff1d(split.parts, parts)
    if len(emptied):
        raise DataError(
            f"A part must keep an image when {split.unit}s are merged; got none in "
            f"{examples(emptied)}. Take another seed, or give that part a greater share."
        )
    tied = replace(split, lesion_ids=merger.rename(split.lesion_ids), parts=parts)
    return tied, int((parts != split.parts).sum())


def _tied_parts(split: Split, merger: Merger) -> NDArray[np.str_]:
    lesions, parts = split.lesion_ids.tolist(), split.parts.tolist()
    led = [merger.tied.get(lesion, lesion) for lesion in lesions]
    part_of: dict[str, str] = {}
    for _, first, part in sorted(zip(lesions, led, parts, strict=True)):
        part_of.setdefault(first, part)  # of the first id that is in the split
    return np.array([part_of[first] for first in led], dtype=split.parts.dtype)


def _tie_chains(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return, for each name in a pair, the first name that it is tied to, through any others."""
    groups: dict[str, set[str]] = {}
    for one, other in pairs:
        group = groups.get(one, {one}) | groups.get(other, {other})
        groups |= dict.fromkeys(group, group)
    return {name: min(group) for name, group in groups.items() if len(group) > 1}


def _parse(text: str, where: str) -> list[tuple[str, str]]:
    reader = csv.DictReader(io.StringIO(text), delimiter=separator_of(text))
    columns, rows = tuple(reader.fieldnames or ()), list(reader)
    missing = [name for name in ("image_id", "other_id") if name not in columns]
    if missing:
        raise ConfigError(
            f"A list of pairs must have the columns image_id and other_id; got no "
            f"{examples(missing)} in {where}. Name the near_duplicates.csv that a survey wrote."
        )
    is_asked = "confirmed" in columns
    pairs = [
        (row["image_id"], row["other_id"])
        for row in rows
        if not is_asked or (row["confirmed"] or "").strip().lower() in _YES
    ]
    if rows and not pairs:
        raise ConfigError(
            f"A pair must be confirmed to be merged; got {len(rows)} pairs without a yes in "
            f"{where}. Look at them, and write yes in `confirmed` where both show one lesion."
        )
    return pairs
