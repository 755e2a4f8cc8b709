"""Several runs of one recipe: what is luck of the seed, and what is luck of the lesions.

In:  a Contender of one or more runs.   Out: a Spread a metric.
Knows nothing of what differs between runs: seeds, splits or folds.
Why: three seeds on one test part share its lesions, so their agreement says nothing of other
lesions; and a wide interval over lesions says nothing of other seeds. They are told apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moulage.evaluation.comparison import Contender
from moulage.evaluation.intervals import LEVEL, N_REPLICATES, Interval, intervals_of
from moulage.evaluation.metrics import OVERALL, Scored
from moulage.evaluation.resampling import Drawn, Lesions, draw_lesions, mean_values, resample


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


def spread(
    contender: Contender,
    *,
    rng: np.random.Generator,
    metrics: Sequence[str] = OVERALL,
    n_replicates: int = N_REPLICATES,
    level: float = LEVEL,
) -> dict[str, Spread]:
    """Return the spread of each metric; the lesions of all runs are drawn together."""
    scored, lesions = contender.scored(), Lesions.of(contender.runs)
    weights = draw_lesions(lesions.n_lesions, n_replicates=n_replicates, rng=rng)
    drawn = resample(scored, lesions=lesions, weights=weights, names=metrics)
    return spreads(scored, drawn, level=level)


def spreads(runs: Sequence[Scored], drawn: Drawn, *, level: float = LEVEL) -> dict[str, Spread]:
    """Return the spread of each metric that was drawn for these runs."""
    intervals = intervals_of(drawn, level=level)
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
