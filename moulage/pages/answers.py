"""The page of answers: what a classifier says of loose images, and how far to believe it.

In:  a table of answers, a row an image, small pictures of them.   Out: one HTML file as text.
Knows nothing of run folders and networks.
"""

import shlex
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.catalogue import Diagnosis
from moulage.pages import words
from moulage.pages.document import render
from moulage.pages.mistakes import data_uri

MOST = 300
_PROBABILITY = "probability_"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnswersRecord:
    """What the page says. table: as `predict` writes it. pictures: path → (h, w, 3) uint8, RGB.

    unreadable: (path, cause). notes: sentences, such as what an older run cannot say.
    """

    name: str
    diagnoses: tuple[Diagnosis, ...]
    table: pd.DataFrame
    pictures: Mapping[str, NDArray[np.uint8]]
    unreadable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One diagnosis: its probability in words and in per cent of the bar, whether in the set."""

    code: str
    name: str
    probability: str
    width: str
    is_in_set: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One image. verdict: what to do, in words; is_sure: whether that is to take the answer."""

    path: str
    file: str
    source: str
    verdict: str
    is_sure: bool
    members: str
    unfamiliarity: str
    bars: tuple[Bar, ...]


def answers_page(record: AnswersRecord) -> str:
    """Return the page: one file that needs no network; at most 300 images, and it says so."""
    shown = record.table.iloc[:MOST].to_dict("records")
    n_images, n_shown = len(record.table), len(shown)
    left = [f"The first {MOST} of {words.count(n_images)} images; the CSV has all."]
    return render(
        "answers.html",
        record=record,
        lead=_lead(record.table),
        notes=[*record.notes, *(left if n_shown < n_images else [])],
        answers=[_answer(record, row) for row in shown],
    )


def _lead(table: pd.DataFrame) -> str:
    said = [words.counted(len(table), "image")]
    if "answer" in table:
        n_asked = int((~table["answer"].astype(bool)).sum())
        said.append(f"{words.count(n_asked)} to be shown to a dermatologist")
    if "is_unfamiliar" in table:
        n_strange = int(table["is_unfamiliar"].astype(bool).sum())
        said.append(f"{words.count(n_strange)} unlike what the classifier knows")
    return f"{', '.join(said)}."


def _answer(record: AnswersRecord, row: Mapping[Hashable, object]) -> Answer:
    path, inside = str(row["path"]), shlex.split(str(row.get("set", "")))
    verdict, is_sure = _verdict(record, row)
    names = {diagnosis.code: diagnosis.name for diagnosis in record.diagnoses}
    pixels = record.pictures.get(path)
    strange = row.get("unfamiliarity")
    return Answer(
        path=path,
        file=PurePath(path.replace("!/", "/")).name,
        source="" if pixels is None else data_uri(pixels),
        verdict=verdict,
        is_sure=is_sure,
        members=words.listed(_said(code, names[code]) for code in inside) if inside else "",
        unfamiliarity=(
            f"stranger than {100 * float(str(strange)):.1f} % of known images"
            if strange is not None
            else ""
        ),
        bars=_bars(record, row, inside),
    )


def _said(code: str, name: str) -> str:
    """Return the name, or the code as the bars have it where both are the same word."""
    return code if code.lower() == name.lower() else name


def _verdict(record: AnswersRecord, row: Mapping[Hashable, object]) -> tuple[str, bool]:
    """Say what to do: a stranger is not to be believed, whatever its probabilities."""
    names = {diagnosis.code: diagnosis.name for diagnosis in record.diagnoses}
    likeliest = names[str(row["diagnosis"])]
    if row.get("is_unfamiliar"):
        return f"Unlike what the classifier knows: do not use its answer ({likeliest})", False
    if "answer" in row and not row["answer"]:
        return f"Not sure enough: ask a dermatologist (likeliest: {likeliest})", False
    return likeliest, True


def _bars(
    record: AnswersRecord, row: Mapping[Hashable, object], inside: list[str]
) -> tuple[Bar, ...]:
    found = [
        (float(str(row[f"{_PROBABILITY}{diagnosis.code}"])), diagnosis)
        for diagnosis in record.diagnoses
    ]
    return tuple(
        Bar(
            code=diagnosis.code,
            name=diagnosis.name,
            probability=words.score(probability),
            width=f"{100 * probability:.1f}",
            is_in_set=diagnosis.code in inside,
        )
        for probability, diagnosis in sorted(found, key=lambda pair: -pair[0])
    )
