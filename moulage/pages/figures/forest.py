"""Forest plots: a row a classifier or a group, its value, its interval, its single runs.

In:  stretches, top down.   Out: one SVG.
Knows nothing of records and of what the values mean.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes

from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, INK, MUTED, RULE, as_svg, drawing

_WIDTH = 4.6
_ROW_INCHES = 0.28
_MARGIN_INCHES = 0.75
_LONGEST = 30  # holds the names of all baselines
_END = 7  # a group's name ends with its number of lesions


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One row: a value, its interval, each run's value where there are several.

    is_pale: hollow and in muted ink, for what is shown beside the others.
    """

    name: str
    value: float
    low: float
    high: float
    runs: tuple[float, ...] = ()
    is_pale: bool = False


def draw_forest(
    stretches: Sequence[Stretch],
    *,
    name: str,
    title: str,
    label: str,
    line_below: int = 0,
    span: tuple[float, float] | None = None,
) -> Markup:
    """Draw the first on top; line_below: a line below so many rows. span: of the axis."""
    height = _MARGIN_INCHES + _ROW_INCHES * len(stretches)
    with drawing(width=_WIDTH, height=height) as (figure, axes):
        for row, stretch in enumerate(stretches):
            _draw_stretch(axes, row, stretch)
        if 0 < line_below < len(stretches):
            axes.axhline(line_below - 0.5, color=RULE, linewidth=0.8)
        names = words.shortened([one.name for one in stretches], _LONGEST, end=_END)
        axes.set_yticks(range(len(stretches)), names)
        axes.set_ylim(len(stretches) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(label)
        if span is not None:
            axes.set_xlim(*span)
        return as_svg(figure, name=name, title=title, description=describe(stretches))


def ranked(stretches: Sequence[Stretch], *, is_lower_better: bool = False) -> list[Stretch]:
    """Return the best first; what is not defined stands last."""
    sign = 1 if is_lower_better else -1
    return sorted(
        stretches, key=lambda one: math.inf if math.isnan(one.value) else sign * one.value
    )


def describe(stretches: Sequence[Stretch]) -> str:
    """Say every value with its bounds, in the order drawn."""
    return "; ".join(
        f"{one.name} {words.score(one.value)}"
        + ("" if math.isnan(one.low) else f" ({words.score(one.low)} to {words.score(one.high)})")
        for one in stretches
    )


def _draw_stretch(axes: Axes, row: int, stretch: Stretch) -> None:
    if math.isnan(stretch.value):
        axes.text(0.02, row, words.NOT_DEFINED, transform=axes.get_yaxis_transform(), va="center")
        return
    colour = MUTED if stretch.is_pale else ACCENT
    if not math.isnan(stretch.low):
        axes.plot([stretch.low, stretch.high], [row, row], color=colour, linewidth=1.6)
    axes.plot(
        stretch.value,
        row,
        marker="o",
        markersize=5.5,
        color=colour,
        markerfacecolor="none" if stretch.is_pale else colour,
    )
    if len(stretch.runs) > 1:
        axes.plot(
            stretch.runs,
            [row + 0.24] * len(stretch.runs),
            linestyle="none",
            marker="|",
            markersize=5,
            color=INK,
        )
