"""The list of everything that was planted: what detectors and explanations are scored against.

In:  plantings as they happened.   Out: the table of `plantings.csv`, a row an image and kind.
Knows nothing of folders.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from moulage.casts.disguise import Disguise, apply_disguise_to_mask
from moulage.casts.plan import Copy
from moulage.casts.planting import Spot, Tube

COLUMNS = ("image_id", "kind", "detail", "numbers", "source")

# A mark is listed for a copy if the crop has left this share of it.
LEAST_LEFT = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One row of the truth.

    kind: near_duplicate, ruler, hair, dark_corners or wrong_label. detail: the disguise of a
    near-duplicate, the true diagnosis under a wrong label. numbers: what was drawn, in words.
    source: the image that was copied. mark: where it is, if that is one place; not written.
    """

    image_id: str
    kind: str
    detail: str = ""
    numbers: str = ""
    source: str = ""
    mark: Spot | Tube | None = None


def wrong_labels(table: pd.DataFrame) -> list[Planted]:
    """List the images whose `dx` is not their `truth`."""
    wrong = table[table["dx"] != table["truth"]]
    return [
        Planted(image_id=image, kind="wrong_label", detail=truth)
        for image, truth in zip(wrong["image_id"], wrong["truth"], strict=True)
    ]


def copied(
    copies: Iterable[Copy], planted: Sequence[Planted], *, size: tuple[int, int]
) -> list[Planted]:
    """List the copies, and again what was planted in their sources if it shows in them too.

    A disguise moves and scales, so the numbers of what is seen through it are left empty.
    """
    rows: list[Planted] = []
    for copy in copies:
        image, how = str(copy.row["image_id"]), copy.disguise
        rows.append(
            Planted(
                image_id=image,
                kind="near_duplicate",
                detail=how.kind,
                numbers=str(how),
                source=copy.source,
            )
        )
        rows += [
            Planted(image_id=image, kind=row.kind, detail=row.detail, source=copy.source)
            for row in planted
            if row.image_id == copy.source and share_left(row.mark, how, size=size) >= LEAST_LEFT
        ]
    return rows


def share_left(mark: Spot | Tube | None, how: Disguise, *, size: tuple[int, int]) -> float:
    """Return how much of a mark on an image of `size` (width, height) a crop leaves, in [0, 1]."""
    if mark is None or how.kind != "cropped":
        return 1.0
    covered = mark.covers((size[1], size[0]))
    return float(apply_disguise_to_mask(covered, how).sum() / max(1, covered.sum()))


def truth_table(planted: Iterable[Planted]) -> pd.DataFrame:
    """Return the rows as a table, sorted by image and kind."""
    rows = [[getattr(row, column) for column in COLUMNS] for row in planted]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["image_id", "kind"], kind="stable", ignore_index=True)
