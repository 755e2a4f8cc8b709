"""Reliability diagrams: how often stated probabilities come true.

In:  reliabilities, their titles.   Out: one SVG each.
Knows nothing of records and pages.
"""

from markupsafe import Markup
from matplotlib.axes import Axes

from moulage.evaluation.reliability import Bin, Reliability
from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, INK, MUTED, as_svg, drawing

_SIZE = {"width": 4.2, "height": 3.6}


def draw_reliability(
    found: Reliability, *, name: str, title: str, lowest: float | None = None
) -> Markup:
    """Draw each bin's share of right answers with its interval against what was stated.

    lowest: where both axes begin, the same for diagrams that are to be compared.
    """
    lowest = lowest_of(found) if lowest is None else lowest
    with drawing(**_SIZE) as (figure, axes):
        _draw_bins(axes, found.bins)
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 2)), linewidth=1.2)
        axes.set_xlim(lowest, 1.02)
        axes.set_ylim(max(0.0, lowest - 0.15), 1.02)
        axes.set_xlabel("stated probability of the decided diagnosis")
        axes.set_ylabel("share of right decisions")
        axes.set_title(title, loc="left", fontsize=9.5, color=INK)
        return as_svg(figure, name=name, title=title, description=describe(found))


def describe(found: Reliability) -> str:
    """Say in one sentence how far the bins lie from the diagonal."""
    if not found.bins:
        return "There are no images."
    apart = [one for one in found.bins if not one.share.low <= one.probability <= one.share.high]
    return (
        f"{words.counted(len(found.bins), 'bin')} of equally many images (equal "
        "probabilities share one); mean gap (ECE) "
        f"{words.score(found.ece)}, expected {words.score(found.expected)} if every probability "
        f"were right; {words.counted(len(apart), 'bin')} whose interval misses the diagonal."
    )


def lowest_of(*shown: Reliability) -> float:
    """Return where axes must begin for every bin to lie inside."""
    stated = [one.probability for found in shown for one in found.bins]
    return max(0.0, min(stated, default=0.0) - 0.05)


def _draw_bins(axes: Axes, bins: tuple[Bin, ...]) -> None:
    for one in bins:
        axes.plot(
            [one.probability, one.probability],
            [one.share.low, one.share.high],
            color=ACCENT,
            linewidth=1.2,
        )
    axes.plot(
        [one.probability for one in bins],
        [one.share.value for one in bins],
        color=ACCENT,
        linestyle="",
        marker="o",
        markersize=4.5,
    )
