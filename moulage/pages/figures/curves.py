"""Curves of loss and accuracy through the phases, the boundary between phases drawn.

In:  histories, a row an epoch, one a run.   Out: one SVG a measure.
Knows nothing of records and pages.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, INK, MUTED, as_svg, drawing

Measure = Literal["loss", "accuracy"]
TRAIN_LOSS = (
    "Train: the loss that was minimised (weighted, adjusted, augmented, with dropout, as the "
    "recipe says); not comparable with validation, which is plain cross-entropy."
)
DOTTED = "Dotted: where the next phase begins."
_UNITS: dict[Measure, str] = {
    "loss": "loss (nats)",
    "accuracy": "accuracy (share of images)",
}
_SIZE = {"width": 4.6, "height": 3.1}
_POINTS_PER_LETTER = 5.6
_AXIS_POINTS = 270.0


def draw_curves(
    histories: Sequence[pd.DataFrame],
    measure: Measure,
    *,
    name: str,
    limits: tuple[float, float] | None = None,
) -> Markup:
    """Draw train (dashed) and validation (solid), a pair of lines a history.

    Epochs count on through the phases. limits: of the y axis, where figures share it.
    """
    with drawing(**_SIZE) as (figure, axes):
        for history in histories:
            _draw_lines(axes, history, measure, is_one=len(histories) == 1)
        longest = max(histories, key=len)
        _draw_phases(axes, longest)
        axes.set_xlabel("epoch")
        axes.set_ylabel(_UNITS[measure])
        axes.set_xlim(0.5, max(len(longest), 1) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if limits:
            axes.set_ylim(*limits)
        handles, labels = _legend(axes)
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
        return as_svg(
            figure,
            name=name,
            title=f"{measure.capitalize()} by epoch",
            description=describe(histories, measure),
        )


def shared_limits(
    histories: Sequence[pd.DataFrame], measure: Measure
) -> tuple[float, float] | None:
    """Return limits that hold every finite value of a measure, with a margin; None for none."""
    values = np.concatenate([_values(h, f"{p}_{measure}") for h in histories for p in _PARTS])
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    margin = 0.05 * (float(np.ptp(finite)) or 1.0)
    return float(finite.min()) - margin, float(finite.max()) + margin


def describe(histories: Sequence[pd.DataFrame], measure: Measure) -> str:
    """Say in one sentence where validation begins, turns best and ends."""
    longest = max(histories, key=len)
    values = _values(longest, f"validation_{measure}")
    if not np.isfinite(values).any():
        return "No epoch was validated."
    best = int(np.nanargmin(values) if measure == "loss" else np.nanargmax(values))
    return (
        f"{words.counted(len(longest), 'epoch')}; validation {measure} begins at "
        f"{words.score(values[0])}, is best at {words.score(values[best])} in epoch {best + 1} "
        f"and ends at {words.score(values[-1])}."
    )


_PARTS = ("train", "validation")


def _values(history: pd.DataFrame, column: str) -> NDArray[np.float64]:
    return history[column].to_numpy(dtype=np.float64, na_value=np.nan)


def _draw_lines(axes: Axes, history: pd.DataFrame, measure: Measure, *, is_one: bool) -> None:
    epochs = np.arange(1, len(history) + 1)
    is_short = len(history) < 3
    for part, colour, dashes in (("train", MUTED, (0, (4, 2))), ("validation", ACCENT, "-")):
        axes.plot(
            epochs,
            _values(history, f"{part}_{measure}"),
            color=colour,
            linestyle=dashes,
            linewidth=1.8 if is_one else 1.2,
            marker="o" if is_short else "",
            label=part,
        )


def _legend(axes: Axes) -> tuple[list[Artist], list[str]]:
    """Name each part once, however many runs are drawn."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    return list(once.values()), list(once)


def _draw_phases(axes: Axes, history: pd.DataFrame) -> None:
    """Draw a line between phases, and name each over its epochs where the name fits."""
    names = history["phase"].astype(str).to_numpy()
    starts = [i for i in range(len(names)) if i == 0 or names[i] != names[i - 1]]
    stretches = zip(starts, [*starts[1:], len(names)], strict=True)
    for number, (start, end) in enumerate(stretches, start=1):
        if start:
            axes.axvline(start + 0.5, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
        room = _AXIS_POINTS * (end - start) / len(names)
        fits = len(names[start]) * _POINTS_PER_LETTER < room
        axes.text(
            (start + end) / 2 + 0.5,
            1.01,
            names[start] if fits else str(number),
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            color=INK,
            fontsize=9,
        )
