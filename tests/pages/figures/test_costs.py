"""Cost against accuracy: names stand at their points unless they would touch."""

import numpy as np
import pytest

from moulage.pages.figures.costs import spread_apart
from moulage.pages.figures.forest import Stretch, draw_forest
from moulage.runs.baselines import NAMES


def test_names_that_do_not_touch_stand_at_their_points() -> None:
    assert spread_apart([0.9, 0.5, 0.1]) == [0.9, 0.5, 0.1]
    assert spread_apart([0.4]) == [0.4]


@pytest.mark.parametrize("n", [2, 5, 12, 40])
def test_names_that_touch_are_spread_in_order_and_within_the_axes(n: int) -> None:
    for middle in (0.0, 0.5, 1.0):
        found = np.array(spread_apart([middle] * n))
        gaps = -np.diff(found)
        assert gaps.min() >= min(0.07, 0.94 / (n - 1)) - 1e-9
        assert 0.03 - 1e-9 <= found.min() <= found.max() <= 0.97 + 1e-9


def test_a_baselines_name_is_never_cut_in_a_forest() -> None:
    rows = [Stretch(name=name, value=0.5, low=0.4, high=0.6) for name in NAMES]
    svg = draw_forest(rows, name="x", title="t", label="l")
    assert all(f">{name}</text>" in svg for name in NAMES)
