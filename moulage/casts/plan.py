"""Decide, before anything is painted, what each photograph shows.

In:  the cohort's table, plantings, a seed.
Out: the table with wrong labels, a job a lesion, a copy a near-duplicate.
Knows nothing of pixels or folders.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moulage.casts import cohort
from moulage.casts.disguise import Disguise, plan_near_duplicates
from moulage.casts.planting import DarkCorners, Hair, NearDuplicates, Planting, Ruler, WrongLabels
from moulage.seeding import generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One photograph to take, and what is to be planted on it."""

    image_id: str
    number: int
    has_hair: bool
    has_dark_corners: bool
    has_ruler: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One lesion to paint, as what it truly is, and its photographs."""

    lesion: int
    diagnosis: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One near-duplicate to make: its row of metadata, its source and its disguise."""

    row: dict[str, object]
    source: str
    disguise: Disguise


def mislabel(table: pd.DataFrame, *, plantings: Sequence[Planting], seed: int) -> pd.DataFrame:
    """Add the column `truth`, and write another diagnosis for the lesions that are chosen."""
    table = table.assign(truth=table["dx"])
    for place, planting in enumerate(plantings):
        if not isinstance(planting, WrongLabels):
            continue
        rng = generator("casts", seed, "wrong_label", place)
        for lesion in _choose(table["lesion_id"].unique(), planting.share, rng):
            rows = table["lesion_id"] == lesion
            others = [code for code in cohort.DIAGNOSES if code != table.loc[rows, "truth"].iloc[0]]
            stated = str(rng.choice(others))
            table.loc[rows, ["dx", "dx_type"]] = (stated, cohort.draw_dx_type(stated, rng))
    return table


def plan_lesions(table: pd.DataFrame, *, plantings: Sequence[Planting], seed: int) -> Iterator[Job]:
    """Yield a job a lesion, in the order of their ids."""
    chosen = {
        kind: _images_with(kind, table, plantings, seed) for kind in (Hair, DarkCorners, Ruler)
    }
    for lesion, rows in table.groupby("lesion_id", sort=True):
        shots = tuple(
            Shot(
                image_id=image,
                number=number,
                has_hair=image in chosen[Hair],
                has_dark_corners=image in chosen[DarkCorners],
                has_ruler=image in chosen[Ruler],
            )
            for image, number in zip(rows["image_id"], rows["photograph"], strict=True)
        )
        yield Job(
            lesion=cohort.lesion_number(str(lesion)),
            diagnosis=str(rows["truth"].iloc[0]),
            shots=shots,
        )


def plan_copies(table: pd.DataFrame, *, plantings: Sequence[Planting], seed: int) -> list[Copy]:
    """Choose what is copied, and give each copy the next free ids and a patient of its own."""
    wanted = [
        pair
        for place, planting in enumerate(plantings)
        if isinstance(planting, NearDuplicates)
        for pair in plan_near_duplicates(
            len(table),
            n_each=planting.n_each,
            rng=generator("casts", seed, "near_duplicates", place),
            kinds=planting.kinds,
        )
    ]
    n_lesions = table["lesion_id"].nunique()
    copies = []
    for number, (source, how) in enumerate(wanted, start=1):
        row = cohort.draw_lesion(str(table["dx"].iloc[source]), n_lesions + number, seed)
        row["image_id"] = cohort.image_id(len(table) + number)
        copies.append(Copy(row=row, source=str(table["image_id"].iloc[source]), disguise=how))
    return copies


def _images_with(
    kind: type[Hair | DarkCorners | Ruler],
    table: pd.DataFrame,
    plantings: Sequence[Planting],
    seed: int,
) -> set[str]:
    return {
        image
        for place, planting in enumerate(plantings)
        if isinstance(planting, kind)
        for image in _images_for(planting, table, generator("casts", seed, kind.__name__, place))
    }


def _images_for(
    planting: Hair | DarkCorners | Ruler, table: pd.DataFrame, rng: np.random.Generator
) -> list[str]:
    """Choose by the diagnosis that is written, which is what a classifier learns."""
    if not isinstance(planting, Ruler):
        return _choose(table["image_id"], planting.share, rng)
    is_named = table["dx"] == planting.diagnosis
    return [
        *_choose(table.loc[is_named, "image_id"], planting.share, rng),
        *_choose(table.loc[~is_named, "image_id"], planting.share_elsewhere, rng),
    ]


def _choose(names: Iterable[str], share: float, rng: np.random.Generator) -> list[str]:
    """Choose a share of the names, rounded to a whole number of them."""
    shuffled = rng.permutation(np.array(list(names), dtype=str))
    return [str(name) for name in shuffled[: round(share * len(shuffled))]]
