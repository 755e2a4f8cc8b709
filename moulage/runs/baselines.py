"""Three baselines that every study is held against, on the same split.

In:  a material, and the classifier that a cell starts from.   Out: predictions, a name each.
Why: a network that does not beat the majority, or what age and site already tell, has learned
nothing from the images.
"""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.baselines import feature_regression, majority, metadata_regression
from moulage.files import write_text
from moulage.networks.activations import activations_at
from moulage.networks.classifier import Classifier
from moulage.networks.machine import Machine
from moulage.predictions import Predictions, read_predictions, write_predictions
from moulage.runs.material import Material
from moulage.runs.progress import Progress, named

logger = logging.getLogger(__name__)

_KEY = "key.txt"
NAMES = ("majority diagnosis", "metadata regression", "pooled activations regression")


def keep_baselines(
    material: Material,
    classifier: Classifier,
    *,
    folder: Path,
    machine: Machine,
    progress: Progress,
) -> None:
    """Fit the baselines of a split and write their predictions."""
    logger.info("fitting the three baselines")
    boundary = len(classifier.stages)
    activations = activations_at(
        classifier,
        boundary,
        pixels=material.pixels.array,
        pixels_key=material.pixels.key,
        machine=machine,
        progress=named("activations", progress),
    )
    labels, parts = material.catalogue.labels[material.rows], material.split.parts
    n_classes = len(material.catalogue.codes)
    table = material.catalogue.frame.iloc[material.rows].reset_index(drop=True)
    logits = (
        majority(labels=labels, parts=parts, n_classes=n_classes),
        metadata_regression(table=table, labels=labels, parts=parts, n_classes=n_classes),
        feature_regression(
            features=activations.pooled()[material.rows],
            labels=labels,
            parts=parts,
            n_classes=n_classes,
        ),
    )
    for name, values in zip(NAMES, logits, strict=True):
        write_predictions(_predictions(material, labels, values), _file(folder, name))


def read_baselines(folder: Path, split_digest: str) -> dict[str, Predictions]:
    """Return the baselines of a split; nothing where they are not all there."""
    files = {name: _file(folder, name) for name in NAMES}
    if not all(path.is_file() for path in files.values()):
        return {}
    found = {name: read_predictions(path) for name, path in files.items()}
    is_ours = all(baseline.split_digest == split_digest for baseline in found.values())
    return found if is_ours else {}


def write_key(folder: Path, key: str) -> None:
    """Say what a folder's baselines were fitted on, once they are all there."""
    write_text(folder / _KEY, key)


def read_key(folder: Path) -> str:
    """Return what `write_key` wrote, or nothing."""
    return (folder / _KEY).read_text() if (folder / _KEY).is_file() else ""


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.replace(' ', '-')}.parquet"


def _predictions(
    material: Material, labels: NDArray[np.int64], logits: NDArray[np.float32]
) -> Predictions:
    return Predictions(
        image_ids=material.split.image_ids,
        lesion_ids=material.split.lesion_ids,
        parts=material.split.parts,
        labels=labels,
        logits=logits,
        diagnoses=material.catalogue.codes,
        prior=material.prior,
        split_digest=material.split.digest,
        unit=material.split.unit,
    )
