"""A finished run measured on a labelled foreign set: `moulage evaluate`.

In:  a run folder; a data set with labels of its own, and which of them are which of ours.
Out: predictions in the classifier's order of diagnoses; `metrics.json`: scores, intervals,
questions, calibration; what was measured, and with what.
Nothing is fitted on the set: temperature, thresholds and sets are the run's own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue, read_catalogue
from moulage.data.dataset import Dataset
from moulage.data.decoding import Unreadable
from moulage.data.pixels import build_pixels
from moulage.errors import ConfigError, RunError, examples, nearest
from moulage.evaluation.examination import as_json, examine
from moulage.files import write_json
from moulage.networks.folding import fold
from moulage.networks.impressions import noting
from moulage.networks.machine import Machine
from moulage.predictions import Predictions, write_predictions
from moulage.runs.application import Opened, machine_of, open_classifier
from moulage.runs.certainty import certainty_of
from moulage.runs.familiarity import strangeness_of
from moulage.runs.folder import CATALOGUE, METRICS, PREDICTIONS, RunFolder
from moulage.runs.material import left_out_notes, open_described, unreadable_of
from moulage.runs.outcome import scores_of
from moulage.runs.patients import Told, told_of_table
from moulage.runs.progress import Progress, named
from moulage.runs.trust import fitting_part, read_trust
from moulage.training.loop import answers_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classified:
    """Predictions on a labelled foreign set, and what of it they are of.

    catalogue: the images measured, under our diagnoses. mapping: their code → ours. n_unmapped
    counts images left out, by their code. unreadable: files skipped, and why. pixels_digest: of
    the images as the classifier saw them. strangeness: unfamiliarity in [0, 1] by image id, where
    the run can tell. notes: on ids that the run knows, diagnoses without images, covariates that
    are unknown, what an older run cannot say.
    """

    predictions: Predictions
    catalogue: Catalogue
    mapping: Mapping[str, str]
    n_unmapped: Mapping[str, int]
    unreadable: tuple[Unreadable, ...]
    pixels_digest: str
    strangeness: Mapping[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreign:
    """Predictions on a labelled foreign set, and what they are worth.

    Fields of one name are those of `Classified`. metrics: what `metrics.json` holds.
    """

    predictions: Predictions
    catalogue: Catalogue
    mapping: Mapping[str, str]
    n_unmapped: Mapping[str, int]
    unreadable: tuple[Unreadable, ...]
    notes: tuple[str, ...]
    metrics: Mapping[str, Any]

    def __repr__(self) -> str:
        name, n_images = self.catalogue.name, len(self.predictions)
        n_unmapped = sum(self.n_unmapped.values())
        return f"Foreign(name={name!r}, n_images={n_images}, n_unmapped={n_unmapped})"


def evaluate_run(
    run: RunFolder,
    dataset: Path,
    layout: Mapping[str, Any] | None = None,
    *,
    theirs: Mapping[str, str],
    out: Path | None = None,
    progress: Progress,
) -> Foreign:
    """Measure a run on a labelled set, and write what came of it to `out`, if given.

    dataset, layout: as for `open_described`. theirs: as for `classify_catalogue`. Raises RunError
    where `out` holds what another run or data set left.
    """
    opened = open_described(dataset, layout, absent="note")
    if out is not None:
        _refuse_another(out, run, opened)
    found = classify_catalogue(
        run, opened.catalogue, theirs=theirs, unreadable=unreadable_of(dataset), progress=progress
    )
    metrics = _account(run, dataset, opened, found)
    if out is not None:
        write_predictions(found.predictions, out / PREDICTIONS)
        write_json(out / METRICS, metrics)
    return Foreign(
        predictions=found.predictions,
        catalogue=found.catalogue,
        mapping=found.mapping,
        n_unmapped=found.n_unmapped,
        unreadable=found.unreadable,
        notes=found.notes,
        metrics=metrics,
    )


def classify_catalogue(
    run: RunFolder,
    catalogue: Catalogue,
    *,
    theirs: Mapping[str, str],
    unreadable: Literal["refuse", "skip"] = "refuse",
    progress: Progress,
) -> Classified:
    """Predict a labelled set whose diagnoses `theirs` maps to ours; equal codes map themselves.

    unreadable: as for `build_pixels`. Raises ConfigError where a mapped code is unknown, or no
    image is left.
    """
    opened, machine = open_classifier(run), machine_of(run)
    saved, ours = opened.saved, read_catalogue(run.path / CATALOGUE)
    mapping = _mapping(catalogue, ours=ours, theirs=theirs)
    listed = _mapped(catalogue, ours=ours, mapping=mapping)
    contract = saved.classifier.recipe.contract
    pixels = build_pixels(
        listed,
        size_px=contract.size_px,
        resize=contract.resize,
        unreadable=unreadable,
        progress=named("decoding images", progress),
    )
    mapped = listed.take(pixels.rows)
    told = told_of_table(saved.classifier.recipe.covariates, mapped.frame)
    logits, strange = _answer_all(opened, pixels.array, told, machine, progress)
    predictions = Predictions(
        image_ids=mapped.image_ids,
        lesion_ids=mapped.lesion_ids,
        parts=np.full(len(mapped), "test"),
        labels=mapped.labels,
        logits=logits,
        diagnoses=mapped.codes,
        prior=saved.prior,
        temperature=saved.temperature,
        classifier_digest=saved.classifier.digest(),
        unit=mapped.unit,
    )
    return Classified(
        predictions=predictions,
        catalogue=mapped,
        mapping=mapping,
        n_unmapped=_n_unmapped(catalogue, mapping),
        unreadable=pixels.skipped,
        pixels_digest=pixels.digest,
        strangeness=dict(zip(mapped.image_ids.tolist(), strange, strict=True)) if strange else {},
        notes=(*_known(mapped, ours), *_lacking(mapped), *told.notes, *opened.missing),
    )


def _refuse_another(out: Path, run: RunFolder, opened: Dataset) -> None:
    """Raise RunError where metrics in `out` are not of this classifier on this data set."""
    if not (out / METRICS).is_file():
        return
    digests, whose = _whose(out / METRICS)
    own = run.predictions().classifier_digest
    if digests != (own, opened.catalogue.digest):
        raise RunError(
            f"`out` must be free, or hold what this classifier made of these same labels; got "
            f"metrics of {whose} in {out}. Name another folder, or delete that one."
        )


def _whose(path: Path) -> tuple[tuple[str, str], str]:
    """Return the digests of what a file's metrics are of, and its name in words."""
    try:
        kept = json.loads(path.read_text())
        name, digest = (kept["dataset"][key] for key in ("name", "digest"))
        return (kept["classifier_digest"], digest), f"{kept['run']} on {name}"
    except (ValueError, KeyError, TypeError):  # a run's own, another program's, an older one's
        return ("", ""), "something else"


def _account(run: RunFolder, dataset: Path, opened: Dataset, found: Classified) -> dict[str, Any]:
    """Return what a reader needs to trust the result, and to have it again.

    dataset: where it was read from, a study file perhaps. `confusion` is in the order of
    `diagnoses`; thresholds of questions were chosen on the run's own images.
    """
    own = run.predictions()
    part, whose = fitting_part(run.split())
    predictions, catalogue, trust = found.predictions, found.catalogue, read_trust(run.path)
    return {
        "run": str(run.path),
        "classifier_digest": predictions.classifier_digest,
        "dataset": {
            "name": opened.catalogue.name,
            "path": str(dataset.resolve()),
            "root": str(opened.catalogue.root.resolve()),
            "kind": opened.kind,
            "digest": opened.catalogue.digest,
        },
        "images": {"digest": found.pixels_digest},
        "diagnoses": list(predictions.diagnoses),
        "mapping": dict(found.mapping),
        "n_unmapped": dict(found.n_unmapped),
        "n_unreadable": len(found.unreadable),
        "notes": [*opened.notes, *left_out_notes(found.unreadable), *found.notes],
        "fitted": f"Temperature, thresholds and sets are the run's own, fitted {whose}.",
        "parts": {"test": scores_of(predictions)},
        "certainty": certainty_of(
            predictions, chosen_on=own.of(part), diagnoses=catalogue.diagnoses
        ),
        "trust": trust
        and as_json(examine(trust, predictions, catalogue.frame, strangeness=found.strangeness)),
    }


def _mapping(catalogue: Catalogue, *, ours: Catalogue, theirs: Mapping[str, str]) -> dict[str, str]:
    """Return their code → ours, of each that has one."""
    strangers = [f"{old}={new}" for old, new in theirs.items() if new not in ours.codes]
    missing = [old for old in theirs if old not in catalogue.codes]
    if strangers or missing:
        raise ConfigError(
            f"`--map` must read theirs=ours with theirs one of {_quoted(catalogue.codes)} and ours "
            f"one of {_quoted(ours.codes)}; got {examples([*strangers, *missing])}. Correct the "
            "codes."
        )
    meant = {**{code: code for code in ours.codes}, **theirs}
    mapping = {code: meant[code] for code in catalogue.codes if code in meant}
    if not catalogue.frame["diagnosis"].isin(list(mapping)).any():
        alike = (nearest(code, ours.codes) for code in catalogue.codes)
        raise ConfigError(
            f"A foreign set must share diagnoses with the classifier ({_quoted(ours.codes)}); got "
            f"{_quoted(catalogue.codes)}.{next(filter(None, alike), '')} Map them with "
            "`--map theirs=ours`."
        )
    return mapping


def _quoted(codes: Sequence[str]) -> str:
    """List codes so that a space at an end is seen."""
    return ", ".join(map(repr, codes))


def _mapped(catalogue: Catalogue, *, ours: Catalogue, mapping: Mapping[str, str]) -> Catalogue:
    codes = catalogue.frame["diagnosis"].map(dict(mapping))
    frame = catalogue.frame.assign(diagnosis=codes)[codes.notna()]
    return replace(catalogue, frame=frame, diagnoses=ours.diagnoses)


def _n_unmapped(catalogue: Catalogue, mapping: Mapping[str, str]) -> dict[str, int]:
    codes = catalogue.frame["diagnosis"]
    counts = codes[~codes.isin(list(mapping))].value_counts()
    return {str(code): int(count) for code, count in counts.items()}


def _answer_all(
    opened: Opened, pixels: NDArray[np.uint8], told: Told, machine: Machine, progress: Progress
) -> tuple[NDArray[np.float32], list[float]]:
    """Return logits (N, K), and how strange each image is where the run can tell."""
    engine = fold(opened.saved.classifier.to(machine.device), machine)
    blocks, strange = [], []
    for rows in _batches(len(pixels)):
        with noting(engine) as notes:
            blocks.append(
                answers_of(engine, pixels[rows], machine=machine, covariates=told.of(rows))
            )
        if opened.familiarity is not None:
            strange += strangeness_of(notes, opened.familiarity, engine).tolist()
        progress("classifying", int(rows[-1]) + 1, len(pixels))
    return np.concatenate(blocks), strange


def _batches(n_images: int, size: int = 256) -> Iterator[NDArray[np.int64]]:
    return (np.arange(start, min(start + size, n_images)) for start in range(0, n_images, size))


def _known(foreign: Catalogue, ours: Catalogue) -> list[str]:
    """Warn of images that bear ids of the run's own set; their pixels may be others."""
    n_known = int(np.isin(foreign.image_ids, ours.image_ids).sum())
    if not n_known:
        return []
    return [
        f"{n_known:,} of {len(foreign):,} images bear ids of the set that the run was made from: "
        "if they are the same, it was trained on some of them, and its scores say nothing of "
        "foreign images. `moulage audit` compares the two sets."
    ]


def _lacking(foreign: Catalogue) -> list[str]:
    """Tell of our diagnoses that no image has, which macro scores leave out."""
    lacking = sorted(set(foreign.codes) - set(foreign.frame["diagnosis"]))
    if not lacking:
        return []
    return [
        f"{len(lacking)} of the classifier's {len(foreign.codes)} diagnoses have no image here "
        f"({examples(lacking)}): balanced accuracy and macro scores are means over the others."
    ]
