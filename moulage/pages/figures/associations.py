"""Counts of one column's words by another's: a cell a pair, shaded by its share of the row.

In:  a crosstab of `survey.associations`.   Out: one SVG.   Knows nothing of tests.
"""

from dataclasses import replace

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, DEEPEST, INK, LETTER_INCHES, MUTED, as_svg, drawing
from moulage.surveying.associations import Crosstab

_CELL_WIDTH, _CELL_HEIGHT = 0.66, 0.36
_LONG = 8  # letters of a word that no longer fit above a cell


def draw_crosstab(shown: Crosstab, *, name: str, title: str, description: str) -> Markup:
    """Draw counts of images; the darker a cell, the larger its share of its row."""
    shown = replace(
        shown,
        rows=tuple(words.shortened(shown.rows)),
        columns=tuple(words.shortened(shown.columns)),
    )
    letters = max(map(len, shown.rows))
    aslant = 0.75 * max(map(len, shown.columns)) * LETTER_INCHES
    is_aslant = max(map(len, shown.columns)) > _LONG
    left, above = 0.2 + letters * LETTER_INCHES, 0.55 + (aslant if is_aslant else 0)
    right = 0.75 + (0.3 if is_aslant else 0)
    n_rows, n_columns = shown.counts.shape
    width = left + n_columns * _CELL_WIDTH + right
    height = above + n_rows * _CELL_HEIGHT + 0.05
    with drawing(width=width, height=height) as (figure, axes):
        figure.set_layout_engine("none")
        axes.set_position(
            (left / width, 0.05 / height, 1 - (left + right) / width, 1 - (above + 0.05) / height)
        )
        _draw_cells(axes, shown)
        _draw_words(axes, shown, is_aslant=is_aslant)
        axes.text(
            (n_columns - 1) / 2, -0.5 - (above - 0.13) / _CELL_HEIGHT, shown.column_name,
            ha="center", va="center", color=MUTED,
        )  # fmt: skip
        return as_svg(figure, name=name, title=title, description=description)


def _draw_cells(axes: Axes, shown: Crosstab) -> None:
    shares = shown.shares
    for (row, column), n in np.ndenumerate(shown.counts):
        share = float(shares[row, column])
        shade = 0.0 if np.isnan(share) else DEEPEST * share
        corner = (column - 0.48, row - 0.46)
        axes.add_patch(Rectangle(corner, 0.96, 0.92, facecolor=ACCENT, alpha=shade, linewidth=0))
        colour = INK if n else MUTED
        axes.text(
            column, row, words.count(int(n)), ha="center", va="center", color=colour, fontsize=8.5
        )


def _draw_words(axes: Axes, shown: Crosstab, *, is_aslant: bool) -> None:
    n_rows, n_columns = shown.counts.shape
    axes.set_xlim(-0.5, n_columns - 0.5)
    axes.set_ylim(n_rows - 0.5, -0.5)
    axes.set_axis_off()
    for row, (word, total) in enumerate(zip(shown.rows, shown.counts.sum(axis=1), strict=True)):
        axes.text(-0.6, row, word, ha="right", va="center", color=INK, fontsize=9)
        said = words.count(int(total))
        axes.text(n_columns - 0.42, row, said, va="center", color=MUTED, fontsize=8.5)
    axes.text(n_columns - 0.42, -0.62, "n", va="bottom", color=MUTED, fontsize=8.5)
    for column, word in enumerate(shown.columns):
        axes.text(
            column - (0.2 if is_aslant else 0), -0.62, word, color=INK, va="bottom", fontsize=9,
            rotation=45 if is_aslant else 0, ha="left" if is_aslant else "center",
            rotation_mode="anchor",
        )  # fmt: skip
