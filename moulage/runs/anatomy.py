"""The hidden layer of a finished classifier, read on all images of its own data.

In:  a run folder.   Out: a HiddenLayer, and the pixels of any image by its id.
Nothing is cached: reading the layer costs one pass over the images.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.data.pixels import Pixels, build_pixels
from moulage.errors import ConfigError
from moulage.evaluation.metrics import decide_all
from moulage.explanation.layers import HiddenLayer, Images, describe_layer
from moulage.networks.classifier import Recipe
from moulage.networks.committee import first_of
from moulage.networks.witness import Witness
from moulage.runs.explaining import Chosen, draw_rows, open_witness, own_images
from moulage.runs.folder import RunFolder
from moulage.runs.patients import told_of_table
from moulage.runs.progress import Progress, named
from moulage.split import Part, Split, positions

_N_ASKED = 14
_BATCH = 256
_PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """A layer, and the pictures (h, w, 3) uint8 of its images by id."""

    layer: HiddenLayer
    catalogue: Catalogue
    pixels: Pixels

    def pictures(self, image_ids: set[str]) -> dict[str, NDArray[np.uint8]]:
        """Return the pixels of some images."""
        rows = np.flatnonzero(np.isin(self.catalogue.image_ids, sorted(image_ids)))
        return {str(self.catalogue.image_ids[row]): self.pixels.array[row] for row in rows}


def dissect(run: RunFolder, *, progress: Progress) -> Anatomy:
    """Read the hidden layer on every part, and characterise it."""
    catalogue, split = own_images(run), run.split()
    _check(split)
    witness = open_witness(run)
    contract = witness.saved.classifier.recipe.contract
    pixels = build_pixels(
        catalogue,
        size_px=contract.size_px,
        resize=contract.resize,
        progress=named("decoding images", progress),
    )
    rows = {part: positions(split, catalogue.image_ids)[split.rows_of(part)] for part in _PARTS}
    parts = {
        part: _images(catalogue.take(rows[part]), pixels.array, rows[part], witness, progress)
        for part in _PARTS
    }
    chosen = draw_rows(run, catalogue, Chosen(part="test", sample=_N_ASKED))
    layer = describe_layer(
        run=run.path.name,
        study=run.path.parent.name,
        origin=_origin(first_of(witness.saved.classifier).recipe),
        diagnoses=contract.diagnoses,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        decided=_decided(run, parts["test"].image_ids),
        asked=np.flatnonzero(np.isin(rows["test"], chosen)),
    )
    return Anatomy(layer=replace(layer, groups=split.unit), catalogue=catalogue, pixels=pixels)


def _origin(recipe: Recipe) -> str:
    if recipe.hidden:
        return "the head’s last hidden layer"
    beside = " (the covariates that it reads are not among them)" if recipe.covariates else ""
    return f"the head has no hidden layer, so these are the last maps below it, pooled{beside}"


def _check(split: Split) -> None:
    missing = [part for part in _PARTS if not split.has(part)]
    if missing:
        raise ConfigError(
            "Units must be measured on a split with train, validation and test; got one without "
            f"{missing[0]}. Choose a run on a split of three parts."
        )


def _images(
    catalogue: Catalogue,
    array: NDArray[np.uint8],
    rows: NDArray[np.int64],
    witness: Witness,
    progress: Progress,
) -> Images:
    told = told_of_table(witness.saved.classifier.recipe.covariates, catalogue.frame)
    blocks = []
    for start in range(0, len(rows), _BATCH):
        few = np.arange(start, min(start + _BATCH, len(rows)))
        blocks.append(witness.told(told.of(few)).hidden(array[rows[few]]))
        progress("hidden layer", min(start + _BATCH, len(rows)), len(rows))
    return Images(
        image_ids=catalogue.image_ids,
        lesion_ids=catalogue.lesion_ids,
        labels=catalogue.labels,
        activations=np.concatenate(blocks),
    )


def _decided(run: RunFolder, image_ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return what the run decided of test images (N,), in their order."""
    predictions = run.predictions().of("test")
    decided = decide_all(predictions, rule="natural")
    of_image = dict(zip(predictions.image_ids.tolist(), decided.tolist(), strict=True))
    return np.array([of_image[image_id] for image_id in image_ids.tolist()], dtype=np.int64)
