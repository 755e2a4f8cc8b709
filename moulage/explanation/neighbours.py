"""Cases like this one: the training lesions that a hidden layer finds nearest to an image.

In:  activations and lesion ids of images asked about, and of the images to choose from.
Out: rows of the latter, nearest first, each of another lesion.
Knows nothing of diagnoses. A photograph of the same lesion is never an answer: it proves nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ShapeError
from moulage.explanation.maps import standardised

_BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbours:
    """rows (Q, E) of the nearest images, one a lesion, and distances (Q, E); -1 and NaN if none."""

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def nearest_lesions(
    activations: NDArray[np.floating],
    *,
    lesion_ids: NDArray[np.str_],
    among: NDArray[np.floating],
    among_lesion_ids: NDArray[np.str_],
    n_nearest: int = 6,
) -> Neighbours:
    """Return, for each image (Q, D), the nearest lesions among (N, D), each by its nearest image.

    Distances are Euclidean over units standardised on `among`; equal ones go by row.
    """
    _check(activations, lesion_ids)
    _check(among, among_lesion_ids)
    if activations.shape[1] != among.shape[1]:
        raise ShapeError(
            f"Both activations must have one width D; got {activations.shape[1]} and "
            f"{among.shape[1]}. Take them from one layer of one classifier."
        )
    asked = standardised(activations, reference=among)
    known = standardised(among)
    lesions = np.unique(np.concatenate([lesion_ids, among_lesion_ids]), return_inverse=True)[1]
    own, others = np.split(lesions.reshape(-1), [len(asked)])
    rows = np.full((len(asked), n_nearest), -1, dtype=np.int64)
    distances = np.full((len(asked), n_nearest), np.nan)
    for start in range(0, len(asked), _BLOCK):
        for offset, away in enumerate(_distances(asked[start : start + _BLOCK], known)):
            query = start + offset
            away[others == own[query]] = np.inf
            found = _one_a_lesion(away, others, n_nearest)
            rows[query, : len(found)], distances[query, : len(found)] = found, away[found]
    return Neighbours(rows=rows, distances=distances)


def _distances(asked: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(asked, known), dtype=np.float64)


def _one_a_lesion(
    away: NDArray[np.float64], lesions: NDArray[np.int64], n_nearest: int
) -> NDArray[np.int64]:
    order = np.argsort(away, kind="stable")[: int(np.isfinite(away).sum())]
    first = np.sort(np.unique(lesions[order], return_index=True)[1])
    return np.asarray(order[first[:n_nearest]], dtype=np.int64)


def _check(activations: NDArray[np.floating], lesion_ids: NDArray[np.str_]) -> None:
    if activations.ndim != 2 or len(activations) != len(lesion_ids):
        raise ShapeError(
            f"`activations` must have shape (N, D) with N = {len(lesion_ids)} lesion ids; got "
            f"{activations.shape}. Pass a row an image."
        )
