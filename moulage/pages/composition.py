"""What a split is made of: images and lesions, a part and diagnosis.

In:  catalogue and split.   Out: counts, the lesions that two parts share, sentences.
Knows nothing of how the split was made.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from moulage.catalogue import Catalogue
from moulage.pages import tables, words
from moulage.pages.tables import Cell, Column, Table
from moulage.split import PARTS, Part, Split, Unit, positions
from moulage.splits.leakage import has_sibling_in_training, shared_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What parts share: lesions in two parts, test images with a sibling (or self) in train.

    is_blind: no two images bear one id, so that nobody can say. groups: what ids name, lesions
    or groups, such as patients.
    """

    n_lesions: int
    n_test: int
    n_siblings: int
    n_selves: int
    is_blind: bool
    groups: Unit = "lesion"

    @property
    def sibling_share(self) -> float:
        """Share of the test images with a photograph of their lesion in train; NaN for none."""
        return self.n_siblings / self.n_test if self.n_test else float("nan")

    @property
    def unit(self) -> str:
        """What counts once and is drawn again: what ids name, or an image where none is known."""
        return "image" if self.is_blind else self.groups

    def lesions(self, number: int) -> str:
        """Write a number of lesions or groups, or that none is known."""
        return f"unknown {self.groups}s" if self.is_blind else words.counted(number, self.groups)


def parts_of(split: Split) -> tuple[Part, ...]:
    """Return the parts that hold any image, in their order."""
    return tuple(part for part in PARTS if split.has(part))


def composition(catalogue: Catalogue, split: Split) -> pd.DataFrame:
    """Return a row an image and part: part, code, lesion_id, image_id."""
    rows = positions(split, catalogue.image_ids)
    codes = catalogue.frame["diagnosis"].to_numpy(dtype=str)[rows]
    return pd.DataFrame(
        {
            "part": split.parts,
            "code": codes,
            "lesion_id": split.lesion_ids,
            "image_id": split.image_ids,
        }
    )


def leak_of(split: Split) -> Leak:
    """Count what the parts of a split share."""
    shared = shared_groups(split).values()
    train, test = split.rows_of("train"), split.rows_of("test")
    return Leak(
        n_lesions=len({lesion for lesions in shared for lesion in lesions}),
        n_test=len(test),
        n_siblings=int(has_sibling_in_training(split).sum()),
        n_selves=int(np.isin(split.image_ids[test], split.image_ids[train]).sum()),
        is_blind=split.is_blind,
        groups=split.unit,
    )


def composition_table(catalogue: Catalogue, split: Split) -> Table:
    """Return images and lesions, a row a diagnosis, a pair of columns a part."""
    frame = composition(catalogue, split)
    parts = parts_of(split)
    rows = [
        (
            tables.text(diagnosis.code, note=diagnosis.name),
            *_counts(frame[frame["code"] == diagnosis.code], parts),
        )
        for diagnosis in catalogue.diagnoses
    ]
    return Table(
        caption=f"Images and {split.unit}s in each part, by diagnosis.",
        columns=(Column(name="diagnosis", is_number=False), *_columns(parts, split.unit)),
        rows=tuple(rows),
        sums=(tables.text("all"), *_counts(frame, parts)),
    )


def leak_sentence(leak: Leak) -> str:
    """Say whether parts share lesions, and what that does to the scores."""
    if not leak.n_lesions and leak.is_blind:
        return (
            f"Every image stands for a {leak.groups} of its own: whether parts share one nobody "
            "can say."
        )
    if not leak.n_lesions:
        return f"No {leak.groups} has photographs in two parts."
    said = (
        f"{words.counted(leak.n_lesions, leak.groups)} "
        f"{'has' if leak.n_lesions == 1 else 'have'} photographs in more than one part, and "
        f"{words.count(leak.n_siblings)} of {words.counted(leak.n_test, 'test image')} "
        f"({words.score(leak.sibling_share)}) show a {leak.groups} that was trained on"
    )
    if leak.n_selves:
        said += f"; {words.count(leak.n_selves)} of them are themselves training images"
    return f"{said}. Test scores under this split are therefore too good."


def leak_notes(leak: Leak) -> tuple[str, ...]:
    """Return what every page of a run says first: its leak, if there is one."""
    return (leak_sentence(leak),) if leak.n_lesions else ()


def _columns(parts: tuple[Part, ...], unit: Unit) -> list[Column]:
    return [
        Column(name=noun, group=group)
        for group in (*parts, "together")
        for noun in ("images", f"{unit}s")
    ]


def _counts(frame: pd.DataFrame, parts: tuple[Part, ...]) -> list[Cell]:
    """Count images and lesions in each part, then together, each once."""
    wholes = [frame[frame["part"] == part] for part in parts] + [frame]
    return [
        tables.count(whole[column].nunique())
        for whole in wholes
        for column in ("image_id", "lesion_id")
    ]
