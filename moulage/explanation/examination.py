"""Explain one image and put the explanation to every test.

In:  classify, pixels (H, W, 3) uint8, how to explain, the lesion's mask if there is one.
Out: an Examination: the explanation, its curves, its scores.
Knows nothing of files. `classify` may answer with (n, R · K) columns: K of the classifier, then
K of each of R - 1 networks like it under a head with random weights, asked at the same cost.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError
from moulage.explanation import superpixels
from moulage.explanation.answers import Answers, Classify, ask
from moulage.explanation.faithfulness import (
    Agreement,
    agreement,
    agreement_by_chance,
    lesion_share,
    mean_agreement,
)
from moulage.explanation.fills import Fill, cover
from moulage.explanation.games import Curves, lookup, removal_curves, shapley_values
from moulage.explanation.lime import Explanation, Method, explain_answers, masks_of
from moulage.explanation.verdict import MOST_LUCKY, Scores, in_words
from moulage.seeding import generator

# Enough to tell a rank correlation of 0.65; another explanation of full price is not needed.
_N_AGAIN = 64
# The fewest of which one order by chance is among the best twentieth only where none is as good.
# A random order asks for up to 9 masks, unless all masks are known; then 200 cost nothing.
_N_ORDERS = 20
# Rankings of five, by three heads that know nothing, correlate above `MOST_RANDOM` in one case of
# thirteen, signs aside; of six, in one of thirty.
_LEAST_RANKED = 6
_UNKNOWN = Agreement(rank_correlation=math.nan, top_overlap=math.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How images are explained.

    diagnosis: which one, or None for each image's most probable. colour: of the fill "dataset".
    """

    method: Method = "designed"
    diagnosis: int | None = None
    cut: superpixels.Method = "slic"
    n_segments: int = superpixels.N_SEGMENTS
    fill: Fill = "mean"
    n_evaluations: int | None = None
    colour: tuple[float, ...] | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examination:
    """An explanation with all that is known of it.

    covered (H, W, 3): what is seen of superpixels taken away. shapley (S,): where all masks
    were asked. n_asked: evaluations, those of the tests included.
    """

    explanation: Explanation
    covered: NDArray[np.uint8]
    curves: Curves
    shapley: NDArray[np.float64] | None
    scores: Scores
    n_asked: int

    @property
    def doubts(self) -> tuple[str, ...]:
        """Reasons not to trust the explanation, in words."""
        return in_words(self.scores)


@dataclass(slots=True, kw_only=True, eq=False)
class _Asked:
    """Counts what is asked of classifiers of K diagnoses about one image."""

    classify: Classify
    pixels: NDArray[np.uint8]
    manner: Manner
    n_asked: int = 0

    def about(self, segments: NDArray[np.int64], masks: NDArray[np.bool_]) -> Answers:
        self.n_asked += len(masks)
        return ask(
            self.classify,
            self.pixels,
            covered=self.cover(segments),
            segments=segments,
            masks=masks,
        )

    def cover(self, segments: NDArray[np.int64]) -> NDArray[np.uint8]:
        return cover(self.pixels, segments, fill=self.manner.fill, colour=self.manner.colour)


def examine(
    classify: Classify,
    pixels: NDArray[np.uint8],
    *,
    n_classes: int,
    manner: Manner,
    lesion: NDArray[np.bool_] | None = None,
) -> Examination:
    """Explain an image and score the explanation; the same image gives the same numbers."""
    _check(manner, n_classes)
    asked = _Asked(classify=classify, pixels=pixels, manner=manner)
    segments = superpixels.segment(pixels, n_segments=manner.n_segments, method=manner.cut)
    masks = masks_of(
        manner.method,
        manner.n_segments,
        n_evaluations=manner.n_evaluations,
        rng=generator("masks", manner.seed) if manner.method == "sampled" else None,
    )
    everything = asked.about(segments, masks)
    answers = everything.columns(0, n_classes)
    explanation = explain_answers(
        answers, segments, diagnosis=manner.diagnosis, method=manner.method
    )
    curves = _curves(asked, explanation)
    seeds = _over_seeds(asked, explanation, n_classes)
    cuts, by_chance = _over_cuts(asked, explanation, n_classes)
    scores = replace(
        _own_scores(explanation, curves, lesion),
        over_seeds=seeds.rank_correlation,
        over_cuts=cuts.rank_correlation,
        cuts_by_chance=by_chance,
        top_over_seeds=seeds.top_overlap,
        top_over_cuts=cuts.top_overlap,
        randomised=_randomised(everything, explanation, n_classes),
    )
    return Examination(
        explanation=explanation,
        covered=asked.cover(segments),
        curves=curves,
        shapley=_shapley(explanation),
        scores=scores,
        n_asked=asked.n_asked,
    )


def _check(manner: Manner, n_classes: int) -> None:
    if manner.diagnosis is not None and not 0 <= manner.diagnosis < n_classes:
        raise ConfigError(
            f"`diagnosis` must lie in [0, {n_classes}), an index into the classifier's diagnoses; "
            f"got {manner.diagnosis}. Choose one that it knows."
        )


def _own_scores(
    explanation: Explanation, curves: Curves, lesion: NDArray[np.bool_] | None
) -> Scores:
    is_constant = math.isnan(explanation.score)
    can_be_rare = math.factorial(len(explanation.weights)) >= 1 / MOST_LUCKY  # one order among all
    return Scores(
        score=explanation.foretold,
        deletion_gain=curves.deletion_gain,
        insertion_gain=curves.insertion_gain,
        share_as_good=curves.share_as_good if can_be_rare and not is_constant else math.nan,
        lesion_share=math.nan if lesion is None else lesion_share(explanation, lesion),
        lesion_area=math.nan if lesion is None else float(lesion.mean()),
        is_constant=is_constant,
    )


def _curves(asked: _Asked, explanation: Explanation) -> Curves:
    rng = generator("orders", asked.manner.seed)
    if _has_all(explanation):
        known = lookup(explanation.answers, explanation.diagnosis)
        return removal_curves(known, weights=explanation.weights, rng=rng)

    def value(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        return asked.about(explanation.segments, masks).of(explanation.diagnosis)

    return removal_curves(value, weights=explanation.weights, rng=rng, n_orders=_N_ORDERS)


def _shapley(explanation: Explanation) -> NDArray[np.float64] | None:
    if not _has_all(explanation):
        return None
    return shapley_values(explanation.answers.of(explanation.diagnosis))


def _has_all(explanation: Explanation) -> bool:
    return explanation.method == "exact"


def _over_seeds(asked: _Asked, explanation: Explanation, n_classes: int) -> Agreement:
    """Explain once more by other masks; nothing is drawn where all masks are asked."""
    if _has_all(explanation) or len(explanation.weights) < 2:
        return _UNKNOWN
    again = _again(asked, explanation, explanation.segments, n_classes)
    return agreement(explanation, again)


def _over_cuts(asked: _Asked, explanation: Explanation, n_classes: int) -> tuple[Agreement, float]:
    """Explain once more with one superpixel fewer and one more; and say what chance reaches."""
    manner = asked.manner
    if manner.n_segments < 3:
        return _UNKNOWN, math.nan
    cuts = [
        superpixels.segment(asked.pixels, n_segments=number, method=manner.cut)
        for number in (manner.n_segments - 1, manner.n_segments + 1)
    ]
    others = [_again(asked, explanation, cut, n_classes) for cut in cuts]
    chance = agreement_by_chance(explanation, *others, rng=generator("dealt", manner.seed))
    return mean_agreement(explanation, *others), chance


def _again(
    asked: _Asked, explanation: Explanation, segments: NDArray[np.int64], n_classes: int
) -> Explanation:
    """Explain the same diagnosis by other masks; where all were asked, few are enough."""
    n_segments = int(segments.max()) + 1
    method: Method = "designed" if _has_all(explanation) else explanation.method
    n_evaluations = explanation.n_evaluations
    if method == "designed":
        n_evaluations = max(n_segments + 2, min(_N_AGAIN, n_evaluations))
    rng = generator("again", asked.manner.seed)
    masks = masks_of(method, n_segments, n_evaluations=n_evaluations, rng=rng)
    answers = asked.about(segments, masks).columns(0, n_classes)
    return explain_answers(answers, segments, diagnosis=explanation.diagnosis, method=method)


def _randomised(everything: Answers, explanation: Explanation, n_classes: int) -> float:
    """Return the mean rank correlation, signs aside, with what random heads are explained by.

    Signs aside, since a random head is as likely as not to read the same maps the other way round.
    Of few superpixels it is NaN: there, heads that know nothing rank alike.
    """
    if len(explanation.weights) < _LEAST_RANKED:
        return math.nan
    others = [
        explain_answers(
            answers,
            explanation.segments,
            diagnosis=explanation.diagnosis,
            method=explanation.method,
        )
        for answers in _random_answers(everything, n_classes)
    ]
    found = [agreement(explanation, other).rank_correlation for other in others]
    known = [abs(value) for value in found if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _random_answers(everything: Answers, n_classes: int) -> Iterator[Answers]:
    for first in range(n_classes, everything.probabilities.shape[1], n_classes):
        yield everything.columns(first, n_classes)
