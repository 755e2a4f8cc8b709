"""The worst mistakes: wrong decisions that the classifier is surest of, with their pictures.

In:  predictions of one part, thumbnails.   Out: records, and JPEG as a data URI.
Knows nothing of where images lie: whoever fills the record asks `worst_mistakes` which
thumbnails the page will show.
"""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.metrics import decide_all
from moulage.predictions import Predictions

MOST = 10
_JPEG_QUALITY = 82


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One wrong decision; truth and prediction are codes, probability in [0, 1]."""

    image_id: str
    lesion_id: str
    truth: str
    prediction: str
    probability: float
    truth_probability: float


def worst_mistakes(predictions: Predictions, most: int = MOST) -> tuple[Mistake, ...]:
    """Return the wrong decisions of the natural rule in the test part, surest first.

    Ties go by image_id.
    """
    tested = predictions.of("test")
    decided = decide_all(tested, rule="natural")
    probabilities = tested.probabilities()
    wrong = np.flatnonzero(decided != tested.labels)
    sure = probabilities[wrong, decided[wrong]]
    order = np.lexsort((tested.image_ids[wrong], -sure))[:most]
    return tuple(_mistake(tested, int(row), int(decided[row])) for row in wrong[order])


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """Return pixels `(h, w, 3) uint8, RGB` as a JPEG that an `<img>` holds inside itself."""
    quality = [int(cv2.IMWRITE_JPEG_QUALITY), _JPEG_QUALITY]
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), quality)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"


def _mistake(predictions: Predictions, row: int, decided: int) -> Mistake:
    label = int(predictions.labels[row])
    probabilities = predictions.take(np.array([row])).probabilities()[0]
    return Mistake(
        image_id=str(predictions.image_ids[row]),
        lesion_id=str(predictions.lesion_ids[row]),
        truth=predictions.diagnoses[label],
        prediction=predictions.diagnoses[decided],
        probability=float(probabilities[decided]),
        truth_probability=float(probabilities[label]),
    )
