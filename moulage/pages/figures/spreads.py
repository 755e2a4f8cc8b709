"""A number by diagnosis: boxes of its quartiles; the mean colour of each diagnosis.

In:  the boxes of `survey.associations`; mean colours.   Out: one SVG each.
Knows nothing of pixels.
"""

from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.patches import Rectangle

from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, INK, MUTED, as_svg, drawing
from moulage.surveying.associations import Spread

_WIDTH = 4.6
_MOST_UPRIGHT = 8  # letters of a code that fit below a box


def draw_spread(shown: Spread, *, name: str, title: str, unit: str, description: str) -> Markup:
    """Draw a box a diagnosis: quartiles, the median, whiskers within 1.5 quartile ranges."""
    boxes = [box for box in shown.boxes if box.n]
    names = words.shortened([box.name for box in boxes])
    said = [f"{name}\nn {words.count(box.n)}" for name, box in zip(names, boxes, strict=True)]
    is_long = max(map(len, names), default=0) > _MOST_UPRIGHT
    height = 3.5 if is_long else 2.9
    with drawing(width=max(_WIDTH, 0.5 * len(boxes)), height=height) as (figure, axes):
        for place, box in enumerate(boxes):
            axes.plot([place] * 2, [box.low, box.high], color=MUTED, linewidth=1)
            axes.add_patch(
                Rectangle(
                    (place - 0.3, box.first), 0.6, box.third - box.first, facecolor=ACCENT,
                    alpha=0.5, linewidth=0,
                )
            )  # fmt: skip
            axes.plot([place - 0.3, place + 0.3], [box.median] * 2, color=INK, linewidth=2)
        axes.set_xticks(range(len(boxes)), said, rotation=45 if is_long else 0, fontsize=8.5)
        axes.set_xlim(-0.6, len(boxes) - 0.4)
        axes.margins(y=0.08)
        axes.set_ylabel(unit)
        return as_svg(figure, name=name, title=title, description=description)


def draw_colours(
    colours: Mapping[str, tuple[float, float, float]], *, name: str, description: str
) -> Markup:
    """Draw the mean colour of each diagnosis' images, its levels in numbers below."""
    with drawing(width=max(_WIDTH, 0.72 * len(colours)), height=1.5) as (figure, axes):
        names = words.shortened(list(colours), _MOST_UPRIGHT)
        for place, (short, colour) in enumerate(zip(names, colours.values(), strict=True)):
            shade = tuple(level / 255 for level in colour)
            axes.add_patch(Rectangle((place - 0.46, 0), 0.92, 1, facecolor=shade, linewidth=0))
            said = "\n".join(f"{level:.0f}" for level in colour)
            axes.text(place, 1.06, short, ha="center", va="bottom", color=INK, fontsize=8.5)
            axes.text(place, -0.08, said, ha="center", va="top", color=MUTED, fontsize=8.5)
        axes.text(-0.56, -0.08, "R\nG\nB", ha="right", va="top", color=MUTED, fontsize=8.5)
        axes.set_xlim(-0.8, len(colours) - 0.4)
        axes.set_ylim(-1.1, 1.4)
        axes.set_axis_off()
        return as_svg(figure, name=name, title="Mean colour", description=description)
