"""Ratios of turns, by pencil."""

from benchmarks.peers.turns import HEAD, Ratio


def test_above_one_ours_is_better_in_seconds_and_in_rates() -> None:
    seconds = Ratio(quantity="q", unit="s", ours=(2.0, 4.0), theirs=(8.0, 4.0))
    rates = Ratio(quantity="q", unit="images/s", ours=(8.0, 4.0), theirs=(2.0, 4.0))
    assert seconds.values == rates.values == (4.0, 1.0)


def test_a_row_holds_medians_and_the_spread_of_the_pairs() -> None:
    ratio = Ratio(quantity="q", unit="s", ours=(1, 2, 4), theirs=(8, 8, 8), aim=2.5)
    row = ratio.row()
    assert row == "| q | s | 2 | 8 | 2.00× | 4.00× | 8.00× | 2.5× |"
    assert row.count("|") == HEAD[0].count("|")
