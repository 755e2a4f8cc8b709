"""A map of images in the plane, coloured by diagnosis, wrong decisions marked.

In:  places (N, 2), labels (N,), which are wrong.   Out: one SVG, or the bytes of a PNG.
Knows nothing of what the axes mean. Each diagnosis has a shape of its own beside its colour.
"""

import io
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from moulage.pages import words
from moulage.pages.figures.svg import INK, as_svg, drawing

_SHAPES = "os^Dvph<>d"
# Narrow, so that a phone shows the legend no smaller than the words around it.
_SIZE = {"width": 4.6, "height": 4.8}
_DPI = 180


def draw_map(
    places: NDArray[np.float64],
    *,
    labels: NDArray[np.int64],
    is_wrong: NDArray[np.bool_],
    diagnoses: Sequence[tuple[str, str]],
    name: str,
    title: str,
) -> tuple[Markup, bytes]:
    """Draw a point an image, as SVG and as PNG; diagnoses: (code, colour) in their order."""
    with drawing(**_SIZE) as (figure, axes):
        for label, (code, colour) in enumerate(diagnoses):
            chosen = labels == label
            shape = _SHAPES[label % len(_SHAPES)]
            said = f"{code} ({words.count(int(chosen.sum()))})"
            axes.scatter(
                x=places[chosen & ~is_wrong, 0],
                y=places[chosen & ~is_wrong, 1],
                s=11,
                marker=shape,
                color=colour,
                alpha=0.7,
                linewidths=0,
                label=said,
            )
            axes.scatter(
                x=places[chosen & is_wrong, 0],
                y=places[chosen & is_wrong, 1],
                s=17,
                marker=shape,
                color=colour,
                edgecolors=INK,
                linewidths=0.9,
            )
        _finish(figure, axes)
        n_wrong = int(is_wrong.sum())
        said = f"{words.counted(len(labels), 'image')}, {n_wrong} of them decided wrongly."
        return as_svg(figure, name=name, title=title, description=said), _png(figure)


def _finish(figure: Figure, axes: Axes) -> None:
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.scatter(
        [], [], s=17, color="none", edgecolors=INK, linewidths=0.9, label="decided wrongly"
    )
    figure.legend(
        loc="outside lower center", ncols=3, fontsize=10.5, handletextpad=0.1, markerscale=1.8
    )


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, facecolor="white")
    return file.getvalue()
