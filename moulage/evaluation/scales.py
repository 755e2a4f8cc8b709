"""The range of each metric, and the scale without ends on which its interval is drawn.

In:  a metric's name, a value in its range.   Out: bounds; the value stretched, or shrunk back.
Why: an area of 0.99 can be 0.05 too high but hardly 0.01 too low; on the log-odds scale both
sides are alike, and no interval leaves the range.
"""

import math

from scipy.special import expit

Bounds = tuple[float, float]

SHARE: Bounds = (0.0, 1.0)
CORRELATION: Bounds = (-1.0, 1.0)
LOSS: Bounds = (0.0, math.inf)
DIFFERENCE: Bounds = (-math.inf, math.inf)
_OTHERS: dict[str, Bounds] = {
    "matthews": CORRELATION,
    "cohen_kappa": CORRELATION,
    "log_loss": LOSS,
    "brier": (0.0, 2.0),
}


def bounds_of(metric: str) -> Bounds:
    """Return the least and the largest value that a metric can have."""
    return _OTHERS.get(metric, SHARE)


def stretch(value: float, bounds: Bounds) -> float:
    """Return log-odds within two bounds, the log above one, the value itself without any."""
    low, high = bounds
    if math.isfinite(high):
        return math.log((value - low) / (high - value))
    return math.log(value - low) if math.isfinite(low) else value


def slope(value: float, bounds: Bounds) -> float:
    """Return the slope of `stretch` at a value inside the bounds."""
    low, high = bounds
    if not math.isfinite(low):
        return 1.0
    return 1 / (value - low) + (1 / (high - value) if math.isfinite(high) else 0.0)


def shrink(stretched: float, bounds: Bounds) -> float:
    """Return the value that `stretch` made this from."""
    low, high = bounds
    if math.isfinite(high):
        return low + (high - low) * float(expit(stretched))
    return low + math.exp(stretched) if math.isfinite(low) else stretched
