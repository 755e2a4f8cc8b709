"""Trade-offs as curves: risk against coverage, net benefit against the threshold.

In:  curves of `evaluation/`.   Out: one SVG each.
Knows nothing of records and pages.
"""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from moulage.evaluation.abstention import Abstained, Curve, risk_at
from moulage.evaluation.benefit import Benefit
from moulage.pages import words
from moulage.pages.figures.svg import ACCENT, INK, MUTED, as_svg, drawing

_SIZE = {"width": 4.6, "height": 3.2}
_DASHED, _DOTTED = (0, (4, 2)), (0, (1, 2))


def draw_risk(curve: Curve, abstained: Abstained, *, name: str) -> Markup:
    """Draw the share of wrong answers against the share answered, the chosen threshold marked."""
    with drawing(**_SIZE) as (figure, axes):
        axes.plot(curve.coverages, curve.risks, color=ACCENT)
        if abstained.n_answered:
            axes.plot(abstained.coverage.value, abstained.risk.value, "o", color=INK, markersize=6)
            axes.plot(
                [abstained.coverage.value] * 2,
                [abstained.risk.low, abstained.risk.high],
                color=INK,
                linewidth=1.2,
            )
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, _top([*curve.risks.tolist(), abstained.risk.high]))
        axes.set_xlabel("coverage (share of images answered)")
        axes.set_ylabel("risk (share of answers wrong)")
        return as_svg(figure, name=name, title="Risk by coverage", description=_describe(curve))


def draw_benefit(curve: Sequence[Benefit], *, name: str, title: str) -> Markup:
    """Draw the classifier with its interval, treating all (dashed) and none (dotted)."""
    thresholds = np.array([one.threshold for one in curve])
    values, lows, highs = (
        np.array([getattr(one.classifier, end) for one in curve], dtype=np.float64)
        for end in ("value", "low", "high")
    )
    everyone = np.array([one.treat_all for one in curve])
    with drawing(**_SIZE) as (figure, axes):
        axes.fill_between(thresholds, lows, highs, color=ACCENT, alpha=0.18, linewidth=0)
        axes.plot(thresholds, values, color=ACCENT, label="classifier")
        axes.plot(thresholds, everyone, color=MUTED, linestyle=_DASHED, label="treat all")
        axes.axhline(0, color=INK, linestyle=_DOTTED, linewidth=1.2, label="treat none")
        top = _top([*highs.tolist(), *everyone.tolist()])
        axes.set_ylim(-0.35 * top, top)
        axes.set_xlim(0, float(thresholds.max()))
        axes.set_xlabel("threshold probability")
        axes.set_ylabel("net benefit (found cases an image)")
        figure.legend(loc="outside upper right", ncols=3)
        better = thresholds[(values > everyone) & (values > 0)]
        said = (
            f"Better than treating all or none from {words.score(better.min())} to "
            f"{words.score(better.max())}."
            if better.size
            else "Nowhere better than treating all or none."
        )
        return as_svg(figure, name=name, title=title, description=said)


def _describe(curve: Curve) -> str:
    if not len(curve.risks):
        return "There are no images."
    halves = ", ".join(
        f"{words.score(risk_at(curve, share))} at {words.percent(share)}"
        for share in (0.5, 0.8, 1.0)
    )
    return f"Risk {halves} coverage; area {words.score(curve.area)}."


def _top(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return 1.08 * max(finite, default=1.0) or 1.0
