"""Numbers as a reader likes them, at the seams where a format changes."""

import math

import pytest

from moulage.pages import words


def test_a_score_has_three_decimals_and_a_missing_one_says_so() -> None:
    assert words.score(0.70049) == "0.700"
    assert words.score(-0.25) == "−0.250"
    assert words.score(math.nan) == "not defined (n = 0)"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (61.4, "1 min 01 s"),
        (3599.7, "1 h 00 min"),
        (3600, "1 h 00 min"),
        (7325, "2 h 02 min"),
        (math.nan, "not measured"),
    ],
)
def test_a_duration_never_shows_sixty_of_a_unit(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("rate", "said"), [(0.001, "0.001"), (1e-5, "1e-5"), (3e-4, "0.0003"), (2.5e-10, "2.5e-10")]
)
def test_a_learning_rate_is_short(rate: float, said: str) -> None:
    assert words.rate(rate) == said


def test_counts_have_thousands_apart_and_agree_with_their_noun() -> None:
    assert words.count(22255687) == "22,255,687"
    assert words.counted(0, "image") == "0 images"
    assert words.counted(1, "diagnosis", "diagnoses") == "1 diagnosis"


def test_a_list_reads_as_a_sentence() -> None:
    assert words.listed([]) == "none"
    assert words.listed(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    "names",
    [
        ("nv", "basal cell carcinoma, nodular", "squamous cell carcinoma, in situ"),
        ("naevus of the skin, flat", "naevus of the skin, raised"),
        ("naevus of the skin, flat, old", "naevus of the skin, round, old"),
        ("a name of five words", "a name of fi…"),
    ],
)
def test_shortened_names_are_short_and_stay_apart(names: tuple[str, ...]) -> None:
    short = words.shortened(names, 13)
    assert len(set(short)) == len(names)
    assert max(map(len, short)) <= 13 + len("1 ")


def test_a_shortened_name_keeps_its_end_where_it_is_asked_to() -> None:
    (short,) = words.shortened(["melanocytic naevus, benign (1,341)"], 20, end=7)
    assert short == "melanocytic …(1,341)"


def test_a_tiny_p_value_is_not_zero() -> None:
    assert words.p_value(0.0) == "< 0.001"
    assert words.p_value(0.001) == "0.001"


def test_memory_that_was_not_measured_says_so() -> None:
    assert words.memory(None) == words.memory(math.nan) == "not measured"
    assert words.memory(1433.2) == "1,433 MiB"
