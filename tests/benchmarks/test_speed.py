"""Which rows of the table of speed are measured, and in which order."""

from benchmarks.speed import ROWS, in_order


def test_rows_that_begin_from_a_finished_run_bring_it_along() -> None:
    assert in_order(["predict"]) == ["cold", "predict"]
    assert in_order(["warm", "all"]) == ["cold", "warm", "all"]


def test_rows_are_taken_once_and_in_the_tables_order() -> None:
    assert in_order(["treatments", "third", "treatments"]) == ["third", "treatments"]
    assert in_order(ROWS) == list(ROWS)
