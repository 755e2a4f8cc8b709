"""ROC curves of one diagnosis against the rest: one classifier with its band, the others thin.

In:  sensitivities on a grid of false-alarm rates, by name.   Out: one SVG.
Knows nothing of records and predictions.
"""

from collections.abc import Mapping

from markupsafe import Markup

from moulage.evaluation.roc import GRID, Curve
from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, MUTED, RULE, as_svg, drawing

_SIDE = 3.2


def draw_roc(curves: Mapping[str, Curve], *, chosen: str, code: str, name: str) -> Markup:
    """Draw every curve; `chosen` stands out, its band holds 95 % of the draws at each rate."""
    (short,) = words.shortened([code])
    with drawing(width=_SIDE, height=_SIDE) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=0.8)
        for other, curve in curves.items():
            if other != chosen:
                axes.plot(GRID, curve.sensitivity, color=MUTED, linewidth=0.9, alpha=0.7)
        best = curves[chosen]
        axes.fill_between(GRID, best.low, best.high, color=ACCENT, alpha=0.2, linewidth=0)
        axes.plot(GRID, best.sensitivity, color=ACCENT, linewidth=1.8)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.01)
        axes.set_aspect("equal")
        axes.set_xlabel("false alarms (1 − specificity)")
        axes.set_ylabel(f"sensitivity for {short}")
        return as_svg(
            figure,
            name=name,
            title=f"ROC curve of {code} against the rest",
            description=describe(best, chosen=chosen),
        )


def describe(curve: Curve, *, chosen: str) -> str:
    """Say what the chosen classifier finds at 5, 10 and 20 % false alarms."""
    said = words.listed(
        f"{words.score(float(curve.sensitivity[rate]))} at {rate} % false alarms"
        for rate in (5, 10, 20)
    )
    return f"{chosen}: sensitivity {said}; {words.counted(curve.n_positives, 'image')} of it."
