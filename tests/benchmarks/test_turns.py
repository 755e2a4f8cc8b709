"""Ratios of turns, by pencil."""

from benchmarks.peers.turns import HEAD, Ratio, Took


def took(*seconds: float) -> tuple[Took, ...]:
    """Return turns whose processors were busy for twice the seconds."""
    return tuple(Took(seconds=second, processor=2 * second) for second in seconds)


def test_above_one_ours_is_faster() -> None:
    ratio = Ratio(quantity="q", ours=took(2, 4), theirs=took(8, 2))
    assert ratio.values == (4.0, 0.5)
    assert ratio.by_processor == 2.25


def test_a_row_holds_medians_and_the_spread_of_the_pairs() -> None:
    ratio = Ratio(quantity="q", ours=took(1, 2, 4), theirs=took(8, 8, 8), aim=2.5)
    row = ratio.row()
    assert row == "| q | s | 2 | 8 | 2.00× | 4.00× | 8.00× | 4.00× | 2.5× |"
    assert row.count("|") == HEAD[0].count("|")


def test_rates_are_shown_where_images_are_counted() -> None:
    ratio = Ratio(quantity="q", ours=took(2), theirs=took(4), n_images=100)
    assert ratio.row() == "| q | images/s | 50 | 25 | 2.00× | 2.00× | 2.00× | 2.00× |  |"


def test_parts_of_a_study_add_up_and_scale() -> None:
    (whole,) = took(5)
    assert took(1)[0] + took(2)[0] * 2 == whole
