"""Labels judged by activations: which backbone looks, on what pixels, in which folds.

In:  a catalogue and its pixels.   Out: `survey.labels.Review`, or why there is none.
Knows nothing of pages.
Why: ImageNet weights find more wrong labels than the starter's, but a survey must not download.
"""

import numpy as np

from moulage.catalogue import Catalogue
from moulage.data.pixels import Pixels
from moulage.networks.activations import activations_at
from moulage.networks.machine import resolve_machine
from moulage.networks.registry import backbone_named
from moulage.networks.weights import local_weights
from moulage.runs.features import open_source
from moulage.runs.progress import Progress, named
from moulage.surveying.associations import first_of_each
from moulage.surveying.labels import FEWEST, Review, out_of_fold, review_labels
from moulage.surveying.telltales import grouped_folds

BACKBONE = "mobilenetv2_100"
_IN_WORDS = {BACKBONE: "MobileNetV2 with ImageNet weights", "starter": "the starter backbone"}


def review_catalogue(
    read: Catalogue, pixels: Pixels, *, judge: str | None = None, progress: Progress
) -> tuple[Review | None, str]:
    """Judge labels, a row of pixels each, or say why that cannot be done.

    judge: "starter" or a backbone; without it MobileNetV2 where its ImageNet weights lie on this
    machine, else the starter.
    """
    sizes = np.bincount(read.labels[first_of_each(read.lesion_ids)], minlength=len(read.codes))
    if (sizes >= FEWEST).sum() < 2:
        return None, f"fewer than two diagnoses have {FEWEST} {read.unit}s"
    has_imagenet = local_weights(backbone_named(BACKBONE)) is not None
    judge = judge or (BACKBONE if has_imagenet else "starter")
    classifier = open_source(judge, read, weights=None, size_px=pixels.array.shape[1])
    machine = resolve_machine()
    activations = activations_at(
        classifier.to(machine.device),
        classifier.boundary("head"),
        pixels=pixels.array,
        pixels_key=pixels.key,
        machine=machine,
        progress=named("activations", progress),
    )
    found = out_of_fold(
        activations.pooled(),
        labels=read.labels,
        folds=grouped_folds(lesion_ids=read.lesion_ids, labels=read.labels),
        n_classes=len(read.codes),
        progress=named("judging labels", progress),
    )
    review = review_labels(
        found,
        labels=read.labels,
        lesion_ids=read.lesion_ids,
        diagnoses=read.codes,
        judge=_IN_WORDS.get(judge, judge),
        image_ids=None if read.unit == "lesion" else read.image_ids,
    )
    return review, ""
