"""A finished classifier applied to images that it has never seen.

In:  a run folder; loose image files, or a catalogue with labels of its own.
Out: a table of answers, or predictions with the foreign labels in the classifier's order.
Every input goes through the classifier's contract: its size, its resize rule, its scaling.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.catalogue import Catalogue, read_catalogue
from moulage.covariates import width_of
from moulage.data.decoding import Unreadable, decode_batches, list_image_files
from moulage.data.pixels import build_pixels
from moulage.errors import ConfigError, examples, nearest
from moulage.evaluation.benefit import cost_table
from moulage.evaluation.decisions import Rule, decide, softmax
from moulage.evaluation.trust import Trust
from moulage.evaluation.unfamiliarity import UNFAMILIAR, Familiarity, energies, strangeness
from moulage.networks.classifier import Classifier
from moulage.networks.committee import first_of
from moulage.networks.folding import fold
from moulage.networks.impressions import noting
from moulage.networks.machine import Machine, resolve_answering
from moulage.networks.saved import Saved, load_classifier
from moulage.predictions import Predictions
from moulage.runs.familiarity import read_familiarity
from moulage.runs.folder import CATALOGUE, FAMILIARITY, TRUST, RunFolder
from moulage.runs.patients import Told, told_of_files, told_of_table
from moulage.runs.progress import Progress, named
from moulage.runs.trust import read_trust
from moulage.training.loop import answers_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What a classifier says of loose files.

    table: path, diagnosis (rule `natural`), diagnosis_balanced (rule `balanced`), diagnosis_cost
    where the study has costs, set (diagnoses that cannot be ruled out, the likeliest first),
    answer (False: ask a dermatologist), unfamiliarity in [0, 1] (the share of known images that
    are less strange), is_unfamiliar, energy, and a `probability_<dx>` a diagnosis, after
    temperature. unreadable: files left out, and why. missing: sentences on what an older run
    cannot say, and on covariates that are unknown. pictures: the first images by path, (size,
    size, 3) uint8, as the classifier saw them; none unless asked for.
    """

    table: pd.DataFrame
    unreadable: tuple[Unreadable, ...]
    missing: tuple[str, ...] = ()
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """A finished run's classifier with all that was fitted beside it.

    trust, familiarity: None in runs older than these; `missing` says so in sentences.
    """

    saved: Saved
    trust: Trust | None
    familiarity: Familiarity | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreign:
    """Predictions on a labelled foreign set, and what of it they are of.

    catalogue: the images measured, under our diagnoses. mapping: their code → ours. n_unmapped
    counts images left out, by their code. unreadable: files skipped, and why. pixels_digest: of
    the images as the classifier saw them. strangeness: unfamiliarity in [0, 1] by image id, where
    the run can tell. notes: on ids that the run knows, diagnoses without images, covariates that
    are unknown, what an older run cannot say. metrics: what `metrics.json` holds.
    """

    predictions: Predictions
    catalogue: Catalogue
    mapping: Mapping[str, str]
    n_unmapped: Mapping[str, int]
    unreadable: tuple[Unreadable, ...]
    pixels_digest: str
    strangeness: Mapping[str, float]
    notes: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)


def classify_files(
    run: RunFolder,
    paths: Sequence[Path],
    *,
    covariates: Path | None = None,
    progress: Progress,
    n_pictures: int = 0,
) -> Answers:
    """Classify image files, and all images in folders and zips, a bounded batch at a time.

    covariates: a table, for a classifier that reads some. n_pictures: keep as many of the first
    images as pixels.
    """
    opened, machine = open_classifier(run), _machine_of(run)
    engine = fold(opened.saved.classifier.to(machine.device), machine)
    contract = engine.recipe.contract
    tables: list[pd.DataFrame] = []
    unreadable: list[Unreadable] = []
    pictures: dict[str, NDArray[np.uint8]] = {}
    files = list_image_files(paths)
    told = told_of_files(engine.recipe.covariates, files, table=covariates)
    for batch in decode_batches(files, size_px=contract.size_px, resize=contract.resize):
        unreadable += batch.unreadable
        if batch.paths:
            beside = told.of(batch.rows)
            tables.append(_table(opened, engine, batch.pixels, machine, batch.paths, beside))
        for path, pixels in zip(batch.paths, batch.pixels, strict=True):
            if len(pictures) < n_pictures:
                pictures[path] = np.array(pixels)
        progress("classifying", batch.n_seen, len(files))
    return Answers(
        table=pd.concat(tables, ignore_index=True) if tables else _empty(opened, engine, machine),
        unreadable=tuple(unreadable),
        missing=(*opened.missing, *told.notes),
        pictures=pictures,
    )


def open_classifier(run: RunFolder) -> Opened:
    """Open a finished run's classifier, its sets and thresholds, and what it is familiar with."""
    saved = load_classifier(run.path)
    trust = read_trust(run.path)
    familiarity = read_familiarity(run.path, saved.classifier.digest())
    missing = []
    if trust is None:
        missing.append(
            f"{run.path} lacks `{TRUST}`: its answers have neither sets nor abstention. "
            "`moulage trust` adds them from its predictions."
        )
    if familiarity is None:
        missing.append(
            f"{run.path} lacks `{FAMILIARITY}`: its answers do not say how unfamiliar an image "
            "is. Delete the folder and train it again to have it."
        )
    return Opened(saved=saved, trust=trust, familiarity=familiarity, missing=tuple(missing))


def classify_catalogue(
    run: RunFolder,
    catalogue: Catalogue,
    *,
    theirs: Mapping[str, str],
    unreadable: Literal["refuse", "skip"] = "refuse",
    progress: Progress,
) -> Foreign:
    """Predict a labelled set whose diagnoses `theirs` maps to ours; equal codes map themselves.

    unreadable: as for `build_pixels`. Raises ConfigError where a mapped code is unknown, or no
    image is left.
    """
    opened, machine = open_classifier(run), _machine_of(run)
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
    return Foreign(
        predictions=predictions,
        catalogue=mapped,
        mapping=mapping,
        n_unmapped=_n_unmapped(catalogue, mapping),
        unreadable=pixels.skipped,
        pixels_digest=pixels.digest,
        strangeness=dict(zip(mapped.image_ids.tolist(), strange, strict=True)) if strange else {},
        notes=(*_known(mapped, ours), *_lacking(mapped), *told.notes, *opened.missing),
    )


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
            strange += _strangeness(opened.familiarity, engine, notes).tolist()
        progress("classifying", int(rows[-1]) + 1, len(pixels))
    return np.concatenate(blocks), strange


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


def _machine_of(run: RunFolder) -> Machine:
    """Compute as the run did, on whatever device is here."""
    return resolve_answering(run.study()["resolved"]["precision"])


def _table(
    opened: Opened,
    engine: Classifier,
    pixels: NDArray[np.uint8],
    machine: Machine,
    paths: Sequence[str],
    covariates: NDArray[np.float32] | None,
) -> pd.DataFrame:
    """Answer for a batch; what is familiar is noted in the same pass."""
    saved, trust = opened.saved, opened.trust
    codes = engine.recipe.contract.diagnoses
    with noting(engine) as notes:
        answers = answers_of(engine, pixels, machine=machine, covariates=covariates)
    logits = answers.astype(np.float64)
    probabilities = softmax(logits / saved.temperature)
    columns: dict[str, object] = {"path": list(paths)}
    rules: dict[str, Rule] = {"diagnosis": "natural", "diagnosis_balanced": "balanced"}
    for name, rule in rules.items():
        columns[name] = np.array(codes)[decide(logits=logits, prior=saved.prior, rule=rule)]
    if trust is not None:
        if trust.asked.cost:
            columns["diagnosis_cost"] = np.array(codes)[_cheapest(saved, trust, logits)]
        columns["set"] = sets_in_words(trust.set_members(probabilities), probabilities, codes)
        columns["answer"] = trust.answers(probabilities)
    if opened.familiarity is not None:
        strange = _strangeness(opened.familiarity, engine, notes)
        columns |= {"unfamiliarity": strange, "is_unfamiliar": strange >= UNFAMILIAR}
    columns["energy"] = energies(logits, temperature=saved.temperature)
    columns |= {f"probability_{code}": probabilities[:, k] for k, code in enumerate(codes)}
    return pd.DataFrame(columns)


def _strangeness(
    familiarity: Familiarity, engine: Classifier, notes: Sequence[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Judge by each batch's first view, the image as it is."""
    impressions = np.concatenate(notes[:: len(first_of(engine).recipe.views)])
    return strangeness(familiarity, impressions)


def _cheapest(saved: Saved, trust: Trust, logits: NDArray[np.float64]) -> NDArray[np.int64]:
    costs = cost_table(trust.asked.cost, saved.classifier.recipe.contract.diagnoses)
    return decide(logits=logits / saved.temperature, prior=saved.prior, rule="cost", costs=costs)


def sets_in_words(
    members: NDArray[np.bool_], probabilities: NDArray[np.float64], codes: Sequence[str]
) -> list[str]:
    """Write each set with spaces between, the likeliest first: `nv mel`.

    A code with spaces of its own stands in quotes, as a shell has it.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    return [
        shlex.join(codes[k] for k in likely if inside[k])
        for likely, inside in zip(order, members, strict=True)
    ]


def _empty(opened: Opened, engine: Classifier, machine: Machine) -> pd.DataFrame:
    """Return the table without rows: one image's, taken away."""
    recipe = engine.recipe
    blank = np.zeros((1, recipe.contract.size_px, recipe.contract.size_px, 3), dtype=np.uint8)
    nothing = np.zeros((1, width_of(recipe.covariates)), dtype=np.float32)
    return _table(opened, engine, blank, machine, ("",), nothing).iloc[:0]


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


def _batches(n_images: int, size: int = 256) -> Iterator[NDArray[np.int64]]:
    return (np.arange(start, min(start + size, n_images)) for start in range(0, n_images, size))
