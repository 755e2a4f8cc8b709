"""All that was explained of one classifier: a record an image, and what they say together.

In:  explained images.   Out: records for pages; plain values for JSON.
Knows nothing of files, networks or HTML.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moulage.explanation.examination import Examination, Manner
from moulage.explanation.faithfulness import heat_agreement
from moulage.explanation.shortcuts import Case, Finding, find_shortcuts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explained:
    """One image, as the classifier sees it, and its explanation.

    pixels (H, W, 3) uint8; truth: a code, "" if not known; lesion (H, W) bool or None;
    contributions (h, w): of the last maps to the logit of the explained diagnosis.
    """

    image_id: str
    truth: str
    pixels: NDArray[np.uint8]
    lesion: NDArray[np.bool_] | None
    examination: Examination
    contributions: NDArray[np.float32]

    def __repr__(self) -> str:
        n_doubts = len(self.examination.doubts)
        return f"Explained(image_id={self.image_id!r}, truth={self.truth!r}, n_doubts={n_doubts})"

    @property
    def heat_agreement(self) -> float:
        """How the superpixels' weights rank with the gradient's map."""
        return heat_agreement(self.examination.explanation, self.contributions)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Casebook:
    """Images explained in one manner. source: which images these are, in words."""

    run: str
    study: str
    diagnoses: tuple[str, ...]
    manner: Manner
    source: str
    cases: tuple[Explained, ...]
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        n_images, n_doubted = (
            len(self.cases),
            sum(bool(case.examination.doubts) for case in self.cases),
        )
        return f"Casebook(run={self.run!r}, n_images={n_images}, n_doubted={n_doubted})"

    def findings(self) -> tuple[Finding, ...]:
        """Return what lies beside the lesions and carries weight; of images with a mask."""
        return find_shortcuts(
            Case(image_id=case.image_id, explanation=case.examination.explanation, lesion=lesion)
            for case in self.cases
            if (lesion := case.lesion) is not None
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; what is not defined is None."""
        return {
            "run": self.run,
            "study": self.study,
            "source": self.source,
            "diagnoses": list(self.diagnoses),
            "manner": asdict(self.manner),
            "left_out": list(self.left_out),
            "shortcuts": [self._finding(finding) for finding in self.findings()],
            "images": [_case(case, self.diagnoses) for case in self.cases],
        }

    def _finding(self, finding: Finding) -> dict[str, Any]:
        return {
            "diagnosis": self.diagnoses[finding.diagnosis],
            "n_images": finding.n_images,
            "n_suspect": finding.n_suspect,
            "low": finding.low,
            "is_flagged": finding.is_flagged,
            "suspects": [asdict(suspect) for suspect in finding.suspects],
        }


def _case(case: Explained, diagnoses: tuple[str, ...]) -> dict[str, Any]:
    explanation, examination = case.examination.explanation, case.examination
    scores = {name: _number(value) for name, value in asdict(examination.scores).items()}
    return {
        "image_id": case.image_id,
        "truth": case.truth or None,
        "diagnosis": diagnoses[explanation.diagnosis],
        "probability": explanation.probability,
        "superpixels": list(_superpixels(case)),
        "intercept": explanation.intercept,
        "scores": {**scores, "heat_agreement": _number(case.heat_agreement)},
        "doubts": list(examination.doubts),
        "n_asked": examination.n_asked,
        "deletion": examination.curves.deletion.tolist(),
        "insertion": examination.curves.insertion.tolist(),
        "contributions": case.contributions.tolist(),
    }


def _superpixels(case: Explained) -> Iterator[dict[str, float | None]]:
    explanation, shapley = case.examination.explanation, case.examination.shapley
    for place, weight in enumerate(explanation.weights.tolist()):
        yield {
            "weight": weight,
            "standard_error": float(explanation.standard_errors[place]),
            "shapley": None if shapley is None else float(shapley[place]),
        }


def _number(value: float | bool) -> float | bool | None:
    return None if isinstance(value, float) and math.isnan(value) else value
