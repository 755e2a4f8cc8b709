"""Curves: one line a part, a boundary between phases, words for who cannot see them."""

import re

import numpy as np
import pandas as pd
import pytest

from moulage.pages.figures.curves import describe, draw_curves, shared_limits


def history(phases: list[str]) -> pd.DataFrame:
    n = len(phases)
    losses = np.linspace(2, 1, n)
    return pd.DataFrame(
        {
            "phase": phases,
            "train_loss": losses,
            "validation_loss": losses + 0.5,
            "train_accuracy": 1 - losses / 3,
            "validation_accuracy": 0.9 - losses / 3,
        }
    )


def boundaries(svg: str) -> int:
    return len(re.findall(r"stroke-dasharray: 0\.9", svg))


@pytest.mark.parametrize(("phases", "n"), [("a" * 5, 0), ("aabb", 1), ("abca", 3)])
def test_a_boundary_stands_between_phases(phases: str, n: int) -> None:
    assert boundaries(draw_curves([history(list(phases))], "loss", name="x")) == n


def test_phases_are_named_where_there_is_room_and_numbered_where_not() -> None:
    svg = draw_curves([history(["frozen"] * 40 + ["fine-tuning"])], "loss", name="x")
    assert ">frozen</text>" in svg
    assert ">fine-tuning</text>" not in svg
    assert ">2</text>" in svg


def test_each_part_is_named_once_for_many_runs() -> None:
    svg = draw_curves([history(["a"] * 4)] * 3, "accuracy", name="x")
    assert svg.count(">train</text>") == svg.count(">validation</text>") == 1


def test_the_description_says_where_validation_is_best() -> None:
    curve = history(["a"] * 3).assign(validation_loss=[1.5, 0.75, 1.0])
    assert describe([curve], "loss") == (
        "3 epochs; validation loss begins at 1.500, is best at 0.750 in epoch 2 and ends at 1.000."
    )
    curve = curve.assign(validation_accuracy=[0.5, 0.6, 0.7])
    assert "is best at 0.700 in epoch 3" in describe([curve], "accuracy")


def test_one_epoch_and_missing_values_are_drawn() -> None:
    one = history(["a"]).assign(validation_loss=[None])
    assert "No epoch was validated." in draw_curves([one], "loss", name="x")


def test_shared_limits_hold_every_finite_value() -> None:
    far = history(["a"] * 2).assign(train_loss=[7.0, np.nan])
    low, high = shared_limits([history(["a"] * 4), far], "loss") or (0, 0)
    assert low < 1 < 7 < high
    nothing = history(["a"]).assign(train_loss=np.nan, validation_loss=np.nan)
    assert shared_limits([nothing], "loss") is None
