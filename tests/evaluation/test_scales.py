import math

import pytest

from moulage.evaluation.scales import CORRELATION, DIFFERENCE, LOSS, SHARE, bounds_of, shrink, slope
from moulage.evaluation.scales import stretch as stretched

VALUES = {SHARE: 0.93, CORRELATION: -0.4, LOSS: 0.7, DIFFERENCE: -0.02, (0.0, 2.0): 0.3}


@pytest.mark.parametrize(("bounds", "value"), VALUES.items())
def test_there_and_back_is_the_same_value(bounds: tuple[float, float], value: float) -> None:
    assert shrink(stretched(value, bounds), bounds) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("bounds", "value"), VALUES.items())
def test_the_slope_is_the_slope(bounds: tuple[float, float], value: float) -> None:
    step = 1e-6
    rise = stretched(value + step, bounds) - stretched(value - step, bounds)
    assert slope(value, bounds) == pytest.approx(rise / (2 * step), rel=1e-6)


def test_a_correlation_is_stretched_as_fisher_did() -> None:
    assert stretched(0.6, CORRELATION) == pytest.approx(2 * math.atanh(0.6))


def test_each_metric_has_its_range() -> None:
    assert bounds_of("auroc.mel") == SHARE
    assert bounds_of("matthews") == CORRELATION
    assert bounds_of("log_loss") == LOSS
    assert bounds_of("brier") == (0.0, 2.0)
