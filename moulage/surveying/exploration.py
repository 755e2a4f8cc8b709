"""How images and lesions are distributed: diagnoses, ages, words of the metadata, photographs.

In:  a catalogue's frame; columns of numbers.   Out: frozen counts and summaries.
Knows nothing of pixels or tests; `associations` holds two columns against each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.covariates import is_known

BIN_YEARS = 5
UNSAID = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One word of a column, with its images and its lesions."""

    name: str
    n_images: int
    n_lesions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The words of a column, the most frequent first, or in the diagnoses' order."""

    column: str
    levels: tuple[Level, ...]

    @property
    def n_images(self) -> int:
        """All images, those without a word too."""
        return sum(level.n_images for level in self.levels)

    @property
    def known(self) -> tuple[Level, ...]:
        """The levels that say something."""
        return tuple(compress(self.levels, is_known(np.array([one.name for one in self.levels]))))

    def share(self, level: Level) -> float:
        """Return a level's share of all images."""
        return level.n_images / self.n_images


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ages:
    """Images in bins of five years: starts (B,) int64, counts (B,) int64 with the mean filled in
    for n_filled images whose age is missing; mean is NaN where no age is known.
    """

    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    n_filled: int
    mean: float

    @property
    def most_frequent(self) -> int:
        """The first year of the fullest bin; of several the youngest."""
        return int(self.starts[int(self.counts.argmax())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One column of numbers; NaN where it holds none. Quartiles are interpolated linearly."""

    name: str
    n_known: int
    n_missing: int
    mean: float
    deviation: float
    least: float
    quartiles: tuple[float, float, float]
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Diagnoses by image and lesion, and how unequal they are: most over least images."""

    diagnoses: Distribution
    ratio: float
    photographs: Mapping[int, int]

    @property
    def n_lesions(self) -> int:
        """All lesions."""
        return sum(self.photographs.values())

    @property
    def n_with_several(self) -> int:
        """Lesions of more than one photograph."""
        return sum(n for size, n in self.photographs.items() if size > 1)


def words_of(column: "pd.Series[str]") -> NDArray[np.str_]:
    """Return a column's words `(N,) str`, `missing` where a cell is empty."""
    return column.astype(object).where(column.notna(), UNSAID).to_numpy(dtype=str)


def distribution_of(
    frame: pd.DataFrame, column: str, *, order: Sequence[str] | None = None
) -> Distribution:
    """Count images and lesions a word; a lesion with two words counts under each."""
    rows = pd.DataFrame({"word": words_of(frame[column]), "lesion": frame["lesion_id"].to_numpy()})
    found = rows.groupby("word", sort=True)["lesion"].agg(["size", "nunique"])
    names = order or found.sort_values("size", ascending=False, kind="stable").index.tolist()
    return Distribution(
        column=column,
        levels=tuple(
            Level(
                name=str(name),
                n_images=int(found["size"].get(name, 0)),
                n_lesions=int(found["nunique"].get(name, 0)),
            )
            for name in names
        ),
    )


def balance_of(catalogue: Catalogue) -> Balance:
    """Count diagnoses, and lesions by their number of photographs."""
    diagnoses = distribution_of(catalogue.frame, "diagnosis", order=catalogue.codes)
    counts = [level.n_images for level in diagnoses.levels]
    sizes = catalogue.frame.groupby("lesion_id").size().to_numpy()
    found, counted = np.unique(sizes, return_counts=True)
    return Balance(
        diagnoses=diagnoses,
        ratio=max(counts) / min(counts) if min(counts) else float("inf"),
        photographs=dict(zip(found.tolist(), counted.tolist(), strict=True)),
    )


def ages_of(frame: pd.DataFrame) -> Ages:
    """Count images in bins of five years, [45, 50) and so on; for this view only, the mean
    stands in for a missing age, as in the study that moulage began with.
    """
    ages = frame["age"].to_numpy(dtype=np.float64, na_value=np.nan)
    is_missing = np.isnan(ages)
    mean = float(ages[~is_missing].mean()) if not is_missing.all() else float("nan")
    if np.isnan(mean):
        nothing = np.zeros(0, dtype=np.int64)
        return Ages(starts=nothing, counts=nothing, n_filled=0, mean=mean)
    bins = (np.where(is_missing, mean, ages) // BIN_YEARS).astype(np.int64)
    counts = np.bincount(bins - bins.min()).astype(np.int64)
    return Ages(
        starts=(np.arange(len(counts), dtype=np.int64) + bins.min()) * BIN_YEARS,
        counts=counts,
        n_filled=int(is_missing.sum()),
        mean=mean,
    )


def summarise(columns: Mapping[str, NDArray[np.floating]]) -> tuple[Summary, ...]:
    """Return a summary a column, in their order; the deviation is that of a sample (n − 1)."""
    return tuple(_summary(name, np.asarray(values)) for name, values in columns.items())


def _summary(name: str, values: NDArray[np.floating]) -> Summary:
    known = values[~np.isnan(values)].astype(np.float64)
    low, first, middle, third, high = (
        np.quantile(known, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(known) else [np.nan] * 5
    )
    return Summary(
        name=name,
        n_known=len(known),
        n_missing=len(values) - len(known),
        mean=float(known.mean()) if len(known) else float("nan"),
        deviation=float(known.std(ddof=1)) if len(known) > 1 else float("nan"),
        least=low,
        quartiles=(first, middle, third),
        most=high,
    )
