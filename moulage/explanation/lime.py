"""Explain one image: a weight for each superpixel, by a linear model of the classifier near it.

In:  classify, pixels (H, W, 3) uint8, segments (H, W).   Out: an Explanation.
Three ways to the same surrogate [ribeiro2016]: `sampled`, the published one, masks by coin and a
ridge; `exact`, all masks, no ridge; `designed`, a few chosen masks and what they tell of the rest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError
from moulage.explanation.answers import BATCH, Answers, Classify, ask
from moulage.explanation.designs import designed_masks
from moulage.explanation.fills import Fill, check_segments, cover
from moulage.explanation.interpolation import surrogate_from_few
from moulage.explanation.masks import all_masks, proximities, random_masks
from moulage.explanation.surrogate import Surrogate, fit_surrogate, standard_errors

Method = Literal["sampled", "exact", "designed"]
METHODS: tuple[Method, ...] = ("sampled", "exact", "designed")

RIDGE = 1.0
_Z95 = 1.959963984540054
_N_EVALUATIONS = {"sampled": 1000, "designed": 128}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Why a classifier gives an image the probability of one diagnosis.

    weights (S,): what keeping each superpixel adds to the probability. standard_errors (S,): 0
    where all masks were asked. score: the surrogate's weighted R²; NaN, and every weight 0, where
    no answer differs. foretold: the same of each answer by all others; the score where all masks
    were asked, and none is left to foretell. probability: of the image as it is. answers: what was
    asked, all diagnoses.
    """

    weights: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    intercept: float
    score: float
    foretold: float
    method: Method
    segments: NDArray[np.int64]
    diagnosis: int
    probability: float
    answers: Answers

    @property
    def n_evaluations(self) -> int:
        """How often the classifier was asked."""
        return len(self.answers.masks)

    @property
    def intervals(self) -> NDArray[np.float64]:
        """95 % intervals of the weights, (S, 2)."""
        reach = _Z95 * self.standard_errors
        return np.stack([self.weights - reach, self.weights + reach], axis=1)

    def top(self, n_superpixels: int) -> NDArray[np.int64]:
        """Return the superpixels of highest weight, highest first; equal weights by number."""
        return np.argsort(-self.weights, kind="stable")[:n_superpixels]


def explain(
    classify: Classify,
    pixels: NDArray[np.uint8],
    segments: NDArray[np.int64],
    *,
    diagnosis: int | None = None,
    method: Method = "designed",
    n_evaluations: int | None = None,
    fill: Fill = "mean",
    colour: Sequence[float] | None = None,
    rng: np.random.Generator | None = None,
    batch: int = BATCH,
) -> Explanation:
    """Explain the probability of a diagnosis, or of the most probable one.

    n_evaluations: 1000 for `sampled`, 128 for `designed`, 2^S for `exact`. rng: draws the masks
    of `sampled`; for `designed`, where it may be left out, it shuffles the superpixels.
    """
    n_segments = check_segments(pixels, segments)
    masks = masks_of(method, n_segments, n_evaluations=n_evaluations, rng=rng)
    covered = cover(pixels, segments, fill=fill, colour=colour)
    answers = ask(classify, pixels, covered=covered, segments=segments, masks=masks, batch=batch)
    return explain_answers(answers, segments, diagnosis=diagnosis, method=method)


def explain_answers(
    answers: Answers,
    segments: NDArray[np.int64],
    *,
    diagnosis: int | None = None,
    method: Method,
) -> Explanation:
    """Explain a diagnosis by answers at hand: one asking serves every diagnosis."""
    whole = int(answers.masks.all(axis=1).argmax())
    if diagnosis is None:
        diagnosis = int(answers.probabilities[whole].argmax())
    values = answers.of(diagnosis)
    surrogate, errors = _fit(answers, diagnosis, method)
    is_constant = math.isnan(surrogate.score)
    return Explanation(
        weights=np.zeros_like(errors) if is_constant else surrogate.weights,  # not rounding's
        standard_errors=errors,
        intercept=surrogate.intercept,
        score=surrogate.score,
        foretold=surrogate.foretold,
        method=method,
        segments=segments,
        diagnosis=diagnosis,
        probability=float(values[whole]),
        answers=answers,
    )


def masks_of(
    method: Method,
    n_segments: int,
    *,
    n_evaluations: int | None = None,
    rng: np.random.Generator | None = None,
) -> NDArray[np.bool_]:
    """Return the masks (P, S) that a method asks about; see `explain`."""
    if method not in METHODS:
        raise ConfigError(
            f"`method` must be one of {', '.join(METHODS)}; got {method!r}. Choose one of them."
        )
    if method == "exact":
        return _all_of(n_segments, n_evaluations)
    n_masks = _N_EVALUATIONS[method] if n_evaluations is None else n_evaluations
    if method == "sampled":
        return _sampled(n_segments, n_masks, rng)
    masks = designed_masks(n_segments, n_masks)
    return masks if rng is None else masks[:, rng.permutation(n_segments)]


def _all_of(n_segments: int, n_evaluations: int | None) -> NDArray[np.bool_]:
    masks = all_masks(n_segments)
    if n_evaluations not in (None, len(masks)):
        raise ConfigError(
            f"`n_evaluations` must be 2^S = {len(masks)} for the method 'exact'; got "
            f"{n_evaluations}. Leave it out, or use the method 'designed'."
        )
    return masks


def _sampled(n_segments: int, n_masks: int, rng: np.random.Generator | None) -> NDArray[np.bool_]:
    if rng is None or n_masks < 2:
        raise ConfigError(
            "The method 'sampled' must have an `rng` and at least 2 evaluations; got "
            f"{'none' if rng is None else 'one'} and {n_masks}. Pass a generator, or use "
            "'designed'."
        )
    return random_masks(n_segments, n_masks=n_masks, rng=rng)


def _fit(answers: Answers, diagnosis: int, method: Method) -> tuple[Surrogate, NDArray[np.float64]]:
    masks, values = answers.masks, answers.of(diagnosis)
    n_segments = masks.shape[1]
    if method == "designed" and len(masks) < 2**n_segments:
        return surrogate_from_few(masks, probabilities=answers.probabilities, diagnosis=diagnosis)
    near = proximities(masks)
    penalty = RIDGE if method == "sampled" else 0.0
    fitted = fit_surrogate(masks, values=values, proximities=near, penalty=penalty)
    if method != "sampled":
        return replace(fitted, foretold=fitted.score), np.zeros(n_segments)
    errors = standard_errors(fitted, masks=masks, values=values, proximities=near, penalty=penalty)
    return fitted, errors
