"""How familiar images are, kept with a run: `familiarity.safetensors`, `unfamiliarity.csv`.

In:  a classifier, the pixels and rows of its split.   Out: Familiarity, on disk, and back.
Knows nothing of diagnoses. It is fitted on training images alone; images of the calibration part,
else of validation, say what is usual; the test part is only measured.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from moulage.errors import RunError
from moulage.evaluation.unfamiliarity import (
    Familiarity,
    distances,
    fit_familiarity,
    strangeness,
)
from moulage.files import write_bytes, write_text
from moulage.networks.activations import impressions_at
from moulage.networks.classifier import Classifier
from moulage.networks.committee import first_of
from moulage.networks.machine import Machine
from moulage.runs.contents import AGAIN, torn
from moulage.runs.folder import FAMILIARITY, N_MEASURED, UNFAMILIARITY
from moulage.runs.material import Material
from moulage.runs.progress import Progress, named
from moulage.runs.trust import fitting_part
from moulage.seeding import generator
from moulage.split import Part

_MOST: dict[str, int] = {"train": 2000, "known": 1000, "test": N_MEASURED}


def keep_familiarity(
    path: Path,
    classifier: Classifier,
    material: Material,
    *,
    boundaries: Collection[int],
    machine: Machine,
    progress: Progress,
) -> None:
    """Fit on training images, measure the others, write both files; a few thousand at most.

    boundaries: where activations may have been kept, on the way to which impressions are noted.
    """

    def impressions(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return impressions_at(
            classifier,
            rows,
            boundaries=boundaries,
            pixels=material.pixels.array,
            pixels_key=material.pixels.key,
            machine=machine,
            progress=named("impressions", progress),
        )

    part, _ = fitting_part(material.split)
    known = impressions(_chosen(material, part, _MOST["known"]))
    fitted = fit_familiarity(impressions(_chosen(material, "train", _MOST["train"])))
    familiarity = fitted.measured_on(known)
    _write(path, familiarity, digest=classifier.digest())
    rows = _chosen(material, "test", _MOST["test"])
    if rows.size:
        _write_test(path, familiarity, material.catalogue.image_ids[rows], impressions(rows))


def adopt_familiarity(source: Path, target: Path, *, classifier: Classifier) -> None:
    """Give a committee what its first member is familiar with; nothing where that is an old run."""
    familiarity = read_familiarity(source, first_of(classifier).digest())
    if familiarity is None:
        return
    _write(target, familiarity, digest=classifier.digest())
    if (source / UNFAMILIARITY).is_file():
        write_text(target / UNFAMILIARITY, (source / UNFAMILIARITY).read_text())


def read_familiarity(path: Path, digest: str) -> Familiarity | None:
    """Read what a classifier of this digest is familiar with; None for runs older than the file."""
    file = path / FAMILIARITY
    if not file.is_file():
        return None
    try:
        tensors = load_file(file)
        with safe_open(file, framework="numpy") as opened:
            about = json.loads(opened.metadata()["about"])
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise torn(file, error) from error
    if about["classifier"] != digest:
        raise RunError(
            f"`{file}` must belong to the classifier beside it ({digest}); got one of "
            f"{about['classifier']}. {AGAIN}"
        )
    return Familiarity(rest=float(about["rest"]), **tensors)


def strangeness_of(
    notes: Sequence[NDArray[np.float32]], familiarity: Familiarity, classifier: Classifier
) -> NDArray[np.float64]:
    """Judge images by what `noting` kept of each batch's first view, the image as it is."""
    impressions = np.concatenate(notes[:: len(first_of(classifier).recipe.views)])
    return strangeness(familiarity, impressions)


def _write(path: Path, familiarity: Familiarity, *, digest: str) -> None:
    names = ("mean", "axes", "variances", "known")
    tensors = {name: np.ascontiguousarray(getattr(familiarity, name)) for name in names}
    # One word of metadata: the library writes several in an order of its own each time.
    about = json.dumps({"classifier": digest, "rest": familiarity.rest})
    write_bytes(path / FAMILIARITY, save(tensors, metadata={"about": about}))


def _chosen(material: Material, part: Part, most: int) -> NDArray[np.int64]:
    """Return the rows of a part, or as many as are needed, chosen by lot."""
    rows = np.unique(material.of(part))
    if len(rows) <= most:
        return rows
    return np.sort(generator("familiarity", part).choice(rows, most, replace=False))


def _write_test(
    path: Path,
    familiarity: Familiarity,
    image_ids: NDArray[np.str_],
    impressions: NDArray[np.float32],
) -> None:
    table = pd.DataFrame(
        {
            "image_id": image_ids,
            "distance": distances(familiarity, impressions),
            "unfamiliarity": strangeness(familiarity, impressions),
        }
    )
    content = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_text(path / UNFAMILIARITY, content)
