"""The list of everything that was planted: what detectors and explanations are scored against.

In:  plantings as they happened.   Out: `plantings.csv`, a row an image and kind.
Knows nothing of pixels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

import pandas as pd

from moulage.casts.plan import Copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One row of the truth.

    kind: near_duplicate, ruler, hair, dark_corners or wrong_label. detail: the disguise of a
    near-duplicate, the true diagnosis under a wrong label. numbers: what was drawn, in words.
    source: the image that was copied.
    """

    image_id: str
    kind: str
    detail: str = ""
    numbers: str = ""
    source: str = ""


def wrong_labels(table: pd.DataFrame) -> list[Planted]:
    """List the images whose `dx` is not their `truth`."""
    wrong = table[table["dx"] != table["truth"]]
    return [
        Planted(image_id=image, kind="wrong_label", detail=truth)
        for image, truth in zip(wrong["image_id"], wrong["truth"], strict=True)
    ]


def copied(copies: Iterable[Copy], planted: Sequence[Planted]) -> list[Planted]:
    """List the copies, and again what was planted in their sources: it shows in them too.

    A disguise moves and scales, so the numbers of what is seen through it are left empty.
    """
    rows: list[Planted] = []
    for copy in copies:
        image = str(copy.row["image_id"])
        kind, numbers = copy.disguise.kind, str(copy.disguise)
        rows.append(
            Planted(
                image_id=image,
                kind="near_duplicate",
                detail=kind,
                numbers=numbers,
                source=copy.source,
            )
        )
        rows += [
            Planted(image_id=image, kind=row.kind, detail=row.detail, source=copy.source)
            for row in planted
            if row.image_id == copy.source
        ]
    return rows


def truth_table(planted: Iterable[Planted]) -> pd.DataFrame:
    """Return the rows as a table, sorted by image and kind."""
    columns = [field.name for field in fields(Planted)]
    table = pd.DataFrame([astuple(row) for row in planted], columns=columns)
    return table.sort_values(["image_id", "kind"], kind="stable", ignore_index=True)
