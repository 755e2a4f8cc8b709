"""Cells and headings of tables."""

import math

from moulage.pages import tables
from moulage.pages.tables import Column, Table


def test_headings_are_grouped_by_stretches() -> None:
    names = [("a", ""), ("b", "x"), ("c", "x"), ("d", "y"), ("e", "x")]
    columns = tuple(Column(name=name, group=group) for name, group in names)
    table = Table(caption="", columns=columns, rows=())
    assert table.groups == [("", 1), ("x", 2), ("y", 1), ("x", 1)]


def test_a_table_without_groups_has_no_second_heading() -> None:
    assert Table(caption="", columns=(Column(name="a"),), rows=()).groups == []


def test_a_score_that_is_not_defined_sorts_nowhere() -> None:
    cell = tables.score(math.nan)
    assert (cell.text, cell.sort, cell.is_missing) == ("not defined (n = 0)", None, True)


def test_a_range_that_does_not_show_is_not_written() -> None:
    assert tables.spread(mean=0.5, low=0.4999, high=0.5001).note == ""
    assert tables.spread(mean=0.5, low=0.4, high=0.6).note == "0.400–0.600"
    assert tables.spread(mean=math.nan, low=0.4, high=0.6).is_missing
