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
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from moulage.pages import words
from moulage.pages.figures.svg import INK, LETTER_INCHES, as_svg, drawing

_SHAPES = "os^Dvph<>d"
# Narrow, so that a phone shows the legend no smaller than the words around it.
_WIDTH, _PLANE_INCHES, _ROW_INCHES = 4.6, 4.1, 0.23
_EDGED: dict[str, Any] = {"s": 26, "edgecolors": INK, "linewidths": 0.9}
_DPI = 180
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
    with drawing(width=_WIDTH, height=_PLANE_INCHES + n_rows * _ROW_INCHES) as (figure, axes):
        for label, (_, colour) in enumerate(diagnoses):
            chosen = labels == label
            shape = _SHAPES[label % len(_SHAPES)]
            axes.scatter(
                x=places[chosen & ~is_wrong, 0],
                y=places[chosen & ~is_wrong, 1],
                s=11,
                marker=shape,
                color=colour,
                alpha=0.7,
                linewidths=0,
                label=entries[label],
            )
            axes.scatter(
                x=places[chosen & is_wrong, 0],
                y=places[chosen & is_wrong, 1],
                marker=shape,
                color=colour,
                **_EDGED,
            )
        _finish(figure, axes, n_columns)
        n_wrong = int(is_wrong.sum())
        said = f"{words.counted(len(labels), 'image')}, {n_wrong} of them decided wrongly."
        return as_svg(figure, name=name, title=title, description=said), _png(figure)


def _finish(figure: Figure, axes: Axes, n_columns: int) -> None:
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.scatter([], [], color="none", label=_WRONG, **_EDGED)
    figure.legend(
        loc="outside lower center",
        ncols=n_columns,
        fontsize=10.5,
        handletextpad=0.1,
        markerscale=1.8,
    )


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, facecolor="white")
    return file.getvalue()
