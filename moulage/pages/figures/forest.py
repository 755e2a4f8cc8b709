"""Subgroups side by side: a dot and its interval each.

In:  subgroups of one column and a metric.   Out: one SVG.
Knows nothing of records and pages.
"""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes

from moulage.evaluation.subgroups import Subgroup
from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, MUTED, as_svg, drawing

_ROW, _FRAME = 0.26, 0.75  # inches


def draw_forest(groups: Sequence[Subgroup], metric: str, *, name: str, title: str) -> Markup:
    """Draw each group's number with its interval; small groups are hollow and pale."""
    with drawing(width=4.6, height=_FRAME + _ROW * len(groups)) as (figure, axes):
        for place, group in enumerate(groups):
            _draw_group(axes, place, group, metric)
        axes.set_yticks(
            range(len(groups)),
            [f"{group.name} ({words.count(group.n_lesions)})" for group in groups],
        )
        axes.set_ylim(len(groups) - 0.4, -0.6)
        axes.set_xlim(0, 1.02)
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{title} (share of images), lesions in brackets")
        return as_svg(figure, name=name, title=title, description=_describe(groups, metric))


def _draw_group(axes: Axes, place: int, group: Subgroup, metric: str) -> None:
    found = group.metrics[metric]
    colour = MUTED if group.is_small else ACCENT
    axes.plot([found.low, found.high], [place, place], color=colour, linewidth=1.4)
    axes.plot(
        found.value,
        place,
        "o",
        color=colour,
        markersize=5.5,
        markerfacecolor="none" if group.is_small else colour,
    )


def _describe(groups: Sequence[Subgroup], metric: str) -> str:
    said = [f"{group.name} {words.score(group.metrics[metric].value)}" for group in groups]
    return f"{'; '.join(said)}."
