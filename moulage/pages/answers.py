"""The page of answers: what a classifier says of loose images, and how far to believe it.

In:  a table of answers, a row an image, small pictures of them.   Out: one HTML file as text.
Knows nothing of run folders and networks.
Why the head counts malignant diagnoses in sets beside what the rule abstains on: "none to be shown
to a dermatologist" reads as a clearance, which no answer is.
"""

import shlex
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from moulage.evaluation.conformal import least_lesions
from moulage.evaluation.trust import Trust
from moulage.pages import words
from moulage.pages.document import render
from moulage.pages.mistakes import data_uri
from moulage.pages.records import AnswersRecord

MOST = 300
_PROBABILITY = "probability_"


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
    """One image. verdict: what to do, in words.

    is_sure: that is to take the answer, and no diagnosis in the set is malignant.
    """

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
        lead=_lead(record),
        sets=_sets(record.trust, record.unit) if record.trust else "",
        notes=[*record.notes, *_always_notes(record), *(left if n_shown < n_images else [])],
        answers=[_answer(record, row) for row in shown],
    )


def _lead(record: AnswersRecord) -> str:
    """Count what calls for a look, and say that what is not counted is not cleared."""
    table, n_images = record.table, words.counted(len(record.table), "image")
    said = []
    if "answer" in table:
        n_asked = int((~table["answer"].astype(bool)).sum())
        said.append(f"{words.count(n_asked)} on which the classifier abstains")
    knows_malignant = any(one.is_malignant for one in record.diagnoses)
    if knows_malignant:
        said.append(_malignant_counted(record))
    if "is_unfamiliar" in table:
        n_strange = int(table["is_unfamiliar"].astype(bool).sum())
        said.append(f"{words.count(n_strange)} unlike what the classifier knows")
    counts = f"{n_images}: {words.listed(said)}" if said else n_images
    blind = "" if knows_malignant else " None of its diagnoses is known to be malignant."
    return f"{counts}.{blind} None of this clears a lesion{_missed(record)}."


def _malignant_counted(record: AnswersRecord) -> str:
    """Count sets with a malignant diagnosis; where one is in all, those with another too."""
    found = [_malignant(record, row) for row in record.table.to_dict("records")]
    where = "in the set" if "set" in record.table else "as the likeliest"
    said = f"{words.count(sum(map(bool, found)))} with a malignant diagnosis {where}"
    always = _always(record)
    if not any(one.is_malignant for one in record.diagnoses if one.code in always):
        return said
    n_others = sum(bool(set(codes) - set(always)) for codes in found)
    return f"{said} ({words.count(n_others)} with one that is not in every set)"


def _missed(record: AnswersRecord) -> str:
    if record.trust is None:
        return ""
    share = words.percent(record.trust.asked.alpha)
    return (
        f": up to {share} of the {record.unit}s of a diagnosis do not have it in their set, and "
        "more where lesions or cameras are others"
    )


def _sets(trust: Trust, unit: str) -> str:
    """Say what a set is, at which level, and on whose images that was fitted."""
    level = words.percent(1 - trust.asked.alpha)
    return (
        f"Filled bars belong to the set: every diagnosis that cannot be ruled out at the {level} "
        f"level. Of the {unit}s of each diagnosis at least {level} have it in their set, as long "
        f"as they are like those that this was fitted on. Pale bars lie outside. {trust.note}"
    )


def _always(record: AnswersRecord) -> tuple[str, ...]:
    return record.trust.fitted().always if record.trust else ()


def _always_notes(record: AnswersRecord) -> list[str]:
    """Name the diagnoses that too few lesions were there for, and how many it takes."""
    always = _always(record)
    if record.trust is None or not always:
        return []
    counts, alpha, names = record.trust.fitted().n_lesions, record.trust.asked.alpha, _names(record)
    said = words.listed(
        f"{names[code]} ({words.counted(counts[code], record.unit)})" for code in always
    )
    needed = words.counted(least_lesions(alpha), record.unit)
    return [
        f"In every set, whatever an image shows: {said}. That is too few to rule a diagnosis out, "
        f"for which it takes {needed} of each at the {words.percent(1 - alpha)} level."
    ]


def _answer(record: AnswersRecord, row: Mapping[Hashable, object]) -> Answer:
    path, inside, remarked = str(row["path"]), _inside(row), _remarked(record)
    verdict, is_sure = _verdict(record, row)
    pixels = record.pictures.get(path)
    strange = row.get("unfamiliarity")
    return Answer(
        path=path,
        file=PurePath(path.replace("!/", "/")).name,
        source="" if pixels is None else data_uri(pixels),
        verdict=verdict,
        is_sure=is_sure,
        members=words.listed(remarked[code] for code in inside) if inside else "",
        unfamiliarity=(
            f"stranger than {100 * float(str(strange)):.1f} % of known images"
            if strange is not None
            else ""
        ),
        bars=_bars(record, row, inside),
    )


def _inside(row: Mapping[Hashable, object]) -> list[str]:
    return shlex.split(str(row.get("set", "")))


def _malignant(record: AnswersRecord, row: Mapping[Hashable, object]) -> list[str]:
    """Return the malignant codes in the set, the likeliest first; without a set the likeliest."""
    found = _inside(row) if "set" in row else [str(row["diagnosis"])]
    known = {one.code for one in record.diagnoses if one.is_malignant}
    return [code for code in found if code in known]


def _remarked(record: AnswersRecord) -> dict[str, str]:
    """Return code → name, and in brackets what must not be overlooked of it."""
    remarked, always = _names(record), _always(record)
    for one in record.diagnoses:
        is_told = "malignant" in one.name.lower()
        remarks = ["malignant"] if one.is_malignant and not is_told else []
        remarks += ["in every set"] if one.code in always else []
        if remarks:
            remarked[one.code] += f" ({'; '.join(remarks)})"
    return remarked


def _names(record: AnswersRecord) -> dict[str, str]:
    """Return code → name, or the code as the bars have it where both are the same word."""
    return {
        one.code: one.code if one.code.lower() == one.name.lower() else one.name
        for one in record.diagnoses
    }


def _verdict(record: AnswersRecord, row: Mapping[Hashable, object]) -> tuple[str, bool]:
    """Say what to do: a stranger is not to be believed, whatever its probabilities."""
    names = {diagnosis.code: diagnosis.name for diagnosis in record.diagnoses}
    likeliest, remarked = str(row["diagnosis"]), _remarked(record)
    name = names[likeliest]
    if row.get("is_unfamiliar"):
        return f"Unlike what the classifier knows: do not use its answer ({name})", False
    if "answer" in row and not row["answer"]:
        return f"Not sure enough: ask a dermatologist (likeliest: {name})", False
    malignant = _malignant(record, row)
    if not malignant:
        return name, True
    if likeliest in malignant:
        return remarked[likeliest], False
    others = words.listed(remarked[code] for code in malignant)
    return f"{name}, but not ruled out: {others}", False


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
