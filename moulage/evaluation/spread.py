"""Several runs of one recipe: what is luck of the seed, and what is luck of the lesions.

In:  runs, scored, and what was drawn of their lesions.   Out: a Spread a metric.
Knows nothing of what differs between runs: seeds, splits or folds.
Why: three seeds on one test part share its lesions, so their agreement says nothing of other
lesions; and a wide interval over lesions says nothing of other seeds. They are told apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moulage.evaluation.intervals import Interval, intervals_of
from moulage.evaluation.metrics import Scored
from moulage.evaluation.resampling import Drawn, mean_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One metric over runs.

    values: one a run. interval: of their mean, from drawing lesions again while the runs stay;
    its standard error is the variation between lesions. between_runs: standard deviation of
    `values`, NaN for one run.
    """

    metric: str
    values: tuple[float, ...]
    interval: Interval
    between_runs: float


def spreads(runs: Sequence[Scored], drawn: Drawn) -> dict[str, Spread]:
    """Return the spread of each metric that was drawn for these runs."""
    intervals = intervals_of(drawn)
    tables = [mean_values((run,), names=tuple(drawn.values)) for run in runs]
    return {
        name: _spread(name, values=[table[name] for table in tables], interval=intervals[name])
        for name in drawn.values
    }


def _spread(name: str, *, values: Sequence[float], interval: Interval) -> Spread:
    return Spread(
        metric=name,
        values=tuple(values),
        interval=interval,
        between_runs=float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
    )
