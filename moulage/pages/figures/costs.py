"""Cost against accuracy: a point an experiment, named at the right.

In:  priced experiments and their prices on one scale.   Out: one SVG.
Knows nothing of records.
Why: names beside points would lie on each other where costs are alike; so they stand in a column,
each with a thin line to its point, as high as its point unless another name is there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, INK, MUTED, as_svg, drawing

_WIDTH, _HEIGHT = 4.6, 3.2
_LETTER = 0.019  # of the figure's width, at the font size of names
_LONGEST = 18
_DECADE = 10.0
_TOP, _BOTTOM, _GAP = 0.97, 0.03, 0.07  # of the axes' height: where names may stand


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """One experiment: what it costs, and what it achieves with its bounds."""

    name: str
    n_parameters: int
    seconds: float
    memory_mib: float
    value: float
    low: float
    high: float


def draw_costs(
    experiments: Sequence[Priced],
    prices: Sequence[float],
    *,
    name: str,
    unit: str,
    measure: str,
) -> Markup:
    """Draw `measure` over `prices`; the scale is logarithmic where they span a factor of ten."""
    with drawing(width=_WIDTH, height=_HEIGHT) as (figure, axes):
        for price, one in zip(prices, experiments, strict=True):
            axes.plot([price, price], [one.low, one.high], color=ACCENT, linewidth=1.2, alpha=0.6)
            axes.plot(price, one.value, marker="o", markersize=5.5, color=ACCENT)
        _scale(axes, prices)
        axes.set_xlabel(unit)
        axes.set_ylabel(measure)
        letters = min(_LONGEST, max(len(one.name) for one in experiments))
        figure.set_layout_engine("constrained", rect=(0, 0, 1 - _LETTER * letters - 0.03, 1))
        _name(axes, experiments, prices)
        return as_svg(
            figure,
            name=name,
            title=f"{measure} against {unit}",
            description=describe(experiments, prices),
        )


def describe(experiments: Sequence[Priced], prices: Sequence[float]) -> str:
    """Say each experiment's value and price."""
    return "; ".join(
        f"{one.name}: {words.score(one.value)} at {price:,.0f}"
        for one, price in zip(experiments, prices, strict=True)
    )


def spread_apart(heights: Sequence[float]) -> list[float]:
    """Move names, from the top down, as little apart as keeps `_GAP` between two of them.

    >>> spread_apart([0.9, 0.5])
    [0.9, 0.5]
    >>> [round(height, 2) for height in spread_apart([0.9, 0.89, 0.2])]
    [0.9, 0.83, 0.2]
    """
    gap = min(_GAP, (_TOP - _BOTTOM) / max(len(heights) - 1, 1))
    apart: list[float] = []
    for height in heights:
        apart.append(min([height, _TOP, *(above - gap for above in apart[-1:])]))
    for place in reversed(range(len(apart))):
        below = apart[place + 1] + gap if place + 1 < len(apart) else _BOTTOM
        apart[place] = max(apart[place], below)
    return apart


def _scale(axes: Axes, prices: Sequence[float]) -> None:
    low, high = min(prices), max(prices)
    if low > 0 and high / low >= _DECADE:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        if high / low < _DECADE**2:
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.set_xlim(low / 1.4, high * 1.4)
    else:
        margin = 0.08 * (high - low or high or 1.0)
        axes.set_xlim(max(low - margin, 0), high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    in_millions = high >= 1e6
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _short(x, in_millions)))


def _short(number: float, in_millions: bool) -> str:
    return f"{number / 1e6:.10g} M" if in_millions else f"{number:,.10g}"


def _name(axes: Axes, experiments: Sequence[Priced], prices: Sequence[float]) -> None:
    """Write the names from top to bottom in the order of the values, apart where they touch."""
    order = np.argsort([-one.value if not math.isnan(one.value) else 0.0 for one in experiments])
    bottom, top = axes.get_ylim()
    at = [(experiments[number].value - bottom) / (top - bottom) for number in order]
    heights = spread_apart([0.5 if math.isnan(height) else height for height in at])
    names = words.shortened([one.name for one in experiments], _LONGEST)
    for height, number in zip(heights, order.tolist(), strict=True):
        axes.annotate(
            names[number],
            xy=(prices[number], experiments[number].value),
            xytext=(1.03, height),
            textcoords="axes fraction",
            va="center",
            fontsize=8.5,
            color=INK,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkB": 3},
        )
