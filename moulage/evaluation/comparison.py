"""Compare two classifiers on the same lesions, so that a sceptic agrees.

In:  two Contenders: predictions of the same images under a named rule, a run a seed or split.
Out: a Difference a metric: value, interval, p value, verdict in words.
Knows nothing of studies or pages.
Why: two accuracies differ by luck of the lesions. Both classifiers are measured on the same drawn
lesions; runs of several seeds are averaged, and what seeds make of it stands apart, in `spread`.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from moulage.arguments import names_of, one_of, whole_number
from moulage.errors import DataError
from moulage.evaluation.decisions import Rule
from moulage.evaluation.exact import DeLong, McNemar, delong, holm, mcnemar
from moulage.evaluation.intervals import LEVEL, N_REPLICATES, Interval, difference_intervals
from moulage.evaluation.lesions import by_lesion
from moulage.evaluation.metrics import OVERALL, Scored, decide_all, metric_names, score
from moulage.evaluation.permutation import least_p_value, permutation_p_values
from moulage.evaluation.resampling import Drawn, Lesions, draw_lesions, resample
from moulage.evaluation.thresholds import is_any_of, score_of
from moulage.predictions import Predictions
from moulage.split import Unit

LOWER_IS_BETTER = frozenset({"log_loss", "brier"})
SIGNIFICANT = 0.05
_POWER = 0.8  # of studies that show a true difference
N_PERMUTATIONS = 1000  # a p value of 0.05 is then known to within 0.014
_PERMUTATIONS_A_TEST = 100  # the least p value of a family is then below 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """A recipe under a decision rule, with its predictions of one part, a run a seed or split."""

    name: str
    runs: tuple[Predictions, ...]
    rule: Rule = "natural"
    costs: NDArray[np.float64] | None = None

    def scored(self) -> tuple[Scored, ...]:
        """Return each run decided and ranked."""
        return tuple(score(run, rule=self.rule, costs=self.costs) for run in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """First minus second in one metric, the mean over runs.

    p_value: by permutation of lesions. p_family: the same after Holm's correction. least_p: the
    least p value that so many permutations can show. unit: what n_lesions counts.
    """

    metric: str
    first: str
    second: str
    interval: Interval
    p_value: float
    p_family: float
    n_lesions: int
    least_p: float = 0.0
    unit: Unit = "lesion"

    @property
    def is_least(self) -> bool:
        """Say whether no permutation differed as much: the true p value may be smaller still."""
        return self.p_value <= self.least_p

    @property
    def verdict(self) -> str:
        """Say of the first "better", "worse" or "no difference shown on 1,494 lesions"."""
        if math.isnan(self.p_family):
            return "not defined"
        if self.p_family >= SIGNIFICANT:
            noun = self.unit if self.n_lesions == 1 else f"{self.unit}s"
            return f"no difference shown on {self.n_lesions:,} {noun}"
        is_higher = self.interval.value > 0
        return "better" if is_higher != (self.metric in LOWER_IS_BETTER) else "worse"


def permutations_for(n_tests: int) -> int:
    """Return how many permutations a family of tests needs, so that one can be significant in it.

    R permutations show no p value below 1 / (R + 1), which Holm's correction multiplies by up to
    `n_tests`: after 1,000, no difference would be beyond chance in a family of more than fifty.
    """
    return max(N_PERMUTATIONS, _PERMUTATIONS_A_TEST * n_tests)


def compare(
    first: Contender,
    second: Contender,
    *,
    rng: np.random.Generator,
    metrics: Sequence[str] | str = OVERALL,
    n_replicates: int = N_REPLICATES,
    n_permutations: int = N_PERMUTATIONS,
    level: float = LEVEL,
) -> tuple[Difference, ...]:
    """Return the difference in each metric; `correct_family` comes after the last comparison.

    n_permutations: where the family is large, what `permutations_for` says.
    Run i of one is paired with run i of the other: they must hold the same images and labels,
    in any order. Raises DataError where they do not.
    """
    metrics = names_of(metrics, "metrics")
    for metric in metrics:
        one_of(metric, "metrics", metric_names(first.runs[0].diagnoses))
    whole_number(n_permutations, "n_permutations", least=1)
    second = _align(second, onto=first)
    lesions = Lesions.of(first.runs)
    ours, theirs = first.scored(), second.scored()
    weights = draw_lesions(lesions.n_lesions, n_replicates=n_replicates, rng=rng)
    drawn = resample(ours, lesions=lesions, weights=weights, names=metrics).minus(
        resample(theirs, lesions=lesions, weights=weights, names=metrics)
    )
    p_values = permutation_p_values(
        ours, theirs, lesions=lesions, n_permutations=n_permutations, rng=rng, names=metrics
    )
    return differences(
        drawn,
        p_values=p_values,
        names=(first.name, second.name),
        n_lesions=lesions.n_lesions,
        least_p=least_p_value(n_permutations),
        level=level,
        unit=first.runs[0].unit,
    )


def differences(
    drawn: Drawn,
    *,
    p_values: Mapping[str, float],
    names: tuple[str, str],
    n_lesions: int,
    least_p: float = 0.0,
    level: float = LEVEL,
    unit: Unit = "lesion",
) -> tuple[Difference, ...]:
    """Return a Difference for each metric of `p_values`; drawn: first minus second."""
    intervals = difference_intervals(drawn, level=level)
    return tuple(
        Difference(
            metric=metric,
            first=names[0],
            second=names[1],
            interval=intervals[metric],
            p_value=p_value,
            p_family=p_value,
            n_lesions=n_lesions,
            least_p=least_p,
            unit=unit,
        )
        for metric, p_value in p_values.items()
    )


def correct_family(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """Return the differences with `p_family` corrected for all of them [holm1979].

    The family is what is passed: one metric over all pairs, as a rule.
    """
    family = tuple(differences)
    corrected = holm([difference.p_value for difference in family])
    return tuple(
        replace(difference, p_family=p_value)
        for difference, p_value in zip(family, corrected, strict=True)
    )


def shown_difference(standard_error: float, *, n_tests: int) -> float:
    """Return the true difference that four of five such studies would show in so large a family.

    (z(1 - 0.05 / 2 / n_tests) + z(0.8)) standard errors [lachin1981], by Holm's first step, which
    asks most of a test [holm1979]: a difference that comes later in the family is shown more often.
    """
    return float(ndtri(1 - SIGNIFICANT / 2 / n_tests) + ndtri(_POWER)) * standard_error


def mcnemar_on_lesions(first: Contender, second: Contender) -> tuple[McNemar, ...]:
    """Return the exact test on lesions (mean logit), one a run; DataError where ids are groups'."""
    second = _align(second, onto=first)
    return tuple(
        mcnemar(
            first_right=_is_right(one, rule=first.rule, costs=first.costs),
            second_right=_is_right(other, rule=second.rule, costs=second.costs),
        )
        for one, other in _lesion_pairs(first, second)
    )


def delong_on_lesions(
    first: Contender, second: Contender, *, codes: Collection[str]
) -> tuple[DeLong, ...]:
    """Return the test of "is it one of these diagnoses?" on lesions, one a run."""
    second = _align(second, onto=first)
    return tuple(
        delong(
            positives=is_any_of(one, codes),
            first=score_of(one, codes),
            second=score_of(other, codes),
        )
        for one, other in _lesion_pairs(first, second)
    )


def align_run(run: Predictions, *, onto: Predictions) -> Predictions:
    """Return a run's rows in the order of another's; DataError unless both hold the same images."""
    ours, theirs = pd.Index(run.image_ids), pd.Index(onto.image_ids)
    if len(run) == len(onto) and ours.is_unique and theirs.isin(ours).all():
        aligned = run.take(np.asarray(ours.get_indexer(theirs), dtype=np.int64))
        if aligned.diagnoses == onto.diagnoses and _equal_truth(aligned, onto):
            return aligned
    raise DataError(
        "Two classifiers must be compared on the same images, lesions, diagnoses and labels; got "
        f"{len(run)} and {len(onto)} images, {len(theirs.intersection(ours))} of them shared. "
        "Train both on one split."
    )


def _align(contender: Contender, *, onto: Contender) -> Contender:
    """Return the contender with each run's rows in the order of the other's."""
    if len(contender.runs) != len(onto.runs):
        raise DataError(
            f"Two contenders must have as many runs; got {len(onto.runs)} of {onto.name} and "
            f"{len(contender.runs)} of {contender.name}. Compare the seeds that both have."
        )
    pairs = zip(contender.runs, onto.runs, strict=True)
    return replace(contender, runs=tuple(align_run(run, onto=other) for run, other in pairs))


def _equal_truth(one: Predictions, other: Predictions) -> bool:
    same_lesions = np.array_equal(one.lesion_ids, other.lesion_ids)
    return same_lesions and np.array_equal(one.labels, other.labels)


def _lesion_pairs(first: Contender, second: Contender) -> Iterable[tuple[Predictions, Predictions]]:
    for one, other in zip(first.runs, second.runs, strict=True):
        yield by_lesion(one), by_lesion(other)


def _is_right(
    lesions: Predictions, *, rule: Rule, costs: NDArray[np.float64] | None
) -> NDArray[np.bool_]:
    return np.asarray(decide_all(lesions, rule=rule, costs=costs) == lesions.labels)
