"""Characterise the hidden units of a head: which diagnosis each one separates, and which are idle.

In:  activations (N, D) of a hidden layer, labels (N,), lesion ids (N,) of one part.
Out: frozen records of arrays over units and diagnoses.
Knows nothing of networks. Photographs of one lesion count together in every interval.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ShapeError
from moulage.evaluation.means import area_interval

N_EXCITING = 9
# Units that move together this closely say the same thing.
DUPLICATE = 0.98


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """What each unit tells of each diagnosis.

    areas, low, high (D, K): AUROC of the unit's activation for the diagnosis, and its 95 %
    bounds over lesions; NaN where not defined, bounds also where the area is 0 or 1, or where a
    single lesion has the diagnosis, or has not.
    exciting (D, E): rows of the images that excite each unit most. is_dead (D,): the same
    activation for every image. duplicates: groups of units that move together.
    """

    areas: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    exciting: NDArray[np.int64]
    is_dead: NDArray[np.bool_]
    duplicates: tuple[tuple[int, ...], ...]


def characterise(
    activations: NDArray[np.floating],
    *,
    labels: NDArray[np.int64],
    lesion_ids: NDArray[np.str_],
    n_classes: int,
    n_exciting: int = N_EXCITING,
) -> Units:
    """Measure every unit against every diagnosis, on images that did not train it.

    An area below a half says that the unit falls silent for the diagnosis. Equal activations
    are ties; among the exciting images they stand in the images' order.
    """
    _check(activations, labels, lesion_ids)
    n_units = activations.shape[1]
    found = np.full((3, n_units, n_classes), np.nan)
    lesions = np.unique(lesion_ids, return_inverse=True)[1].reshape(-1)
    for diagnosis in np.unique(labels).tolist():
        positives = labels == diagnosis
        for unit in range(n_units):
            area, _ = area_interval(positives, activations[:, unit], lesion_ids=lesions)
            found[:, unit, diagnosis] = area.value, area.low, area.high
    return Units(
        areas=found[0],
        low=found[1],
        high=found[2],
        exciting=np.argsort(-activations, axis=0, kind="stable")[:n_exciting].T,
        is_dead=np.ptp(activations, axis=0) == 0,
        duplicates=duplicates_of(activations),
    )


def duplicates_of(activations: NDArray[np.floating]) -> tuple[tuple[int, ...], ...]:
    """Return groups of units whose activations correlate by 0.98 or more, chains included.

    A unit that mirrors another (correlation near -1) repeats it too. Dead units are in no group.
    """
    from scipy.sparse.csgraph import connected_components

    alive = np.flatnonzero(np.ptp(activations, axis=0) > 0)
    centred = activations[:, alive].astype(np.float64)
    centred -= centred.mean(axis=0)
    centred /= np.sqrt((centred**2).sum(axis=0))
    alike = np.abs(centred.T @ centred) >= DUPLICATE
    n_groups, group = connected_components(alike, directed=False)
    groups = [alive[group == number] for number in range(n_groups)]
    return tuple(tuple(units.tolist()) for units in groups if len(units) > 1)


def _check(
    activations: NDArray[np.floating], labels: NDArray[np.int64], lesion_ids: NDArray[np.str_]
) -> None:
    n_images = len(labels)
    if activations.ndim != 2 or not len(activations) == n_images == len(lesion_ids) > 0:
        raise ShapeError(
            f"`activations` must have shape (N, D) with N = {n_images} labels and lesions; got "
            f"{activations.shape} and {len(lesion_ids)} lesions. Pass a row an image."
        )
    if not np.isfinite(activations).all():
        raise ShapeError(
            "`activations` must be finite; got NaN or infinity in "
            f"{int((~np.isfinite(activations)).any(axis=0).sum())} units. Look for a training "
            "that diverged."
        )
