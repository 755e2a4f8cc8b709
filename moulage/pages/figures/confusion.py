"""Confusion matrices: counts, and the share of each row.

In:  counts (K, K), rows truth, columns prediction, with the codes of the diagnoses.
Out: one SVG.   Knows nothing of predictions and decision rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from moulage.evaluation.undefined import ratio
from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, DEEPEST, INK, LETTER_INCHES, MUTED, as_svg, drawing

_LONG = 6  # letters of a code that no longer fit above a cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Inches that one cell and the names around the cells take."""

    cell: float
    left: float
    right: float
    above: float

    def size(self, n_classes: int) -> tuple[float, float]:
        """Return width and height of the whole figure."""
        return self.left + n_classes * self.cell + self.right, self.above + n_classes * self.cell


def draw_confusion(
    counts: NDArray[np.int64], diagnoses: Sequence[str], *, name: str, title: str
) -> Markup:
    """Draw `counts (K, K)`; a cell's shade is its share of its row, a row sums to 1."""
    names = words.shortened(diagnoses, 14)
    room = _room(counts, names)
    width, height = room.size(len(diagnoses))
    with drawing(width=width, height=height) as (figure, axes):
        figure.set_layout_engine("none")
        axes.set_position(
            (room.left / width, 0, 1 - (room.left + room.right) / width, 1 - room.above / height)
        )
        _draw_cells(axes, counts, row_shares(counts))
        _draw_axes(axes, names, room)
        _draw_sums(axes, counts.sum(axis=1))
        return as_svg(figure, name=name, title=title, description=describe(counts, diagnoses))


def row_shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each row over its sum `(K, K)`; a row without images is NaN."""
    return ratio(counts, counts.sum(axis=1, keepdims=True))


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


def _room(counts: NDArray[np.int64], names: Sequence[str]) -> Room:
    """Names wider than a cell are written aslant, so they take room above and to the right."""
    letters = max(map(len, names))
    digits = len(words.count(int(counts.sum(axis=1).max())))
    aslant = 0.75 * letters * LETTER_INCHES if letters > _LONG else 0.0
    return Room(
        cell=max(0.5, digits * LETTER_INCHES + 0.08),
        left=0.4 + letters * LETTER_INCHES,
        right=max(0.2 + digits * LETTER_INCHES, aslant - 0.1),
        above=0.5 + aslant,
    )


def _draw_cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for (row, column), n in np.ndenumerate(counts):
        share = float(shares[row, column])
        shade = 0.0 if np.isnan(share) else DEEPEST * share
        corner = (column - 0.47, row - 0.47)
        axes.add_patch(Rectangle(corner, 0.94, 0.94, facecolor=ACCENT, alpha=shade, linewidth=0))
        if not n:
            _write(axes, column, row, said="0", color=MUTED)
            continue
        _write(axes, column, row - 0.13, said=words.count(int(n)), color=INK)
        _write(axes, column, row + 0.24, said=f"{share:.2f}", color=INK, fontsize=8)


def _write(axes: Axes, x: float, y: float, *, said: str, **style: Any) -> None:
    axes.text(x, y, said, ha="center", va="center", **style)


def _draw_axes(axes: Axes, names: Sequence[str], room: Room) -> None:
    n_classes = len(names)
    axes.set_xlim(-0.5, n_classes - 0.5)
    axes.set_ylim(n_classes - 0.5, -0.5)
    axes.set_axis_off()
    aslant = max(map(len, names)) > _LONG
    slope: dict[str, Any] = {"rotation": 45, "ha": "left"} if aslant else {"ha": "center"}
    for k, name in enumerate(names):
        axes.text(k, -0.6, name, va="bottom", color=INK, rotation_mode="anchor", **slope)
        axes.text(-0.62, k, name, va="center", ha="right", color=INK)
    middle = (n_classes - 1) / 2
    top = -0.5 - (room.above - 0.18) / room.cell
    beside = -0.5 - (room.left - 0.12) / room.cell
    axes.text(middle, top, "prediction", ha="center", va="center", color=MUTED)
    axes.text(beside, middle, "truth", ha="center", va="center", color=MUTED, rotation=90)


def _draw_sums(axes: Axes, sums: NDArray[np.int64]) -> None:
    right = len(sums) - 0.35
    for row, n in enumerate(sums):
        axes.text(right, row, words.count(int(n)), va="center", color=MUTED, fontsize=8.5)
    axes.text(right, -0.6, "n", va="bottom", color=MUTED)
