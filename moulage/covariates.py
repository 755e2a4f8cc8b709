"""Covariates: what is known of a patient beside the image, as numbers.

In:  a table with the catalogue's columns age (years), sex, localization.
Out: how training had each of them (`Covariate`), and with it (N, C) float32 for any table.
Knows nothing of files and networks.
Why never `dx_type`: how a diagnosis was confirmed is known only after it, and gives it away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.errors import DataError, examples

AGE = "age"
NAMES = (AGE, "sex", "localization")
OLDEST = 120
NO_WORDS = ("#n/a", "<na>", "n/a", "na", "nan", "none", "null")
"""What programs write into a cell that holds nothing, in small letters."""

_UNKNOWN = ("", *NO_WORDS, "unknown", "missing", "not specified", "not recorded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariate:
    """One column of the record, as the training rows had it; all its numbers are centred there.

    levels: its words, sorted, and shares: how often each was; none for ages. mean and spread: of
    ages, in years. missing: the share of rows without a value; where it is 0, a value that is
    unknown later stands for the training mean, else it is a level of its own.
    """

    name: str
    levels: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    mean: float = 0.0
    spread: float = 1.0
    missing: float = 0.0

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return (len(self.levels) or 1) + (self.missing > 0)


def covariate_from(fields: dict[str, Any]) -> Covariate:
    """Rebuild what `dataclasses.asdict` and JSON made of a covariate."""
    return Covariate(
        **{**fields, "levels": tuple(fields["levels"]), "shares": tuple(fields["shares"])}
    )


def width_of(covariates: Sequence[Covariate]) -> int:
    """Return C, how many numbers they become together."""
    return sum(one.width for one in covariates)


def is_known(column: "pd.Series[Any] | NDArray[np.str_]") -> NDArray[np.bool_]:
    """Say which rows (N,) have a value: not empty, and not NA, unknown or another such word."""
    return ~np.isin(_words(column), _UNKNOWN)


def has_values(table: pd.DataFrame, name: str) -> bool:
    """Say whether a column has a value in any row."""
    return bool(is_known(table[name]).any())


def fit_covariates(training: pd.DataFrame, names: Sequence[str]) -> tuple[Covariate, ...]:
    """Learn means, levels and shares from training rows alone.

    Raises DataError for a column that none of them has a value in.
    """
    for name in names:
        if not has_values(training, name):
            raise DataError(
                f"A covariate must have a value in the training part; got none of `{name}` among "
                f"{len(training):,} images. Leave it out of `covariates`, or fill the column."
            )
    return tuple(_fit(training[name], name) for name in names)


def encode_covariates(
    covariates: Sequence[Covariate], table: pd.DataFrame
) -> NDArray[np.float32] | None:
    """Return (N, C) float32, a row a row of the table; None where no covariate is read.

    A word that training never saw counts as unknown.
    """
    if not covariates:
        return None
    blocks = [_encode(one, table[one.name]) for one in covariates]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def unknown_in_words(covariates: Sequence[Covariate], table: pd.DataFrame) -> tuple[str, ...]:
    """Count what a table does not say, or says in words that training never saw."""
    said = []
    for one in covariates:
        known = is_known(table[one.name])
        strange = _words(table[one.name])[known & ~_is_usable(one, table[one.name])]
        n_unknown = int((~known).sum()) + len(strange)
        if not n_unknown:
            continue
        words = ""
        if len(strange):
            named = examples([repr(str(word)) for word in np.unique(strange)])
            words = f", {len(strange):,} of them for training has no {named}"
        means = (
            "a level of its own" if one.missing else "the training mean, for training lacks none"
        )
        said.append(
            f"`{one.name}` is unknown of {n_unknown:,} of {len(table):,} images{words}; "
            f"unknown is {means}."
        )
    return tuple(said)


def _fit(column: "pd.Series[Any]", name: str) -> Covariate:
    known = is_known(column)
    missing = float(1 - known.mean())
    if name == AGE:
        years = _years(column)[known]
        return Covariate(
            name=name,
            mean=float(years.mean()),
            spread=float(years.std()) or 1.0,
            missing=missing,
        )
    levels, counts = np.unique(_words(column)[known], return_counts=True)
    shares = counts / len(column)
    return Covariate(
        name=name,
        levels=tuple(map(str, levels)),
        shares=tuple(map(float, shares)),
        missing=missing,
    )


def _encode(covariate: Covariate, column: "pd.Series[Any]") -> NDArray[np.float64]:
    usable = _is_usable(covariate, column)
    if covariate.levels:
        words = _words(column)
        numbers = [
            (words == level) - share
            for level, share in zip(covariate.levels, covariate.shares, strict=True)
        ]
    else:
        years = np.where(usable, _years(column), covariate.mean)
        numbers = [(years - covariate.mean) / covariate.spread]
    if covariate.missing:
        return np.stack([*numbers, ~usable - covariate.missing], axis=1)
    return np.where(usable[:, None], np.stack(numbers, axis=1), 0.0)


def _is_usable(covariate: Covariate, column: "pd.Series[Any]") -> NDArray[np.bool_]:
    """Say which rows have a value that training knows."""
    if not covariate.levels:
        return is_known(column)
    return np.isin(_words(column), covariate.levels)


def _words(column: "pd.Series[Any] | NDArray[np.str_]") -> NDArray[np.str_]:
    """Return values as trimmed small words; a missing one is empty."""
    places, values = pd.factorize(column)
    words = [str(value).strip().lower() for value in np.asarray(values, dtype=object)]
    return np.array([*words, ""], dtype=str)[places]  # -1, the last, is missing


def _years(column: "pd.Series[Any]") -> NDArray[np.float64]:
    """Return ages (N,), NaN where unknown; DataError for what is no age."""
    known = is_known(column)
    years = pd.to_numeric(column.where(known), errors="coerce").to_numpy(dtype=np.float64)
    odd = known & ~((years >= 0) & (years <= OLDEST))
    if odd.any():
        raise DataError(
            f"An age must lie in [0, {OLDEST}] years; got {examples(_words(column)[odd].tolist())}."
            " Correct them, or empty the cells."
        )
    return np.asarray(years, dtype=np.float64)
