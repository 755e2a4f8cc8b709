import math

import pytest

from moulage.explanation.verdict import Scores, in_words


def test_nothing_is_said_where_nothing_speaks_against_an_explanation() -> None:
    good = Scores(
        score=0.9,
        deletion_gain=0.1,
        insertion_gain=0.2,
        share_as_good=0.0,
        over_seeds=0.98,
        over_cuts=0.8,
        cuts_by_chance=0.4,
        lesion_share=0.8,
        lesion_area=0.3,
        randomised=0.1,
    )
    assert in_words(good) == ()


def test_scores_that_were_not_taken_say_nothing() -> None:
    assert in_words(Scores()) == ()


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (Scores(score=0.31), "account for 31 % of the changes"),
        (Scores(score=-0.12), "account for 0 % of the changes"),
        (Scores(share_as_good=0.4), "40 % of random orders"),
        (Scores(over_seeds=-0.01), "(rank correlation −0.01)"),
        (Scores(over_seeds=0.2), "With other masks the ranking changes (rank correlation 0.20)"),
        (
            Scores(over_cuts=0.3, cuts_by_chance=0.4),
            "no more alike than by chance (rank correlation 0.30; chance reaches 0.40)",
        ),
        (Scores(lesion_share=0.1, lesion_area=0.3), "10 % of the positive weight lies inside"),
        (Scores(randomised=0.9), "A head with random weights is explained alike"),
        (Scores(is_constant=True, score=math.nan), "does not change whatever is covered"),
    ],
)
def test_each_doubt_has_its_sentence(scores: Scores, words: str) -> None:
    said = in_words(scores)
    assert len(said) == 1
    assert words in said[0]


def test_several_doubts_are_all_said() -> None:
    assert len(in_words(Scores(score=0.1, over_seeds=0.1, randomised=0.9))) == 3
