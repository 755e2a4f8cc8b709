"""Diagrams that are to be compared have the same axes."""

import math
import re

import pytest

from moulage.evaluation.intervals import Interval
from moulage.evaluation.reliability import Bin, Reliability
from moulage.pages.figures.reliability import draw_reliability, lowest_of


def found(*stated: float) -> Reliability:
    bins = tuple(
        Bin(
            probability=one,
            share=Interval(value=one, low=one - 0.1, high=one, standard_error=0.1, n_effective=9.0),
            n_images=20,
            n_lesions=20,
        )
        for one in stated
    )
    return Reliability(ece=0.0, expected=0.0, limit=0.1, bins=bins)


def ticks(svg: str) -> list[str]:
    return re.findall(r">([01]\.\d)</text>", svg)


def test_axes_that_begin_at_the_lowest_of_both_have_the_same_ticks() -> None:
    before, after = found(0.3, 0.9), found(0.7, 0.95)
    lowest = lowest_of(before, after)
    assert lowest == pytest.approx(0.25)
    drawn = [draw_reliability(one, name="a", title="A", lowest=lowest) for one in (before, after)]
    assert ticks(drawn[0]) == ticks(drawn[1])
    assert ticks(drawn[1]) != ticks(draw_reliability(after, name="a", title="A"))


def test_without_bins_axes_begin_at_nought() -> None:
    assert lowest_of(found()) == 0.0
    assert not math.isnan(lowest_of(found(), found(0.5)))
