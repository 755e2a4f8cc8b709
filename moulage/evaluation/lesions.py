"""Predictions a lesion instead of an image: the mean logit over a lesion's photographs.

In:  Predictions, a row an image.   Out: Predictions, a row a lesion and part.
Knows nothing of metrics; whatever measures images measures lesions by the same words.
Why not of groups: the mean over a patient's several lesions is the score of nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moulage.errors import DataError, examples
from moulage.predictions import Predictions
from moulage.split import UNITS, Unit

WHY_NONE = (
    "Images are kept together by what the data set calls a group, such as a patient, which may "
    "hold several lesions: nothing is said of single lesions."
)
_COUNTS = {f"{head}_{unit}s": head for head in ("n", "over") for unit in UNITS}


def by_lesion(predictions: Predictions) -> Predictions:
    """Average logits over the photographs of each lesion; its `image_id` is its lesion's.

    Rows stand in order of first appearance. In a leaky split a lesion has a row a part. Raises
    DataError where photographs of one lesion have different labels, or ids are groups'.
    """
    if predictions.unit != "lesion":
        raise DataError(
            f"Ids must be lesions' to measure by lesion; got those of {predictions.unit}s, which "
            "may hold several. Measure by image instead."
        )
    first, group = _lesions(predictions)
    differs = predictions.labels != predictions.labels[first][group]
    if differs.any():
        odd = np.unique(predictions.lesion_ids[differs])
        raise DataError(
            f"A lesion must have one diagnosis to be measured as one; got {len(odd)} with more "
            f"({examples(odd)}). Measure by image instead."
        )
    sums = np.zeros((len(first), len(predictions.diagnoses)))
    np.add.at(sums, group, predictions.logits.astype(np.float64))
    n_photographs = np.bincount(group, minlength=len(first))
    return replace(
        predictions.take(first),
        image_ids=predictions.lesion_ids[first],
        logits=(sums / n_photographs[:, None]).astype(np.float32),
    )


def counted_as(content: Any, unit: Unit) -> Any:
    """Call counts in plain values after what they count; as lesions, they are as before.

    >>> counted_as({"n_images": 3, "n_lesions": 2}, "group")
    {'n_images': 3, 'n_groups': 2}
    """
    if isinstance(content, Mapping):
        called = {name: f"{head}_{unit}s" for name, head in _COUNTS.items()}
        return {called.get(key, key): counted_as(value, unit) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [counted_as(value, unit) for value in content]
    return content


def _lesions(predictions: Predictions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of each lesion and part (L,), and the place of each row (N,)."""
    keys = np.stack([predictions.parts, predictions.lesion_ids], axis=1)
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(first), dtype=np.int64)
    place[order] = np.arange(len(first))
    return first[order].astype(np.int64), place[group.reshape(-1)]
