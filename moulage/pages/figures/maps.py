"""A map of images in the plane, coloured by diagnosis, wrong decisions marked.

In:  places (N, 2), labels (N,), which are wrong.   Out: one SVG, or the bytes of a PNG.
Knows nothing of what the axes mean. Each diagnosis has a shape of its own beside its colour.
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from moulage.data.diagnoses import on_dark
from moulage.pages import words
from moulage.pages.figures.svg import INK, LETTER_INCHES, PAPER, as_svg, drawing

_SHAPES = "os^Dvph<>d"
# Narrow, so that a phone shows the legend no smaller than the words around it.
_WIDTH, _PLANE_INCHES, _ROW_INCHES = 4.6, 4.1, 0.23
_FEW = 500  # of so many images, points may be larger
_EDGED: dict[str, Any] = {"edgecolors": INK, "linewidths": 0.9}
_DPI = 180
_HAIRLINE = 0.3
_WRONG = "decided wrongly"


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
    names = words.shortened([code for code, _ in diagnoses])
    counts = np.bincount(labels, minlength=len(names)).tolist()
    entries = [f"{short} ({words.count(n)})" for short, n in zip(names, counts, strict=True)]
    entries.append(_WRONG)
    n_columns = max(1, int(_WIDTH / (0.45 + max(map(len, entries)) * LETTER_INCHES)))
    n_rows = math.ceil(len(entries) / n_columns)
    size, edged = (32.0, 46.0) if len(labels) < _FEW else (11.0, 26.0)
    with drawing(width=_WIDTH, height=_PLANE_INCHES + n_rows * _ROW_INCHES) as (figure, axes):
        for label, (_, colour) in enumerate(diagnoses):
            chosen = labels == label
            shape = _SHAPES[label % len(_SHAPES)]
            axes.scatter(
                x=places[chosen & ~is_wrong, 0],
                y=places[chosen & ~is_wrong, 1],
                s=size,
                marker=shape,
                color=colour,
                edgecolors=PAPER,
                linewidths=_HAIRLINE,
                label=entries[label],
            )
            axes.scatter(
                x=places[chosen & is_wrong, 0],
                y=places[chosen & is_wrong, 1],
                s=edged,
                marker=shape,
                color=colour,
                **_EDGED,
            )
        _finish(figure, axes, n_columns, edged)
        n_wrong = int(is_wrong.sum())
        said = f"{words.counted(len(labels), 'image')}, {n_wrong} of them decided wrongly."
        shades = {colour: on_dark(colour) for _, colour in diagnoses}
        svg = as_svg(figure, name=name, title=title, description=said, shades=shades)
        return svg, _png(figure, axes)


def _finish(figure: Figure, axes: Axes, n_columns: int, edged: float) -> None:
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.scatter([], [], s=edged, color="none", label=_WRONG, **_EDGED)
    figure.legend(
        loc="outside lower center",
        ncols=n_columns,
        fontsize=10.5,
        handletextpad=0.1,
        markerscale=1.8 if edged < 30 else 1.4,
    )


def _png(figure: Figure, axes: Axes) -> bytes:
    """Return the picture on white, which its hairlines take the colour of."""
    for legend in figure.legends:
        _whiten(*legend.legend_handles)
    _whiten(*axes.collections)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, facecolor="white")
    return file.getvalue()


def _whiten(*points: Artist | None) -> None:
    for one in points:
        if isinstance(one, PathCollection) and _HAIRLINE in np.atleast_1d(one.get_linewidth()):
            one.set_edgecolor("white")
