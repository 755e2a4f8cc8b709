"""Confusion matrices: counts, and the share of each row.

In:  counts (K, K), rows truth, columns prediction, with the codes of the diagnoses.
Out: one SVG.   Knows nothing of predictions and decision rules.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, INK, MUTED, as_svg, drawing

_CELL_INCHES = 0.5
_BESIDE_INCHES, _ABOVE_INCHES = 1.25, 0.62
_DEEPEST = 0.62  # text in ink stays legible on the accent up to here, light and dark


def draw_confusion(
    counts: NDArray[np.int64], diagnoses: Sequence[str], *, name: str, title: str
) -> Markup:
    """Draw `counts (K, K)`; a cell's shade is its share of its row, a row sums to 1."""
    side = _CELL_INCHES * max(len(diagnoses), 4)
    shares = row_shares(counts)
    with drawing(width=side + _BESIDE_INCHES, height=side + _ABOVE_INCHES) as (figure, axes):
        _draw_cells(axes, counts, shares)
        _draw_axes(axes, diagnoses, counts.sum(axis=1))
        return as_svg(figure, name=name, title=title, description=describe(counts, diagnoses))


def row_shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each row over its sum `(K, K)`; a row without images is NaN."""
    sums = counts.sum(axis=1, keepdims=True).astype(np.float64)
    shares = np.full(counts.shape, np.nan)
    np.divide(counts, sums, out=shares, where=sums > 0)
    return shares


def describe(counts: NDArray[np.int64], diagnoses: Sequence[str]) -> str:
    """Say how many are right and which confusion is the most frequent."""
    right, total = int(np.trace(counts)), int(counts.sum())
    said = f"{words.count(right)} of {words.counted(total, 'image')} are right."
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return said
    truth, prediction = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return (
        f"{said} Most often confused: {diagnoses[int(truth)]} taken for "
        f"{diagnoses[int(prediction)]}, {words.counted(int(wrong.max()), 'time')}."
    )


def _draw_cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for (row, column), n in np.ndenumerate(counts):
        share = float(shares[row, column])
        shade = 0.0 if np.isnan(share) else _DEEPEST * share
        corner = (column - 0.47, row - 0.47)
        axes.add_patch(Rectangle(corner, 0.94, 0.94, facecolor=ACCENT, alpha=shade, linewidth=0))
        if not n:
            _write(axes, column, row, said="0", color=MUTED)
            continue
        _write(axes, column, row - 0.13, said=words.count(int(n)), color=INK)
        _write(axes, column, row + 0.24, said=f"{share:.2f}", color=INK, fontsize=8)


def _write(axes: Axes, x: float, y: float, *, said: str, **style: Any) -> None:
    """Write inside a cell; the layout need not measure what lies within the axes."""
    axes.text(x, y, said, ha="center", va="center", **style).set_in_layout(False)


def _draw_axes(axes: Axes, diagnoses: Sequence[str], sums: NDArray[np.int64]) -> None:
    n_classes = len(diagnoses)
    axes.set_xlim(-0.5, n_classes - 0.5)
    axes.set_ylim(n_classes - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xticks(range(n_classes), diagnoses, rotation=45 if _is_long(diagnoses) else 0)
    axes.set_yticks(range(n_classes), diagnoses)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    for side in ("left", "bottom", "top", "right"):
        axes.spines[side].set_visible(False)
    _draw_sums(axes, sums)


def _is_long(diagnoses: Sequence[str]) -> bool:
    return max(map(len, diagnoses)) > 6


def _draw_sums(axes: Axes, sums: NDArray[np.int64]) -> None:
    right = len(sums) - 0.35
    for row, n in enumerate(sums):
        axes.text(right, row, words.count(int(n)), va="center", color=MUTED, fontsize=8.5)
    axes.text(right, -0.62, "n", va="bottom", color=MUTED)
