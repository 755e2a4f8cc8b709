"""The study's figures 2 and 4 to 7 against ours: what it says, what the data says.

Prints the rows of a table in Markdown; docs/survey.md holds them, and a test holds it against
them. Run as `python -m benchmarks.paper_figures --data DIR`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from moulage.catalogue import Catalogue
from moulage.data.dataset import read_dataset
from moulage.pages import words
from moulage.surveying.exploration import (
    BIN_YEARS,
    Distribution,
    ages_of,
    balance_of,
    distribution_of,
)

HEAD = ("| figure | the study | ours, on all images |", "| --- | --- | --- |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="HAM10000, which this repository has not")
    data = parser.parse_args(arguments).data
    if data is None:
        print("Name HAM10000's folder with --data: casts cannot answer for it.")
        return
    print("\n".join((*HEAD, *rows_of(read_dataset(data)))))


def rows_of(catalogue: Catalogue) -> list[str]:
    """Return the table's rows."""
    frame, balance, ages = catalogue.frame, balance_of(catalogue), ages_of(catalogue.frame)
    sex, site, how = (distribution_of(frame, name) for name in ("sex", "localization", "dx_type"))
    levels = sorted(balance.diagnoses.levels, key=lambda level: -level.n_images)
    young = int((frame["age"] <= 10).sum())
    said = (
        ("2, 4", "over 65 % are melanocytic nevi", _share(balance.diagnoses, levels[0].name)),
        ("2, 4", "dermatofibroma is the least common", _share(balance.diagnoses, levels[-1].name)),
        ("4", "most frequent around age 45", _years(ages.most_frequent, int(ages.counts.max()))),
        ("4", "least frequent at age 10 and below", f"{young:,} images, {_of(young, catalogue)}"),
        ("4", "slightly more men than women", f"{_share(sex, 'male')}; {_share(sex, 'female')}"),
        ("4", "most common on the back", _share(site, site.known[0].name)),
        ("4", "least common on acral surfaces", _share(site, site.known[-1].name)),
        ("5", "90 % by histopathology and follow-up", _both(how, "histo", "follow_up")),
        ("6", "the back more in men", _within(frame, "localization", "back", "sex", "male")),
        (
            "6",
            "lower extremities more in women",
            _within(frame, "localization", "lower extremity", "sex", "female"),
        ),
        ("7", "benign keratoses most on the face", _leader(frame, "bkl")),
        ("7", "elsewhere nevi lead", _elsewhere(frame)),
    )
    return [f"| {figure} | {theirs} | {ours} |" for figure, theirs, ours in said]


def _share(shown: Distribution, name: str) -> str:
    (level,) = [level for level in shown.levels if level.name == name]
    return f"{name} {level.n_images:,}, {words.percent(shown.share(level))}"


def _both(shown: Distribution, *names: str) -> str:
    n_images = sum(level.n_images for level in shown.levels if level.name in names)
    return f"{n_images:,} of {shown.n_images:,}, {100 * n_images / shown.n_images:.1f} %"


def _years(start: int, n_images: int) -> str:
    return f"{start} to {start + BIN_YEARS - 1}: {n_images:,} images"


def _of(number: int, catalogue: Catalogue) -> str:
    return words.percent(number / len(catalogue))


def _within(frame: pd.DataFrame, column: str, word: str, other: str, what: str) -> str:
    rows = frame[frame[column] == word]
    n_images = int((rows[other] == what).sum())
    return f"{what} {n_images:,} of {len(rows):,} ({word}), {words.percent(n_images / len(rows))}"


def _leader(frame: pd.DataFrame, code: str) -> str:
    counts = frame.loc[frame["diagnosis"] == code, "localization"].value_counts()
    return (
        f"{counts.index[0]} {int(counts.iloc[0]):,} of {int(counts.sum()):,} {code}, then "
        f"{counts.index[1]} {int(counts.iloc[1]):,}"
    )


def _elsewhere(frame: pd.DataFrame) -> str:
    table = pd.crosstab(frame["localization"], frame["diagnosis"]).drop(index="unknown")
    leaders = np.array(table.columns)[table.to_numpy().argmax(axis=1)]
    others = [
        f"{site} {leader}"
        for site, leader in zip(table.index, leaders, strict=True)
        if leader != "nv"
    ]
    n_led = len(table) - len(others)
    return f"nv leads at {n_led} of {len(table)} sites; not at: {', '.join(others)}"


if __name__ == "__main__":
    main()
