"""What acting on probabilities is worth: net benefit, and the cost of decisions.

In:  positives (N,) bool and their probabilities (N,); or decisions and a table of costs.
Out: a curve beside "treat all" and "treat none"; a mean cost with its interval.
Knows nothing of which diagnoses are asked for, or who sets the costs.
Why: a threshold probability says how many needless excisions one found melanoma is worth:
at 10 %, nine [vickers2006].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, nearest
from moulage.evaluation.decisions import Rule
from moulage.evaluation.intervals import Interval
from moulage.evaluation.means import mean_interval
from moulage.evaluation.metrics import decide_all
from moulage.evaluation.scales import DIFFERENCE
from moulage.predictions import Predictions

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 51))


@dataclass(frozen=True, slots=True, kw_only=True)
class Benefit:
    """Net benefit at one threshold, in found cases an image; none is always 0."""

    threshold: float
    classifier: Interval
    treat_all: float
    n_called: int


def net_benefit(
    *,
    positives: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    lesion_ids: NDArray[np.str_],
    thresholds: Sequence[float] = THRESHOLDS,
) -> tuple[Benefit, ...]:
    """Return found cases minus needless alarms, these weighed by t / (1 − t), an image."""
    curve = []
    for threshold in thresholds:
        if not 0 < threshold < 1:
            raise ConfigError(
                f"A threshold must lie in (0, 1); got {threshold}. Write 0.1 for 10 %."
            )
        called = probabilities >= threshold
        worth = np.where(positives, 1.0, -threshold / (1 - threshold))
        curve.append(
            Benefit(
                threshold=threshold,
                classifier=mean_interval(worth * called, lesion_ids=lesion_ids, bounds=DIFFERENCE),
                treat_all=float(worth.mean()) if len(worth) else np.nan,
                n_called=int(called.sum()),
            )
        )
    return tuple(curve)


def cost_table(
    costs: Mapping[str, Mapping[str, float]], diagnoses: Sequence[str]
) -> NDArray[np.float64]:
    """Return costs `(K, K)`, rows truth, columns decision: what is not said costs 1, right 0.

    >>> cost_table({"mel": {"nv": 20}}, ("mel", "nv")).tolist()
    [[0.0, 20.0], [1.0, 0.0]]
    """
    table = 1 - np.eye(len(diagnoses))
    place = {code: k for k, code in enumerate(diagnoses)}
    for truth, decided in costs.items():
        for decision, cost in decided.items():
            for code in (truth, decision):
                if code not in place:
                    raise ConfigError(
                        f"`decisions.cost` must name diagnoses ({', '.join(diagnoses)}); got "
                        f"{code!r}." + (nearest(code, diagnoses) or " Choose one of them.")
                    )
            table[place[truth], place[decision]] = cost
    return table


def mean_cost(predictions: Predictions, *, costs: NDArray[np.float64], rule: Rule) -> Interval:
    """Return what the decisions of a rule cost an image, with its interval, in the costs' range."""
    decisions = decide_all(predictions, rule=rule, costs=costs)
    paid = costs[predictions.labels, decisions]
    bounds = (0.0, float(costs.max()))
    return mean_interval(paid, lesion_ids=predictions.lesion_ids, bounds=bounds)
