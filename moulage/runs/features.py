"""Pooled activations with their images' ids, for people who want nothing but features.

In:  a finished run's classifier, or a backbone with weights; a catalogue.
Out: `Features`, a row an image, and their file: .npy with the ids in a .csv beside it, or .parquet.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from moulage import files
from moulage.catalogue import Catalogue
from moulage.data.pixels import build_pixels
from moulage.errors import ConfigError
from moulage.networks.activations import activations_at
from moulage.networks.classifier import Classifier, InputContract, Recipe, build_classifier
from moulage.networks.machine import resolve_machine
from moulage.networks.registry import backbone_named
from moulage.networks.saved import load_classifier
from moulage.networks.weights import find_weights, load_weights, starter_architecture
from moulage.runs.folder import open_run
from moulage.runs.progress import Progress, named

FORMATS = (".npy", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """ids: image_id, lesion_id or group_id, diagnosis, a row an image; values (N, D) float32."""

    ids: pd.DataFrame
    values: NDArray[np.float32]

    def __repr__(self) -> str:
        n_images, n_values = self.values.shape
        return f"Features(n_images={n_images}, n_values={n_values})"


def open_source(
    source: str, catalogue: Catalogue, *, weights: str | None, size_px: int | None
) -> Classifier:
    """Open a finished run's folder, "starter", or a backbone's name with its weights.

    weights, size_px: of a backbone, "imagenet" and 128 where nothing is said. A run has its own.
    """
    if Path(source).is_dir():
        for name, value in (("weights", weights), ("size", size_px)):
            if value is not None:
                raise ConfigError(
                    f"`{name}` must go with a backbone; got {value!r} for the run {source}, which "
                    "has its own. Leave it out."
                )
        return load_classifier(open_run(Path(source)).path).classifier
    name, choice = source, weights or "imagenet"
    if source == "starter":
        name, choice = starter_architecture(), weights or "starter"
    backbone = backbone_named(name)
    file = find_weights(backbone, choice)
    contract = InputContract(
        size_px=128 if size_px is None else size_px,
        resize="squash",
        scaling=file.scaling if file and file.scaling else backbone.scaling,
        diagnoses=catalogue.codes,
    )
    recipe = Recipe(
        backbone=backbone.name, head="pooled", hidden=(), dropout=0.0, contract=contract
    )
    classifier = build_classifier(recipe, seed=0)
    if file is not None:
        load_weights(classifier.network, file)
    return classifier


def compute_features(
    classifier: Classifier, catalogue: Catalogue, *, boundary: str, progress: Progress
) -> Features:
    """Return each map's mean at a boundary of the classifier, "head" or a stage's name."""
    machine = resolve_machine()
    contract = classifier.recipe.contract
    place = classifier.boundary(boundary)
    _refuse_pixels(place, boundary)
    pixels = build_pixels(
        catalogue,
        size_px=contract.size_px,
        resize=contract.resize,
        progress=named("decoding images", progress),
    )
    activations = activations_at(
        classifier.to(machine.device),
        place,
        pixels=pixels.array,
        pixels_key=pixels.key,
        machine=machine,
        progress=named("activations", progress),
    )
    ids = catalogue.frame[["image_id", "lesion_id", "diagnosis"]]
    return Features(
        ids=ids.rename(columns={"lesion_id": f"{catalogue.unit}_id"}), values=activations.pooled()
    )


def write_features(features: Features, path: Path) -> None:
    """Write a Parquet table, or an array with `<name>.csv` beside it that names its rows."""
    files.check_ending(path, FORMATS)
    if path.suffix.lower() == ".parquet":
        _write_table(features, path)
        return
    array = io.BytesIO()
    np.save(array, features.values)
    ids = features.ids.to_csv(index=False, lineterminator="\n")
    files.write_table_beside(path, ids)
    files.write_bytes(path, array.getvalue())


def _write_table(features: Features, path: Path) -> None:
    columns = {str(n): pa.array(each.tolist(), pa.string()) for n, each in features.ids.items()}
    for place, column in enumerate(features.values.T):
        columns[f"feature_{place}"] = pa.array(column)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    files.write_bytes(path, sink.getvalue().to_pybytes())


def _refuse_pixels(place: int, boundary: str) -> None:
    if place == 0:
        raise ConfigError(
            f"`--at` must be a boundary above the pixels; got {boundary!r}, where nothing has "
            'been computed yet. Choose "head" or a stage of the backbone.'
        )
