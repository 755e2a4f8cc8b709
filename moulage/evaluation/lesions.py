"""Predictions a lesion instead of an image: the mean logit over a lesion's photographs.

In:  Predictions, a row an image.   Out: Predictions, a row a lesion and part.
Knows nothing of metrics; whatever measures images measures lesions by the same words.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moulage.errors import DataError, examples
from moulage.predictions import Predictions


def by_lesion(predictions: Predictions) -> Predictions:
    """Average logits over the photographs of each lesion; its `image_id` is its lesion's.

    Rows stand in order of first appearance. In a leaky split a lesion has a row a part. Raises
    DataError where photographs of one lesion have different labels.
    """
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


def _lesions(predictions: Predictions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of each lesion and part (L,), and the place of each row (N,)."""
    keys = np.stack([predictions.parts, predictions.lesion_ids], axis=1)
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(first), dtype=np.int64)
    place[order] = np.arange(len(first))
    return first[order].astype(np.int64), place[group.reshape(-1)]
