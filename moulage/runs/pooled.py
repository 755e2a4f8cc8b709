"""Cross-validation pooled: each image predicted once, by the classifier that never saw its lesion.

In:  the finished runs of all folds of one split.   Out: predictions with a row an image, metrics.
Knows nothing of training or pages.
Why one prior: each fold puts its own training part's prior into its logits; before they stand in
one table, all are moved to the prior of the whole.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.calibration import fit_temperature
from moulage.evaluation.priors import class_prior, move_prior
from moulage.files import write_json
from moulage.predictions import Predictions, write_predictions
from moulage.runs.folder import METRICS, PREDICTIONS, RunFolder
from moulage.runs.outcome import scores_of
from moulage.runs.study import Cell
from moulage.seal import digest_of
from moulage.split import Part

_TESTED = "Each image was predicted by the fold that tested it. The temperature was fitted on "
_FITTED: dict[Part, str] = {
    "calibration": "all folds' calibration parts, images that other folds tested.",
    "validation": "all folds' validation parts, whose images also chose the epoch and were tested "
    "by other folds.",
}


def keep_pooled(cells: Sequence[Cell], folder: Path) -> tuple[Path, ...]:
    """Pool every experiment, split and seed whose folds are all finished; return the folders."""
    together: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.fold is not None:
            together.setdefault(f"{replace(cell, fold=None).name}-pooled", []).append(cell)
    made = []
    for name, folds in together.items():
        runs = [RunFolder(path=folder / cell.name) for cell in folds]
        if all(run.is_finished for run in runs):
            made.append(_keep(folder / name, runs))
    return tuple(made)


def pool(folds: Sequence[Predictions]) -> Predictions:
    """Return the test rows of all folds, in the order of the images, at the prior of the whole."""
    tests = [fold.of("test") for fold in folds]
    first, labels = folds[0], np.concatenate([test.labels for test in tests])
    part = _fitting_part(folds)
    prior = class_prior(labels, len(first.diagnoses))
    place = {name: row for row, name in enumerate(first.image_ids.tolist())}
    image_ids = np.concatenate([test.image_ids for test in tests])
    pooled = Predictions(
        image_ids=image_ids,
        lesion_ids=np.concatenate([test.lesion_ids for test in tests]),
        parts=np.full(len(labels), "test"),
        labels=labels,
        logits=_logits(folds, "test", prior),
        diagnoses=first.diagnoses,
        prior=prior,
        temperature=fit_temperature(
            labels=np.concatenate([fold.of(part).labels for fold in folds]),
            logits=_logits(folds, part, prior),
        ),
        split_digest=digest_of(sorted(fold.split_digest for fold in folds)),
        classifier_digest=digest_of(sorted(fold.classifier_digest for fold in folds)),
        unit=first.unit,
    )
    return pooled.take(np.argsort([place[name] for name in image_ids.tolist()], kind="stable"))


def _keep(path: Path, runs: Sequence[RunFolder]) -> Path:
    folds = [run.predictions() for run in runs]
    pooled = pool(folds)
    write_predictions(pooled, path / PREDICTIONS)
    content = {
        "folds": [run.path.name for run in runs],
        "temperature": pooled.temperature,
        "note": _TESTED + _FITTED[_fitting_part(folds)],
        "parts": {"test": scores_of(pooled)},
    }
    write_json(path / METRICS, content)
    return path


def _fitting_part(folds: Sequence[Predictions]) -> Part:
    """Return the part that each fold's own temperature was fitted on."""
    has_own = all((fold.parts == "calibration").any() for fold in folds)
    return "calibration" if has_own else "validation"


def _logits(
    folds: Sequence[Predictions], part: Part, prior: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Stack a part's logits; a diagnosis that a fold never trained on keeps that fold's logit."""
    moved = [
        move_prior(
            fold.of(part).logits,
            trained=np.where(fold.prior > 0, fold.prior, prior),
            natural=prior,
        )
        for fold in folds
    ]
    return np.concatenate(moved).astype(np.float32)
