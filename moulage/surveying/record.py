"""Everything that a survey found: one record that pages and verdict read.

In:  the records of this room.   Out: a frozen record.
Knows nothing of how its pieces were computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.surveying.appearance import Outlier
from moulage.surveying.associations import Crosstab, Spread
from moulage.surveying.duplicates import Pair
from moulage.surveying.exploration import Ages, Balance, Distribution, Summary
from moulage.surveying.faults import Fault
from moulage.surveying.groups import Leakage, SplitAudit
from moulage.surveying.labels import Review
from moulage.surveying.telltales import PureLevel, Telltale

MOST_SUSPECTS, MOST_FAULTS, MOST_PAIRS = 20, 12, 20
"""How many of each a page shows, so of how many a survey keeps thumbnails."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Description:
    """What the tables say: counts, numbers, and what goes together.

    distributions: of the metadata's columns that hold anything. age_spread: None without ages.
    """

    balance: Balance
    ages: Ages
    distributions: Mapping[str, Distribution]
    summaries: tuple[Summary, ...]
    crosstabs: tuple[Crosstab, ...]
    age_spread: Spread | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """What the pixels say, of the n_images that could be decoded.

    looks: measures by diagnosis. colours: mean (red, green, blue) of each diagnosis. samples:
    rows by diagnosis. Rows are the catalogue's.
    """

    n_images: int
    looks: tuple[Spread, ...]
    colours: Mapping[str, tuple[float, float, float]]
    outliers: tuple[Outlier, ...]
    samples: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """What one data set is, and what may leak or be wrong in it. Rows are the catalogue's.

    kind: its layout. notes: what was filled in or left out while reading. split: None where none
    was given. pairs: near-duplicates under different lesion ids. review: None where labels could
    not be judged, and `not_reviewed` says why. thumbnails: row → (100, 125, 3) uint8, RGB, of all
    rows that a page shows.
    """

    catalogue: Catalogue
    kind: str
    notes: tuple[str, ...]
    described: Description
    seen: Sight
    leakage: Leakage | None
    split: SplitAudit | None
    pairs: tuple[Pair, ...]
    telltales: tuple[Telltale, ...]
    pure_levels: tuple[PureLevel, ...]
    review: Review | None
    not_reviewed: str
    faults: tuple[Fault, ...]
    thumbnails: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"Survey(name={self.catalogue.name!r}, n_images={len(self.catalogue)}, "
            f"n_pairs={len(self.pairs)}, n_faults={len(self.faults)})"
        )
