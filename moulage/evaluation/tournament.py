"""Every classifier of a study on the same lesions, each beside each, on draws that all share.

In:  test predictions by name and by place (a split and a seed: what differs between runs).
Out: a Spread a classifier, a Difference a pair.
Knows nothing of studies or pages.
Why: lesions drawn anew for each pair would cost minutes for twenty runs, and the same classifier
would have another interval in every table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from moulage.evaluation.comparison import (
    N_PERMUTATIONS,
    SIGNIFICANT,
    Contender,
    Difference,
    align_run,
    differences,
)
from moulage.evaluation.decisions import Rule
from moulage.evaluation.intervals import N_REPLICATES
from moulage.evaluation.metrics import OVERALL, Scored, is_ranked
from moulage.evaluation.permutation import (
    Swaps,
    draw_swaps,
    least_p_value,
    p_value,
    permuted_differences,
)
from moulage.evaluation.resampling import Drawn, Lesions, Weights, draw_lesions, resample
from moulage.evaluation.roc import Curve, roc_curve
from moulage.evaluation.spread import Spread, spreads
from moulage.predictions import Predictions

Runs = Mapping[str, Predictions]
N_CURVES = 400  # draws of a band
_SUMMED = tuple(name for name in OVERALL if not is_ranked(name))
_NAMES: dict[Rule, tuple[str, ...]] = {
    "natural": (*_SUMMED, "macro_auroc"),  # rankings know no rule: they are drawn once
    "balanced": _SUMMED,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Draws:
    """Lesions of some places, how often each is drawn, and which permutations swap it."""

    lesions: Lesions
    weights: Weights
    swaps: Swaps


class Tournament:
    """Keeps what was drawn and measured, so that no question is computed twice."""

    def __init__(
        self,
        entries: Mapping[str, Runs],
        *,
        rng: np.random.Generator,
        n_replicates: int = N_REPLICATES,
        n_permutations: int = N_PERMUTATIONS,
    ) -> None:
        """Take runs by place, by name; at one place all must hold the same images.

        n_permutations: 1,000 of them tell which pairs differ beyond chance alone; only these are
        tested by all, since no correction makes another pair significant.
        """
        self._entries = _aligned(entries)
        self._rng, self._n_replicates = rng, n_replicates
        self._n_permutations = n_permutations
        self._draws: dict[tuple[str, ...], _Draws] = {}
        self._scored: dict[tuple[str, Rule, tuple[str, ...]], tuple[Scored, ...]] = {}
        self._drawn: dict[tuple[str, Rule, tuple[str, ...]], Drawn] = {}

    def shared(self, first: str, second: str) -> tuple[str, ...]:
        """Return the places at which both ran."""
        return tuple(place for place in self._entries[first] if place in self._entries[second])

    def contender(self, name: str, rule: Rule, places: Sequence[str]) -> Contender:
        """Return one classifier's runs at some places, rows aligned with the others'."""
        runs = tuple(self._entries[name][place] for place in places)
        return Contender(name=name, runs=runs, rule=rule)

    def spread(self, name: str, rule: Rule) -> dict[str, Spread]:
        """Return a classifier's metrics over all its runs: luck of lesions, luck of seeds."""
        places = tuple(self._entries[name])
        return spreads(self._score(name, rule, places), self._draw(name, rule, places))

    def curve(self, name: str, diagnosis: int) -> Curve:
        """Return the ROC curve of one diagnosis, the mean over all runs of a classifier."""
        places = tuple(self._entries[name])
        draws = self._draws_of(name, places)
        return roc_curve(
            self._score(name, "natural", places),
            image_ids=[self._entries[name][place].image_ids for place in places],
            diagnosis=diagnosis,
            lesions=draws.lesions,
            weights=draws.weights[:, :N_CURVES].astype(np.float64),
        )

    def difference(
        self, first: tuple[str, Rule], second: tuple[str, Rule], metric: str
    ) -> Difference | None:
        """Return first minus second in one metric; None where no run of both shares a place.

        The p value is by permutation of lesions; a metric of ranks has none here, as its
        permutations cost a hundred times as much (`comparison.compare` has them).
        """
        places = self.shared(first[0], second[0])
        if not places:
            return None
        draws = self._draws_of(first[0], places)
        ours, theirs = (self._draw(*each, places) for each in (first, second))
        drawn = ours.minus(theirs)
        p = float("nan")
        if not is_ranked(metric):
            runs = (self._score(*first, places), self._score(*second, places))
            p = _p_value(drawn.values[metric], runs=runs, draws=draws, metric=metric)
        (found,) = differences(
            drawn,
            p_values={metric: p},
            names=(first[0], second[0]),
            n_lesions=draws.lesions.n_lesions,
            least_p=least_p_value(self._n_permutations),
            unit=self._entries[first[0]][places[0]].unit,
        )
        return found

    def _draws_of(self, name: str, places: tuple[str, ...]) -> _Draws:
        if places not in self._draws:
            lesions = Lesions.of([self._entries[name][place] for place in places])
            n_lesions, rng = lesions.n_lesions, self._rng
            self._draws[places] = _Draws(
                lesions=lesions,
                weights=draw_lesions(n_lesions, n_replicates=self._n_replicates, rng=rng),
                swaps=draw_swaps(n_lesions, n_permutations=self._n_permutations, rng=rng),
            )
        return self._draws[places]

    def _score(self, name: str, rule: Rule, places: tuple[str, ...]) -> tuple[Scored, ...]:
        key = (name, rule, places)
        if key not in self._scored:
            self._scored[key] = self.contender(name, rule, places).scored()
        return self._scored[key]

    def _draw(self, name: str, rule: Rule, places: tuple[str, ...]) -> Drawn:
        key = (name, rule, places)
        if key not in self._drawn:
            draws = self._draws_of(name, places)
            self._drawn[key] = resample(
                self._score(name, rule, places),
                lesions=draws.lesions,
                weights=draws.weights,
                names=_NAMES[rule],
            )
        return self._drawn[key]


def _p_value(
    observed: float,
    *,
    runs: tuple[tuple[Scored, ...], tuple[Scored, ...]],
    draws: _Draws,
    metric: str,
) -> float:
    """Return the p value by the first permutations, and by all where these call it significant."""

    def by(swaps: Swaps) -> float:
        permuted = permuted_differences(*runs, lesions=draws.lesions, swaps=swaps, names=(metric,))
        return p_value(observed, permuted=permuted[metric])

    first = by(draws.swaps[:, :N_PERMUTATIONS])
    is_settled = first >= SIGNIFICANT or draws.swaps.shape[1] <= N_PERMUTATIONS
    return first if is_settled else by(draws.swaps)


def _aligned(entries: Mapping[str, Runs]) -> dict[str, dict[str, Predictions]]:
    """Bring the rows of all runs at one place into the order of the first."""
    first: dict[str, Predictions] = {}
    for runs in entries.values():
        for place, run in runs.items():
            first.setdefault(place, run)
    return {
        name: {place: align_run(run, onto=first[place]) for place, run in runs.items()}
        for name, runs in entries.items()
    }
