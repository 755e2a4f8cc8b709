"""Labels that look wrong: confident learning on probabilities that never saw the lesion.

In:  pooled activations (N, D), labels (N,) int64 in [0, K), lesion ids and folds (N,).
Out: suspicious lesions, the most suspicious first, with the diagnosis they look like.
Knows nothing of networks: activations come as an array.
Why: a lesion is held against what its own diagnosis is usually believed with, not against one
half: a rare diagnosis is believed less [northcutt2021, sec. 3.1].
"""

import shlex
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.evaluation.decisions import softmax

Features = NDArray[np.float32]
Probabilities = NDArray[np.float64]

FEWEST = 10
"""Lesions that a diagnosis must have to be judged, or to be suggested."""
ODDS = 10.0
"""How many times as believed as the label a suggestion must be."""
_DIMENSIONS = 128
_STRENGTH = 0.05  # scikit-learn's C, on components of deviation 1
_MAX_ITERATIONS = 200
_ENOUGH = 0.9
_LEAST = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A lesion, or an image, that looks like another diagnosis; rows are its images."""

    lesion_id: str
    rows: tuple[int, ...]
    given: str
    suggested: str
    given_probability: float
    suggested_probability: float

    @property
    def odds(self) -> float:
        """How many times as believed as the label the suggestion is."""
        return self.suggested_probability / max(self.given_probability, _LEAST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The suspects among n_lesions, what judged them, and how good that was.

    accuracy: of the out-of-fold decisions on lesions, natural rule. unit: what was judged, if not
    lesions; n_lesions counts it.
    """

    suspects: tuple[Suspect, ...]
    n_lesions: int
    accuracy: float
    judge: str
    unit: Literal["lesion", "image"] = "lesion"


def out_of_fold(
    features: Features,
    *,
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    n_classes: int,
    progress: Callable[[int, int], None] | None = None,
) -> Probabilities:
    """Return probabilities (N, K), each row's from a regression on the other folds.

    Principal components of unit deviation, fitted on the other folds too.
    """
    probabilities = np.full((len(labels), n_classes), _LEAST)
    n_folds = int(folds.max()) + 1
    for fold in range(n_folds):
        tested = folds == fold
        probabilities[tested] = _predicted(
            features[~tested], labels[~tested], features[tested], n_classes
        )
        if progress:
            progress(fold + 1, n_folds)
    return probabilities


def review_labels(
    probabilities: Probabilities,
    *,
    labels: NDArray[np.int64],
    lesion_ids: NDArray[np.str_],
    diagnoses: tuple[str, ...],
    judge: str,
    image_ids: NDArray[np.str_] | None = None,
) -> Review:
    """Find lesions counted under another diagnosis, at least ten times as believed as their own.

    Photographs of one lesion are averaged first, those of one diagnosis where a lesion has
    several. A lesion counts under the likeliest of the diagnoses whose probability reaches that
    diagnosis' own mean [northcutt2021, eq. 1], or 0.9. image_ids: given where ids may be those of
    several lesions each, as a patient's: then each image is judged by itself.
    """
    judged = lesion_ids if image_ids is None else image_ids
    ids, id_of = np.unique(judged, return_inverse=True)
    lesions, lesion_of = np.unique(id_of * len(diagnoses) + labels, return_inverse=True)
    given = lesions % len(diagnoses)
    believed = _by_lesion(probabilities, lesion_of, len(lesions))
    counted = confident_counts(believed, labels=given)
    places = np.arange(len(lesions))
    odds = believed[places, counted] / np.maximum(believed[places, given], _LEAST)
    found = np.flatnonzero((counted >= 0) & (counted != given) & (odds >= ODDS))
    suspects = [
        Suspect(
            lesion_id=str(ids[lesions[place] // len(diagnoses)]),
            rows=tuple(np.flatnonzero(lesion_of == place).tolist()),
            given=diagnoses[int(given[place])],
            suggested=diagnoses[int(counted[place])],
            given_probability=float(believed[place, given[place]]),
            suggested_probability=float(believed[place, counted[place]]),
        )
        for place in found.tolist()
    ]
    return Review(
        suspects=tuple(sorted(suspects, key=lambda one: (-one.odds, one.lesion_id))),
        n_lesions=len(lesions),
        accuracy=float((believed.argmax(axis=1) == given).mean()),
        judge=judge,
        unit="lesion" if image_ids is None else "image",
    )


def suspects_table(review: Review | None, image_ids: Sequence[str]) -> pd.DataFrame:
    """Return the table of `suspect_labels.csv`, the most suspicious first.

    image_ids: of the rows that suspects have; `images` has those of one, apart by spaces. Without a
    review there are no rows.
    """
    found = review.suspects if review else ()
    columns = {
        "suspect": [one.lesion_id for one in found],
        "given": [one.given for one in found],
        "suggested": [one.suggested for one in found],
        "given_probability": [one.given_probability for one in found],
        "suggested_probability": [one.suggested_probability for one in found],
        "odds": [one.odds for one in found],
        "images": [shlex.join(image_ids[row] for row in one.rows) for one in found],
    }
    digits = {"given_probability": 4, "suggested_probability": 4, "odds": 1}
    return pd.DataFrame(columns).round(digits)


def confident_counts(believed: Probabilities, *, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the diagnosis each row counts under `(N,)`, -1 for none.

    Rows of diagnoses with fewer than ten rows count under none, and none counts under these.
    """
    n_classes = believed.shape[1]
    sizes = np.bincount(labels, minlength=n_classes)
    thresholds = np.full(n_classes, np.inf)
    for k in np.flatnonzero(sizes >= FEWEST):
        # Where nearly all are believed entirely, a wrong label is still believed a little less.
        thresholds[k] = min(believed[labels == k, k].mean(), _ENOUGH)
    reached = np.where(believed >= thresholds, believed, -1.0)
    counted = reached.argmax(axis=1)
    is_counted = (reached.max(axis=1) >= 0) & (sizes[labels] >= FEWEST)
    return np.where(is_counted, counted, -1).astype(np.int64)


def _predicted(
    features: Features, labels: NDArray[np.int64], tested: Features, n_classes: int
) -> Probabilities:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    present = np.unique(labels)
    found = np.full((len(tested), n_classes), _LEAST)
    if len(present) < 2:
        found[:, present] = 1.0
        return found
    mean, axes = _components(features)
    model = LogisticRegression(C=_STRENGTH, max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # cut short is penalised a little more
        model.fit((features - mean) @ axes, labels)
    found[:, model.classes_] = model.predict_proba((tested - mean) @ axes)
    return found


def _components(features: Features) -> tuple[Features, Features]:
    """Return the mean (D,) and axes (D, d) on which features have deviation 1."""
    mean = features.mean(axis=0)
    centred = features - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / max(1, len(features) - 1))
    kept = np.argsort(values)[::-1][:_DIMENSIONS]
    kept = kept[values[kept] > 1e-6 * max(float(values.max()), 1e-12)]
    return mean, (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32)


def _by_lesion(
    probabilities: Probabilities, lesion_of: NDArray[np.int64], n_lesions: int
) -> Probabilities:
    """Return the mean of each lesion's photographs, as log probabilities average them."""
    logs = np.zeros((n_lesions, probabilities.shape[1]))
    np.add.at(logs, lesion_of, np.log(np.maximum(probabilities, _LEAST)))
    logs /= np.bincount(lesion_of, minlength=n_lesions)[:, None]
    return softmax(logs)
