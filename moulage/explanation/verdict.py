"""Say in words when an explanation is not to be trusted.

In:  the scores of one explanation.   Out: sentences, none where nothing speaks against it.
Knows nothing of images; a score that was not taken is NaN and says nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

LEAST_SCORE = 0.5
# Of ten superpixels, two unrelated rankings correlate above 0.65 in one case of forty.
LEAST_STABLE = 0.65
MOST_RANDOM = 0.65
MOST_LUCKY = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What is known of one explanation; NaN where not taken or not defined.

    score: the surrogate's weighted R² on answers left out, one by one, below 0 where it foretells
    less than the mean does; of all masks, none is left out.
    deletion_gain, insertion_gain: against random orders; share_as_good: of orders at random that
    do as well, this one counted among them, of four superpixels or more. over_seeds, over_cuts:
    mean rank correlation with explanations by other masks, and of other superpixels;
    top_over_seeds, top_over_cuts: what the superpixels of highest weight have in common.
    cuts_by_chance: what weights dealt at random reach of over_cuts. lesion_share of the positive
    weight, lesion_area of the image. randomised: mean rank correlation, signs aside, with the
    explanations of the same network under heads with random weights, of six superpixels or more;
    a low one is weak evidence of anything.
    """

    score: float = math.nan
    deletion_gain: float = math.nan
    insertion_gain: float = math.nan
    share_as_good: float = math.nan
    over_seeds: float = math.nan
    over_cuts: float = math.nan
    cuts_by_chance: float = math.nan
    top_over_seeds: float = math.nan
    top_over_cuts: float = math.nan
    lesion_share: float = math.nan
    lesion_area: float = math.nan
    randomised: float = math.nan
    is_constant: bool = False


def in_words(scores: Scores) -> tuple[str, ...]:
    """Return a sentence for each reason not to trust an explanation.

    >>> in_words(Scores(score=0.9, over_seeds=0.97))
    ()
    """
    if scores.is_constant:
        return (
            "The probability does not change whatever is covered: there is nothing to explain.",
        )
    return tuple(_doubts(scores))


def _doubts(scores: Scores) -> Iterator[str]:
    if scores.score < LEAST_SCORE:
        yield (
            f"The weights account for {_percent(max(scores.score, 0))} of the changes in "
            "probability: the superpixels act together, or too few copies were asked, and single "
            "weights do not say how."
        )
    if scores.share_as_good > MOST_LUCKY:
        yield (
            f"{_percent(scores.share_as_good)} of random orders, this one counted among them, "
            "remove and restore the probability as fast as the order of these weights."
        )
    if scores.over_seeds < LEAST_STABLE:
        yield (
            f"With other masks the ranking changes (rank correlation {_ranks(scores.over_seeds)})."
        )
    if scores.over_cuts < scores.cuts_by_chance:
        yield (
            "Cut into other superpixels, the image is explained no more alike than by chance (rank "
            f"correlation {_ranks(scores.over_cuts)}; chance reaches "
            f"{_ranks(scores.cuts_by_chance)})."
        )
    if scores.lesion_share < scores.lesion_area:
        yield (
            f"{_percent(scores.lesion_share)} of the positive weight lies inside the lesion, which "
            f"covers {_percent(scores.lesion_area)} of the image: the surroundings count for more."
        )
    if scores.randomised > MOST_RANDOM:
        yield (
            "A head with random weights is explained alike, or the other way round (rank "
            f"correlation, signs aside, {_ranks(scores.randomised)}): this shows the image, "
            "not what was learned."
        )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _ranks(correlation: float) -> str:
    return f"{correlation:.2f}".replace("-", "−")
