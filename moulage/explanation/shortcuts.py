"""Find what a classifier looks at that is not the lesion.

In:  explanations of a test set, with the lesion's mask of each image.
Out: a Finding a diagnosis: how often a superpixel outside the lesion carries weight, worst first.
Knows nothing of what lies there: a ruler, hair, ink. The images show it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.intervals import binomial_bounds
from moulage.explanation.faithfulness import inside_shares
from moulage.explanation.lime import Explanation

# A superpixel is outside if at most this share of it is lesion, …
MOST_INSIDE = 0.1
# … carries weight if it is among the highest, certainly above 0, adds as much to the
# probability, and has this share of all positive weight; …
N_TOP = 2
LEAST_WEIGHT = 0.02
LEAST_SHARE = 0.25
# … and a diagnosis is flagged if this happens in more than this share of its images.
TOLERATED = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One explained image, and where its lesion is (H, W)."""

    image_id: str
    explanation: Explanation
    lesion: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A superpixel outside the lesion that carries weight; share: of all positive weight."""

    image_id: str
    superpixel: int
    weight: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found for one explained diagnosis.

    n_suspect of n_images have a suspect. low: the least share, of images drawn as these were and
    explained alike, that these are compatible with, one-sided at 95 % [clopper1934]. suspects:
    heaviest first.
    """

    diagnosis: int
    n_images: int
    n_suspect: int
    low: float
    suspects: tuple[Suspect, ...]

    @property
    def share(self) -> float:
        """Share of images with a suspect."""
        return self.n_suspect / self.n_images

    @property
    def is_flagged(self) -> bool:
        """Whether suspects are certainly more frequent than tolerated."""
        return self.low > TOLERATED


def find_shortcuts(cases: Iterable[Case]) -> tuple[Finding, ...]:
    """Return a finding for each diagnosis that was explained, in their order.

    cases: one photograph a lesion, since each counts as evidence of its own.
    """
    by_diagnosis: dict[int, list[Case]] = {}
    for case in cases:
        by_diagnosis.setdefault(case.explanation.diagnosis, []).append(case)
    return tuple(_finding(key, by_diagnosis[key]) for key in sorted(by_diagnosis))


def suspects_of(case: Case) -> Iterator[Suspect]:
    """Yield the superpixels of one image that lie outside the lesion and carry weight."""
    explanation = case.explanation
    inside = inside_shares(explanation.segments, case.lesion)
    total = np.maximum(explanation.weights, 0).sum()
    for place in explanation.top(N_TOP).tolist():
        weight, low = float(explanation.weights[place]), explanation.intervals[place, 0]
        is_heavy = low > 0 and weight >= max(LEAST_WEIGHT, LEAST_SHARE * total)
        if is_heavy and inside[place] <= MOST_INSIDE:
            yield Suspect(
                image_id=case.image_id,
                superpixel=place,
                weight=weight,
                share=float(weight / total),
            )


def _finding(diagnosis: int, cases: list[Case]) -> Finding:
    suspects = [suspect for case in cases for suspect in suspects_of(case)]
    n_suspect = len({suspect.image_id for suspect in suspects})
    low, _ = binomial_bounds(n_suspect / len(cases), len(cases), level=0.90)  # each side at 95 %
    return Finding(
        diagnosis=diagnosis,
        n_images=len(cases),
        n_suspect=n_suspect,
        low=low,
        suspects=tuple(sorted(suspects, key=lambda suspect: (-suspect.weight, suspect.image_id))),
    )
