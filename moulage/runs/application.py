"""A finished classifier applied to images that it has never seen.

In:  a run folder; loose image files, or a catalogue with labels of its own.
Out: a table of probabilities, or predictions with the foreign labels in the classifier's order.
Every input goes through the classifier's contract: its size, its resize rule, its scaling.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.catalogue import Catalogue, read_catalogue
from moulage.data.decoding import Unreadable, decode_batches, list_image_files
from moulage.data.pixels import build_pixels
from moulage.errors import ConfigError, examples
from moulage.evaluation.decisions import Rule, decide, softmax
from moulage.networks.machine import Machine, resolve_machine
from moulage.networks.saved import Saved, load_classifier
from moulage.predictions import Predictions
from moulage.runs.folder import CATALOGUE, RunFolder
from moulage.runs.material import Progress
from moulage.training.augmentation import Augmentation
from moulage.training.batches import PixelSource
from moulage.training.loop import logits_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What a classifier says of loose files.

    table: path, diagnosis (rule `natural`), diagnosis_balanced (rule `balanced`), and a
    `probability_<dx>` a diagnosis, after temperature. unreadable: files left out, and why.
    """

    table: pd.DataFrame
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreign:
    """Predictions on a labelled foreign set; n_unmapped counts images left out, by their code."""

    predictions: Predictions
    n_unmapped: Mapping[str, int]


def classify_files(run: RunFolder, paths: Sequence[Path], *, progress: Progress) -> Answers:
    """Classify image files, and all images in folders and zips, a bounded batch at a time."""
    saved, machine = load_classifier(run.path), _machine_of(run)
    contract = saved.classifier.recipe.contract
    tables: list[pd.DataFrame] = []
    unreadable: list[Unreadable] = []
    files = list_image_files(paths)
    for batch in decode_batches(files, size_px=contract.size_px, resize=contract.resize):
        unreadable += batch.unreadable
        tables.append(_table(saved, _logits(saved, batch.pixels, machine), batch.paths))
        progress("classifying", batch.n_seen, len(files))
    return Answers(
        table=pd.concat(tables, ignore_index=True) if tables else _table(saved, None, ()),
        unreadable=tuple(unreadable),
    )


def classify_catalogue(
    run: RunFolder, catalogue: Catalogue, *, theirs: Mapping[str, str], progress: Progress
) -> Foreign:
    """Predict a labelled set whose diagnoses `theirs` maps to ours; equal codes map themselves.

    Raises ConfigError where a mapped code is unknown, or no image is left.
    """
    saved, machine = load_classifier(run.path), _machine_of(run)
    mapped, n_unmapped = _mapped(
        catalogue, ours=read_catalogue(run.path / CATALOGUE), theirs=theirs
    )
    contract = saved.classifier.recipe.contract
    pixels = build_pixels(
        mapped,
        size_px=contract.size_px,
        resize=contract.resize,
        progress=lambda done, total: progress("decoding images", done, total),
    )
    blocks = []
    for rows in _batches(len(mapped)):
        blocks.append(_logits(saved, pixels.array[rows], machine))
        progress("classifying", int(rows[-1]) + 1, len(mapped))
    predictions = Predictions(
        image_ids=mapped.image_ids,
        lesion_ids=mapped.lesion_ids,
        parts=np.full(len(mapped), "test"),
        labels=mapped.labels,
        logits=np.concatenate(blocks),
        diagnoses=mapped.codes,
        prior=saved.prior,
        temperature=saved.temperature,
        classifier_digest=saved.classifier.digest(),
    )
    return Foreign(predictions=predictions, n_unmapped=n_unmapped)


def _machine_of(run: RunFolder) -> Machine:
    """Compute as the run did, on whatever device is here."""
    resolved = run.study()["resolved"]
    return resolve_machine(precision=resolved["precision"])


def _logits(saved: Saved, pixels: NDArray[np.uint8], machine: Machine) -> NDArray[np.float32]:
    source = PixelSource(
        pixels=pixels,
        image_ids=np.array([], dtype=str),
        augmentation=Augmentation(),
        device=machine.device,
    )
    classifier = saved.classifier.to(machine.device)
    return logits_of(classifier, source, 0, np.arange(len(pixels)), machine=machine)


def _table(saved: Saved, logits: NDArray[np.float32] | None, paths: Sequence[str]) -> pd.DataFrame:
    codes = saved.classifier.recipe.contract.diagnoses
    values = np.zeros((0, len(codes))) if logits is None else logits.astype(np.float64)
    rules: dict[str, Rule] = {"diagnosis": "natural", "diagnosis_balanced": "balanced"}
    decided = {
        name: np.array(codes)[decide(logits=values, prior=saved.prior, rule=rule)]
        for name, rule in rules.items()
    }
    probabilities = softmax(values / saved.temperature)
    columns = {f"probability_{code}": probabilities[:, k] for k, code in enumerate(codes)}
    return pd.DataFrame({"path": list(paths), **decided, **columns})


def _mapped(
    catalogue: Catalogue, *, ours: Catalogue, theirs: Mapping[str, str]
) -> tuple[Catalogue, dict[str, int]]:
    strangers = [f"{old}={new}" for old, new in theirs.items() if new not in ours.codes]
    missing = [old for old in theirs if old not in catalogue.codes]
    if strangers or missing:
        raise ConfigError(
            f"`--map` must read theirs=ours with theirs one of {', '.join(catalogue.codes)} and "
            f"ours one of {', '.join(ours.codes)}; got {examples([*strangers, *missing])}. "
            "Correct the codes."
        )
    meant = {**{code: code for code in ours.codes}, **theirs}
    codes = catalogue.frame["diagnosis"].map(meant)
    n_unmapped = catalogue.frame["diagnosis"][codes.isna()].value_counts().to_dict()
    if codes.isna().all():
        raise ConfigError(
            f"A foreign set must share diagnoses with the classifier ({', '.join(ours.codes)}); "
            f"got {', '.join(catalogue.codes)}. Map them with `--map theirs=ours`."
        )
    frame = catalogue.frame.assign(diagnosis=codes)[codes.notna()]
    mapped = Catalogue(
        frame=frame, diagnoses=ours.diagnoses, root=catalogue.root, name=catalogue.name
    )
    return mapped, {str(code): int(count) for code, count in n_unmapped.items()}


def _batches(n_images: int, size: int = 256) -> Iterator[NDArray[np.int64]]:
    return (np.arange(start, min(start + size, n_images)) for start in range(0, n_images, size))
