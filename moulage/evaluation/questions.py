"""A yes-or-no question of a test part, as a clinic asks it: is it melanoma, is it malignant?

In:  predictions on which thresholds are chosen, others to which they are applied, diagnoses.
Out: AUROC, sensitivity at 90 and 95 % specificity and the reverse, each with its interval.
Knows nothing of parts; hand in predictions a lesion (`lesions.by_lesion`) to ask it of lesions.
Why: a threshold chosen on the images that it is measured on flatters itself.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.intervals import LEVEL, Interval, student_interval
from moulage.evaluation.ranking import auroc
from moulage.evaluation.resampling import Lesions, Weights, draw_share
from moulage.evaluation.scales import SHARE
from moulage.evaluation.thresholds import OperatingPoint, is_any_of, operating_points, score_of
from moulage.predictions import Predictions

_MELANOMA = ("mel", "melanoma")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one threshold achieves: the share asked for, and what it costs on the other side.

    share: sensitivity where the threshold keeps a specificity, else specificity. other: what
    became of the side that the threshold was to keep, on the images it is applied to.
    """

    threshold: float
    share: Interval
    other: float
    n_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of one part; answers by name: `sensitivity_at_specificity_90` …"""

    auroc: float
    n_positives: int
    n_negatives: int
    answers: Mapping[str, Answer]


def melanoma_in(codes: Iterable[str]) -> str | None:
    """Return the code that means melanoma, `mel` or `melanoma` in any case, if there is one.

    >>> melanoma_in(["NV", "MEL"]), melanoma_in(["nv", "bcc"])
    ('MEL', None)
    """
    return next((code for code in codes if code.lower() in _MELANOMA), None)


def ask(
    *,
    chosen_on: Predictions,
    applied_to: Predictions,
    codes: Collection[str],
    weights: Weights,
    level: float = LEVEL,
) -> Question:
    """Ask "is it one of these?" of a part that has images.

    weights: how often each replicate draws each lesion of `applied_to`, see `draw_lesions`.
    """
    positives, scores = is_any_of(applied_to, codes), score_of(applied_to, codes)
    lesions = Lesions.of((applied_to,))
    points = operating_points(chosen_on=chosen_on, applied_to=applied_to, codes=codes)

    def share_of(hits: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Interval:
        drawn = draw_share(
            hits=hits, counted=counted, of_image=lesions.of_images[0], weights=weights
        )
        return student_interval(drawn, "share", bounds=SHARE, level=level)

    def answer(name: str, point: OperatingPoint) -> Answer:
        called = scores >= point.threshold
        if np.isnan(point.threshold):
            counted, other = np.zeros_like(positives), float("nan")
        elif name.startswith("sensitivity"):
            counted, other = positives, point.specificity
        else:
            counted, called, other = ~positives, ~called, point.sensitivity
        return Answer(
            threshold=point.threshold,
            share=share_of(called, counted),
            other=other,
            n_images=int(counted.sum()),
        )

    return Question(
        auroc=auroc(positives=positives, scores=scores),
        n_positives=int(positives.sum()),
        n_negatives=int((~positives).sum()),
        answers={name: answer(name, point) for name, point in points.items()},
    )
