"""The loss while the learning rate climbs, as a picture of its own.

In:  rates, losses and smoothed losses, each (n,).   Out: the bytes of an SVG or a PNG.
Knows nothing of trainings. Unlike the figures of pages it stands alone, so its colours are fixed.
"""

import io

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

FORMATS = (".svg", ".png")
_INK, _PALE, _ACCENT = "#22201d", "#b9b2a8", "#a8452f"
_STYLE = {
    "svg.fonttype": "path",
    "svg.hashsalt": "moulage",
    "font.size": 10,
    "axes.edgecolor": _PALE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def draw_rates(
    *,
    rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    smoothed: NDArray[np.float64],
    suggested: float,
    title: str,
    file_format: str,
) -> bytes:
    """Draw the curve with the suggested rate marked; the same bytes for the same numbers."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.plot(rates, losses, color=_PALE, linewidth=1.0, label="after each step")
        axes.plot(rates, smoothed, color=_INK, linewidth=2.0, label="smoothed")
        axes.axvline(suggested, color=_ACCENT, linestyle="--", label=f"suggested: {suggested:.2g}")
        axes.set_ylim(*_limits(smoothed))
        axes.set_xlabel("learning rate")
        axes.set_ylabel("validation loss (nats)")
        axes.set_title(title, loc="left", fontsize=10, color=_INK)
        axes.legend(frameon=False)
        file = io.BytesIO()
        figure.savefig(file, format=file_format, metadata=_metadata(file_format))
    return file.getvalue()


def _limits(smoothed: NDArray[np.float64]) -> tuple[float, float]:
    """Show the fall and the first of the rise: what came after would flatten both."""
    low, start = float(smoothed.min()), float(smoothed[0])
    span = max(start - low, 0.1)
    return max(0.0, low - 0.3 * span), start + 0.6 * span


def _metadata(file_format: str) -> dict[str, None]:
    return {"Date": None, "Creator": None} if file_format == "svg" else {"Software": None}
