"""Draw with matplotlib, hand on inline SVG whose colours and fonts are the page's.

In:  a drawn figure, its name (unique on the page), title and description.
Out: one `<svg>` element, the same bytes for the same drawing.
Knows nothing of what is drawn.
Why: an inlined figure that uses the page's CSS variables follows light, dark and print; a
picture file would need one copy for each.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from xml.sax.saxutils import escape, quoteattr

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Colours that stand for the page's variables until the drawing is done.
INK, MUTED, RULE, ACCENT, PAPER = "#000001", "#000002", "#000003", "#000004", "#000005"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    ACCENT: "--accent",
    PAPER: "--paper",
}
POINTS_PER_INCH = 72
LETTER_INCHES = 0.083
DEEPEST = 0.62  # text in ink stays legible on the accent up to here, light and dark
_PHONE = 380  # what a phone shows without shrinking the text too far
_LEGIBLE = 1.25  # pixels a unit: a cell's share, the smallest text, has ten
_COLUMN = 424  # what then fits beside another figure
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "moulage",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}


@contextmanager
def drawing(*, width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure of `width` × `height` inches with one set of axes, in the page's style."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the browser has its own
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
        yield figure, figure.subplots()


def as_svg(
    figure: Figure,
    *,
    name: str,
    title: str,
    description: str,
    shades: Mapping[str, str] | None = None,
) -> Markup:
    """Return the figure as one `<svg>` element; call inside `drawing`.

    shades: colour as drawn → the one that stands for it on a dark screen.
    """
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(file, metadata=nothing)  # `savefig` draws twice
    inside = file.getvalue().split("<svg", 1)[1].split(">", 1)[1]
    width, height = figure.get_size_inches() * POINTS_PER_INCH
    opening = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" {_bounds(width)} role="img" '
        f"aria-label={quoteattr(f'{title}. {description}')}><title>{escape(title)}</title>"
    )
    return Markup(opening + _shaded(_themed(_named(inside, name)), shades or {}))


def _bounds(width: float) -> str:
    """Keep text legible: a narrow figure grows to a limit, a wide one scrolls in its frame."""
    least = f"; min-width: {_LEGIBLE * width:.0f}px" if width > _PHONE else ""
    wide = 'class="wide" ' if width > _COLUMN else ""
    return f'{wide}style="max-width: {1.5 * width:.0f}px{least}"'


def _shaded(svg: str, shades: Mapping[str, str]) -> str:
    """Hand colours that are the drawing's own to variables of theirs, light and dark."""
    if not shades:
        return svg
    for colour in shades:
        svg = svg.replace(colour.lower(), f"var({_shade(colour)})")
    light = "".join(f"{_shade(colour)}: {colour.lower()};" for colour in shades)
    dark = "".join(f"{_shade(colour)}: {one.lower()};" for colour, one in shades.items())
    query = "@media screen and (prefers-color-scheme: dark)"
    return f"<style>:root {{{light}}} {query} {{:root {{{dark}}}}}</style>{svg}"


def _shade(colour: str) -> str:
    return f"--shade-{colour.lower().removeprefix('#')}"


def _named(svg: str, name: str) -> str:
    """Put the figure's name before every id, so that figures on one page do not clash."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    return re.sub(r'(url\(#|href="#)', rf"\1{name}-", svg)


def _themed(svg: str) -> str:
    """Hand colours and fonts to the page, and drop what a browser does not read."""
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)  # where all is one size
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", svg)
