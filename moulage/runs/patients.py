"""What is known of the patients of new images: read beside them, told to a classifier, counted.

In:  a classifier's covariates; a table that a user names, or a catalogue's.
Out: (N, C) float32 in the images' order, and sentences on what is unknown.
Knows nothing of pixels. A classifier that reads covariates answers nobody without being told; an
empty cell, a word that training never saw or an image without a row is unknown, and counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.covariates import Covariate, encode_covariates, unknown_in_words
from moulage.data.sources import read_table, stem_of
from moulage.errors import ConfigError, DataError, examples

_ID = "image_id"
_PATHS = ("path", "image")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """Covariates (N, C) float32, or None where the classifier reads none; what is unknown."""

    covariates: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Return some images' covariates."""
        return None if self.covariates is None else self.covariates[rows]


def told_of_table(covariates: Sequence[Covariate], table: pd.DataFrame) -> Told:
    """Encode a table with a row an image."""
    return Told(
        covariates=encode_covariates(covariates, table),
        notes=unknown_in_words(covariates, table),
    )


def told_of_files(
    covariates: Sequence[Covariate], files: Sequence[str], *, table: Path | None
) -> Told:
    """Look files up in a table, by the name of each without its ending."""
    _check_asked(covariates, table)
    if table is None:
        return Told()
    known = _read(table, [one.name for one in covariates])
    names = [stem_of(file) for file in files]
    _refuse_namesakes(names, files, table)
    absent = [name for name in names if name not in known.index]
    told = told_of_table(covariates, known.reindex(names).reset_index())
    if not absent:
        return told
    note = f"{len(absent):,} of {len(names):,} images have no row in {table} ({examples(absent)})."
    return Told(covariates=told.covariates, notes=(note, *told.notes))


def _refuse_namesakes(names: Sequence[str], files: Sequence[str], table: Path) -> None:
    twice = {name for name, n in Counter(names).items() if n > 1}
    if twice:
        alike = [file for name, file in zip(names, files, strict=True) if name in twice]
        raise DataError(
            f"Images whose records are looked up must have names of their own; got {len(alike)} "
            f"that share one ({examples(alike)}), so that {table} cannot tell them apart. Rename "
            "them, or ask for them one by one."
        )


def _check_asked(covariates: Sequence[Covariate], table: Path | None) -> None:
    names = ", ".join(one.name for one in covariates)
    if covariates and table is None:
        raise ConfigError(
            f"A classifier that reads covariates must be told them; got no table, where it reads "
            f"{names}. Name one with `--covariates`: image_id, {names}, empty where unknown."
        )
    if table is not None and not covariates:
        raise ConfigError(
            f"`--covariates` must go to a classifier that reads some; got {table} for one that "
            "reads none. Leave the option out."
        )


def _read(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Return a row an image id, with the columns that are read and no others."""
    if not path.is_file():
        raise ConfigError(f"`--covariates` must be a table; got no file at {path}. Correct it.")
    frame = read_table(path.parent, path.name)
    id_column = next((name for name in (_ID, *_PATHS) if name in frame.columns), None)
    missing = [name for name in names if name not in frame.columns]
    if id_column is None or missing:
        wanted = ", ".join((_ID, *names))
        raise DataError(
            f"A table of covariates must have the columns {wanted}; got "
            f"{', '.join(map(str, frame.columns))} in {path}. Add those it lacks, empty where "
            "nothing is known."
        )
    frame = frame[frame[id_column].notna()]  # a spreadsheet's empty rows
    ids = [stem_of(str(name)) for name in frame[id_column]]
    chosen = frame[list(names)].set_axis(pd.Index(ids, name=_ID))
    twice = chosen.index[chosen.index.duplicated()]
    if len(twice):
        raise DataError(
            f"An image must have one row in a table of covariates; got more of "
            f"{examples(dict.fromkeys(twice))} in {path}. Keep one of each."
        )
    return chosen
