"""The verdict: one line a finding, ok, look or stop.

In:  a Survey.   Out: lines, the gravest first.
Knows nothing of pages.
Why: stop means that a number measured on this data, as it stands, would be wrong; look means that
only a person can say.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from moulage.errors import examples
from moulage.split import Unit
from moulage.surveying.faults import KINDS, count_faults
from moulage.surveying.record import Survey
from moulage.surveying.telltales import AFTER_DIAGNOSIS, SIGNIFICANT, Telltale

Level = Literal["ok", "look", "stop"]
LEVELS: tuple[Level, ...] = ("stop", "look", "ok")

UNEQUAL = 10.0
"""Images of the most common diagnosis for one of the least common, from which to look."""
STRONG, GIVES_AWAY = 0.60, 0.80
"""Macro AUROC of one fact about files from which to look, and to stop: also where one diagnosis
reaches the second, which the mean hides if the others are not told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was looked into, how it stands, and why, in one sentence."""

    level: Level
    subject: str
    sentence: str


def verdict_of(survey: Survey) -> tuple[Line, ...]:
    """Return every line, stop before look before ok."""
    found = [
        *_file_findings(survey),
        *_diagnosis_findings(survey),
        *_group_findings(survey),
        *_duplicate_findings(survey),
        *_column_findings(survey),
        *_mark_findings(survey),
        *_label_findings(survey),
    ]
    return tuple(sorted(found, key=lambda line: LEVELS.index(line.level)))


def _file_findings(survey: Survey) -> Iterator[Line]:
    counts = count_faults(survey.faults)
    for kind, count in counts.items():
        yield Line(
            level="stop" if kind == "unreadable" else "look",
            subject="files",
            sentence=f"Images that {KINDS[kind]}: {count:,}.",
        )
    if not counts:
        n_files = len(survey.catalogue)
        said = "The only file is whole" if n_files == 1 else f"All {n_files:,} files are whole"
        yield _ok("files", f"{said}{', and no two have the same bytes' if n_files > 1 else ''}.")


def _diagnosis_findings(survey: Survey) -> Iterator[Line]:
    levels = survey.described.balance.diagnoses.levels
    if len(levels) < 2:
        yield Line(
            level="stop",
            subject="diagnoses",
            sentence=f"All images have one diagnosis, {levels[0].name}: there is nothing to tell "
            "apart.",
        )
        return
    least = min(levels, key=lambda level: level.n_images)
    most = max(levels, key=lambda level: level.n_images)
    ratio = survey.described.balance.ratio
    if most.n_images == least.n_images:
        yield _ok("diagnoses", f"Each has {_images(most.n_images)}.")
        return
    if not least.n_images:
        yield Line(
            level="look", subject="diagnoses", sentence=f"No image at all shows {least.name}."
        )
        return
    said = f"{most.name} has {ratio:.1f} images for each of {least.name}"
    if ratio >= UNEQUAL:
        said += ": name the decision rule of every accuracy"
    level: Level = "look" if ratio >= UNEQUAL else "ok"
    yield Line(level=level, subject="diagnoses", sentence=f"{said}.")


def _group_findings(survey: Survey) -> Iterator[Line]:
    unit = survey.catalogue.unit
    if survey.split is not None:
        lesions = survey.split.lesions
        if lesions:
            yield Line(
                level="stop",
                subject="split",
                sentence=f"{_counted(len(lesions), unit)} in more than one part; "
                f"{survey.split.n_leaked:,} of {survey.split.n_test:,} test images show a {unit} "
                f"that was trained on (first: {lesions[0]}).",
            )
        else:
            yield _ok("split", f"No {unit} of the given split stands in two parts.")
    if not survey.described.balance.n_with_several:
        yield Line(
            level="look",
            subject="groups",
            sentence=f"Every image is a {unit} of its own: either that is so, or ids are missing "
            f"and no split can keep the photographs of a {unit} together.",
        )
    elif survey.leakage is not None:
        yield Line(
            level="look",
            subject="groups",
            sentence=f"{_counted(survey.described.balance.n_with_several, unit)} with several "
            "photographs: a split of single images would leak "
            f"{100 * survey.leakage.share:.0f} % of its test images. Split by {unit}.",
        )


def _duplicate_findings(survey: Survey) -> Iterator[Line]:
    unit = survey.catalogue.unit
    new = [pair for pair in survey.pairs if not pair.tied_by]
    tied = [pair for pair in survey.pairs if pair.tied_by]
    if tied:
        yield _ok(
            "duplicates",
            f"{_counted(len(tied), 'pair')} of images under different {unit} ids, kept together "
            f"in splits by {tied[0].tied_by}.",
        )
    if not new:
        others = " other" if tied else ""
        yield _ok("duplicates", f"No two{others} {unit} ids were found to show one lesion.")
        return
    counts = Counter(pair.evidence for pair in new)
    is_exact = bool(counts["same bytes"] + counts["same pixels"])
    said = ", ".join(f"{evidence} {count:,}" for evidence, count in counts.items())
    yield Line(
        level="stop" if is_exact else "look",
        subject="duplicates",
        sentence=f"{_counted(len(new), 'pair')} of images under different {unit} ids "
        f"may show one lesion ({said}): look at them, then `moulage split --merge`.",
    )


def _column_findings(survey: Survey) -> Iterator[Line]:
    columns = {one.name: one for one in survey.telltales if one.kind == "metadata"}
    after = [name for name in survey.described.distributions if name in AFTER_DIAGNOSIS]
    for name in after:
        power = _power(columns.get(name))
        yield Line(
            level="look",
            subject="columns",
            sentence=f"{name} must not be learned from: {AFTER_DIAGNOSIS[name]}{power}.",
        )
    for name in dict.fromkeys(pure.column for pure in survey.pure_levels):
        pure_words = [
            f"{pure.level} ({_images(pure.n_images)}, {pure.diagnosis})"
            for pure in survey.pure_levels
            if pure.column == name
        ]
        yield Line(
            level="look",
            subject="columns",
            sentence=f"{name} has words of one diagnosis only: {examples(pure_words)}.",
        )
    # Age, sex and site are known before, and may rightly tell one diagnosis.
    strong = [
        one
        for name, one in columns.items()
        if name not in AFTER_DIAGNOSIS
        and (_tells_all(one, GIVES_AWAY) or (name in survey.catalogue.others and _tells_one(one)))
    ]
    for one in strong:
        yield Line(
            level="look",
            subject="columns",
            sentence=f"{one.name} {_predicts(one, survey.catalogue.unit)}: learn from it only if "
            "it is known before the diagnosis.",
        )
    if not after and not survey.pure_levels and not strong:
        yield _ok("columns", "No column is known to be filled in after the diagnosis.")


def _mark_findings(survey: Survey) -> Iterator[Line]:
    marks = [one for one in survey.telltales if one.kind != "metadata"]
    strong = [one for one in marks if _tells_all(one, STRONG) or _tells_one(one)]
    for one in strong:
        # A border is photographed, so it may rightly differ; a file's form may not.
        is_grave = one.kind == "file" and (one.auroc >= GIVES_AWAY or _tells_one(one))
        yield Line(
            level="stop" if is_grave else "look",
            subject="marks",
            sentence=f"{one.name.capitalize()} {_predicts(one, survey.catalogue.unit)}.",
        )
    if marks and all(one.n_levels == 1 for one in marks):
        yield _ok("marks", "No fact about files or borders varies, rare values apart.")
    elif marks and all(math.isnan(one.auroc) for one in marks):
        yield Line(
            level="look",
            subject="marks",
            sentence=f"Too few {survey.catalogue.unit}s to test whether files or borders give "
            "the diagnosis away.",
        )
    elif marks and not strong:
        yield _ok(
            "marks", f"No fact about files or borders is shown to reach a macro AUROC of {STRONG}."
        )


def _label_findings(survey: Survey) -> Iterator[Line]:
    if survey.review is None:
        yield Line(
            level="look",
            subject="labels",
            sentence=f"Labels were not reviewed: {survey.not_reviewed}.",
        )
        return
    n_suspects, n_judged = len(survey.review.suspects), survey.review.n_lesions
    unit = survey.review.unit
    if not n_suspects:
        yield _ok("labels", f"None of {n_judged:,} {unit}s looks confidently like another.")
        return
    yield Line(
        level="look",
        subject="labels",
        sentence=f"{n_suspects:,} of {n_judged:,} {unit}s look more like another diagnosis than "
        "like their own; a person must say which labels are wrong.",
    )


def _power(one: Telltale | None) -> str:
    if one is None or math.isnan(one.auroc):
        return ""
    return f", and it predicts the diagnosis with a macro AUROC of {one.auroc:.2f}"


def _tells_all(one: Telltale, least: float) -> bool:
    return one.auroc >= least and one.p_family < SIGNIFICANT


def _tells_one(one: Telltale) -> bool:
    return one.best_auroc >= GIVES_AWAY and one.best_p_family < SIGNIFICANT


def _predicts(one: Telltale, unit: Unit) -> str:
    return (
        f"alone predicts the diagnosis with a macro AUROC of {one.auroc:.2f} on unseen {unit}s "
        f"({one.best}: {one.best_auroc:.2f})"
    )


def _ok(subject: str, sentence: str) -> Line:
    return Line(level="ok", subject=subject, sentence=sentence)


def _images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
