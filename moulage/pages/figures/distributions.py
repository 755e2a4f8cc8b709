"""How many: bars of images and lesions a word, of ages, of photographs a lesion.

In:  the counts of `survey.exploration`.   Out: one SVG each.
Knows nothing of what the words mean.
"""

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, INK, MUTED, as_svg, drawing
from moulage.split import Unit
from moulage.surveying.exploration import BIN_YEARS, Ages, Distribution

_WIDTH = 4.8
_ROW_INCHES = 0.3
_LONGEST = 24  # letters of a word beside its bar


def draw_distribution(
    shown: Distribution, *, name: str, title: str, description: str, unit: Unit = "lesion"
) -> Markup:
    """Draw a bar a word, images filled and lesions as a stroke across it, with share and count."""
    height = 0.75 + _ROW_INCHES * len(shown.levels)
    with drawing(width=_WIDTH, height=height) as (figure, axes):
        places = np.arange(len(shown.levels))
        images = [level.n_images for level in shown.levels]
        axes.barh(places, images, height=0.66, color=ACCENT, alpha=0.55, label="images")
        for place, level in zip(places, shown.levels, strict=True):
            label = f"{unit}s" if not place else None
            axes.plot(
                [level.n_lesions] * 2, [place - 0.33, place + 0.33], color=INK, linewidth=2,
                label=label,
            )  # fmt: skip
            said = f"{words.count(level.n_images)} ({words.percent(shown.share(level))})"
            axes.annotate(
                said, (level.n_images, place), xytext=(5, 0), textcoords="offset points",
                va="center", color=INK, fontsize=8.5,
            )  # fmt: skip
        names = words.shortened([level.name for level in shown.levels], _LONGEST)
        _lay_out(axes, names, most=max(images, default=1))
        axes.set_xlabel(f"number of images; of {unit}s")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
        return as_svg(figure, name=name, title=title, description=description)


def draw_ages(ages: Ages, *, name: str, description: str) -> Markup:
    """Draw images by age in bins of five years."""
    with drawing(width=_WIDTH, height=2.9) as (figure, axes):
        axes.bar(
            ages.starts, ages.counts, width=BIN_YEARS * 0.92, align="edge", color=ACCENT, alpha=0.55
        )
        axes.axvline(ages.mean, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        top = float(ages.counts.max()) * 1.14
        axes.set_ylim(0, top)
        axes.annotate(
            f"mean {ages.mean:.1f}", (ages.mean, top), xytext=(4, -3), textcoords="offset points",
            va="top", color=INK, fontsize=8.5,
        )  # fmt: skip
        axes.set_xlabel(f"age in years, bins of {BIN_YEARS}")
        axes.set_ylabel("number of images")
        return as_svg(figure, name=name, title="Age", description=description)


def draw_photographs(
    photographs: Mapping[int, int], *, name: str, description: str, unit: Unit = "lesion"
) -> Markup:
    """Draw lesions by their number of photographs, on a logarithmic axis."""
    with drawing(width=_WIDTH, height=2.9) as (figure, axes):
        places = np.arange(len(photographs))
        counts = list(photographs.values())
        axes.bar(places, counts, color=ACCENT, alpha=0.55, width=0.66)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda n, _: words.count(round(n))))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0.5, max(counts) * 3)
        axes.set_xticks(places, [str(size) for size in photographs])
        for place, count in zip(places, counts, strict=True):
            axes.annotate(
                words.count(count), (float(place), count), xytext=(0, 3),
                textcoords="offset points", ha="center", color=INK, fontsize=8.5,
            )  # fmt: skip
        axes.set_xlabel(f"photographs of a {unit}")
        axes.set_ylabel(f"number of {unit}s (log scale)")
        return as_svg(figure, name=name, title=f"Photographs per {unit}", description=description)


def _lay_out(axes: Axes, names: list[str], *, most: int) -> None:
    axes.set_yticks(range(len(names)), names, color=MUTED)
    axes.invert_yaxis()
    axes.set_xlim(0, most * 1.42)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
