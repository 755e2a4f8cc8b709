"""Forest plots: a row a classifier, its value, its interval, its single runs.

In:  stretches, those of experiments and those of baselines.   Out: one SVG.
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
_ROW_INCHES = 0.3
_MARGIN_INCHES = 0.75
_LONGEST = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One classifier: the mean of its runs, the interval over lesions, each run's value."""

    name: str
    value: float
    low: float
    high: float
    runs: tuple[float, ...]


def draw_standing(
    experiments: Sequence[Stretch],
    baselines: Sequence[Stretch],
    *,
    name: str,
    measure: str,
    is_lower_better: bool = False,
) -> Markup:
    """Draw the best experiment on top; baselines stand below a line, in muted ink."""
    ordered = [*_ranked(experiments, is_lower_better), *_ranked(baselines, is_lower_better)]
    height = _MARGIN_INCHES + _ROW_INCHES * len(ordered)
    with drawing(width=_WIDTH, height=height) as (figure, axes):
        for row, stretch in enumerate(ordered):
            colour = ACCENT if row < len(experiments) else MUTED
            _draw_stretch(axes, row, stretch, colour)
        if experiments and baselines:
            axes.axhline(len(experiments) - 0.5, color=RULE, linewidth=0.8)
        axes.set_yticks(range(len(ordered)), [_shortened(one.name) for one in ordered])
        axes.set_ylim(len(ordered) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(measure)
        return as_svg(
            figure, name=name, title=f"Forest plot: {measure}", description=describe(ordered)
        )


def describe(stretches: Sequence[Stretch]) -> str:
    """Say every value with its bounds, in the order drawn."""
    return "; ".join(
        f"{one.name} {words.score(one.value)}"
        + ("" if math.isnan(one.low) else f" ({words.score(one.low)} to {words.score(one.high)})")
        for one in stretches
    )


def _ranked(stretches: Sequence[Stretch], is_lower_better: bool) -> list[Stretch]:
    sign = 1 if is_lower_better else -1
    return sorted(
        stretches, key=lambda one: math.inf if math.isnan(one.value) else sign * one.value
    )


def _draw_stretch(axes: Axes, row: int, stretch: Stretch, colour: str) -> None:
    if math.isnan(stretch.value):
        axes.text(0.02, row, words.NOT_DEFINED, transform=axes.get_yaxis_transform(), va="center")
        return
    if not math.isnan(stretch.low):
        axes.plot([stretch.low, stretch.high], [row, row], color=colour, linewidth=1.6)
    axes.plot(stretch.value, row, marker="o", markersize=5.5, color=colour)
    if len(stretch.runs) > 1:
        axes.plot(
            stretch.runs,
            [row + 0.24] * len(stretch.runs),
            linestyle="none",
            marker="|",
            markersize=5,
            color=INK,
        )


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
