"""Are stated probabilities right? Of images called 80 % sure, 80 in 100 should be so.

In:  Predictions of one part, a row an image; an rng.   Out: bins with intervals, one number for
all of them (ECE) beside what a perfectly calibrated classifier would show, the Brier score in
parts.
Knows nothing of how the temperature was fitted.
Why an expectation: the ECE of a perfect classifier is above 0, for bins hold finitely many images.
Only what exceeds it is miscalibration.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moulage.arguments import whole_number
from moulage.arrays import rng_of
from moulage.evaluation.intervals import Interval
from moulage.evaluation.means import mean_interval
from moulage.evaluation.undefined import or_null
from moulage.predictions import Predictions

N_BINS = 15
N_DRAWS = 500
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Images of like probability: how probable on average, how often so in truth."""

    probability: float
    share: Interval
    n_images: int
    n_lesions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brier:
    """One diagnosis' Brier score = reliability − resolution + uncertainty + within [murphy1973].

    within: what bins hide, the spread of probabilities inside each.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """ECE in equal-mass bins, equal probabilities in one of them.

    expected and limit: its mean and 95 % quantile if all were right.
    """

    ece: float
    expected: float
    limit: float
    bins: tuple[Bin, ...]

    @property
    def excess(self) -> float:
        """What the ECE has beyond its expectation under perfect calibration."""
        return self.ece - self.expected


def top_label(
    predictions: Predictions, *, rng: np.random.Generator, n_bins: int = N_BINS
) -> Reliability:
    """Hold the largest probability of each image against whether it was right [guo2017, eq. 3]."""
    probabilities = predictions.probabilities()
    top = probabilities.argmax(axis=1)
    drawn = (labels == top for labels in _perfect_labels(predictions, rng))
    return _reliability(
        probabilities=probabilities.max(axis=1, initial=0),
        hits=predictions.labels == top,
        drawn=drawn,
        lesion_ids=predictions.lesion_ids,
        n_bins=n_bins,
    )


def per_diagnosis(predictions: Predictions, *, rng: np.random.Generator) -> dict[str, Reliability]:
    """Hold each diagnosis' probability against whether the image has it."""
    probabilities = predictions.probabilities()
    draws = list(_perfect_labels(predictions, rng))
    return {
        code: _reliability(
            probabilities=probabilities[:, k],
            hits=predictions.labels == k,
            drawn=(labels == k for labels in draws),
            lesion_ids=predictions.lesion_ids,
            n_bins=N_BINS,
        )
        for k, code in enumerate(predictions.diagnoses)
    }


def brier_parts(predictions: Predictions) -> dict[str, Brier]:
    """Cut each diagnosis' Brier score into parts; the scores sum to the one of `losses`."""
    probabilities = predictions.probabilities()
    return {
        code: _brier(probabilities[:, k], predictions.labels == k)
        for k, code in enumerate(predictions.diagnoses)
    }


def as_json(found: Reliability) -> dict[str, object]:
    """Return plain numbers; what is not defined is null."""
    bins = [
        {
            "probability": or_null(one.probability),
            "share": or_null(one.share.value),
            "interval": [or_null(one.share.low), or_null(one.share.high)],
            "n_images": one.n_images,
            "n_lesions": one.n_lesions,
        }
        for one in found.bins
    ]
    numbers = {name: or_null(getattr(found, name)) for name in ("ece", "expected", "limit")}
    return {**numbers, "excess": or_null(found.excess), "bins": bins}


def brier_as_json(parts: Brier) -> dict[str, float | None]:
    """Return plain numbers; what is not defined is null."""
    return {name: or_null(value) for name, value in asdict(parts).items()}


def _reliability(
    *,
    probabilities: NDArray[np.float64],
    hits: NDArray[np.bool_],
    drawn: Iterator[NDArray[np.bool_]],
    lesion_ids: NDArray[np.str_],
    n_bins: int,
) -> Reliability:
    members = _bins(probabilities, n_bins)
    if not members:
        return Reliability(ece=np.nan, expected=np.nan, limit=np.nan, bins=())
    order, starts = np.concatenate(members), np.cumsum([0, *map(len, members[:-1])])

    def ece(hits: NDArray[np.bool_]) -> float:
        """Return the mean gap between probability and share, a bin's weight its images."""
        surplus = np.add.reduceat((hits - probabilities)[order], starts)
        return float(np.abs(surplus).sum() / len(order))

    perfect = [ece(one) for one in drawn]
    return Reliability(
        ece=ece(hits),
        expected=float(np.mean(perfect)),
        limit=float(np.quantile(perfect, 0.95)),
        bins=tuple(
            Bin(
                probability=float(probabilities[rows].mean()),
                share=mean_interval(hits[rows], lesion_ids=lesion_ids[rows]),
                n_images=len(rows),
                n_lesions=len(np.unique(lesion_ids[rows])),
            )
            for rows in members
        ),
    )


def _bins(probabilities: NDArray[np.float64], n_bins: int) -> list[NDArray[np.int64]]:
    """Return the rows of each bin, as equal in number as can be, no bin empty.

    Equal probabilities share a bin, else their bins would differ by the order of the rows: a cut
    among them moves to their nearer end.
    """
    whole_number(n_bins, "n_bins", least=1)
    order = np.argsort(probabilities, kind="stable")
    rising = probabilities[order]
    cuts = np.cumsum([len(rows) for rows in np.array_split(order, n_bins)])[:-1]
    cuts = cuts[cuts < len(order)]
    starts, ends = (np.searchsorted(rising, rising[cuts], side=side) for side in _SIDES)
    moved = np.where(cuts - starts <= ends - cuts, starts, ends)
    return [rows for rows in np.split(order, moved) if len(rows)]


def _perfect_labels(
    predictions: Predictions, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Draw labels from the stated probabilities; photographs of one lesion share their luck.

    Where a group has several diagnoses it is no lesion but a patient, and each image has its own.
    """
    rng = rng_of(rng)
    cumulative = predictions.probabilities().cumsum(axis=1)[:, :-1]
    names, of_image = np.unique(predictions.lesion_ids, return_inverse=True)
    if len(set(zip(of_image.tolist(), predictions.labels.tolist(), strict=True))) > len(names):
        names, of_image = predictions.image_ids, np.arange(len(predictions))
    for _ in range(N_DRAWS):
        luck = rng.random(len(names))[of_image]
        yield np.asarray((luck[:, None] > cumulative).sum(axis=1), dtype=np.int64)


def _brier(probabilities: NDArray[np.float64], hits: NDArray[np.bool_]) -> Brier:
    members = _bins(probabilities, N_BINS)
    if not members:
        return Brier(**dict.fromkeys(Brier.__dataclass_fields__, np.nan))
    mass = np.array([len(rows) for rows in members]) / len(hits)
    stated = np.array([probabilities[rows].mean() for rows in members])
    seen = np.array([hits[rows].mean() for rows in members])
    base = float(hits.mean())
    score = float(((probabilities - hits) ** 2).mean())
    reliability = float(mass @ (stated - seen) ** 2)
    resolution = float(mass @ (seen - base) ** 2)
    uncertainty = base * (1 - base)
    return Brier(
        score=score,
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within=score - (reliability - resolution + uncertainty),
    )
