"""A finished classifier applied to images that it has never seen.

In:  a run folder; loose image files.   Out: a table of answers.
Every input goes through the classifier's contract: its size, its resize rule, its scaling.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.covariates import width_of
from moulage.data.decoding import Unreadable, decode_batches, list_image_files
from moulage.evaluation.benefit import cost_table
from moulage.evaluation.decisions import Rule, decide, softmax
from moulage.evaluation.trust import Trust
from moulage.evaluation.unfamiliarity import UNFAMILIAR, Familiarity, energies
from moulage.networks.classifier import Classifier
from moulage.networks.folding import fold
from moulage.networks.impressions import noting
from moulage.networks.machine import Machine, resolve_answering
from moulage.networks.saved import Saved, load_classifier
from moulage.runs.familiarity import read_familiarity, strangeness_of
from moulage.runs.folder import FAMILIARITY, TRUST, RunFolder
from moulage.runs.patients import told_of_files
from moulage.runs.progress import Progress
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

    def __repr__(self) -> str:
        return f"Answers(n_images={len(self.table)}, n_unreadable={len(self.unreadable)})"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """A finished run's classifier with all that was fitted beside it.

    trust, familiarity: None in runs older than these; `missing` says so in sentences.
    """

    saved: Saved
    trust: Trust | None
    familiarity: Familiarity | None
    missing: tuple[str, ...]


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
    opened, machine = open_classifier(run), machine_of(run)
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


def machine_of(run: RunFolder) -> Machine:
    """Return what computes as the run did, on whatever device is here."""
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
        strange = strangeness_of(notes, opened.familiarity, engine)
        columns |= {"unfamiliarity": strange, "is_unfamiliar": strange >= UNFAMILIAR}
    columns["energy"] = energies(logits, temperature=saved.temperature)
    columns |= {f"probability_{code}": probabilities[:, k] for k, code in enumerate(codes)}
    return pd.DataFrame(columns)


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
