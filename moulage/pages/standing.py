"""Where the experiments of a study stand: each with its interval, each pair with its verdict.

In:  a study's record.   Out: a Standing, read by the comparison page and by `comparison.json`.
Knows nothing of HTML; the statistics are those of `evaluation.tournament`.
Why: what the page prints and what the file holds are computed once, on the same draws.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from moulage.evaluation.comparison import (
    Contender,
    Difference,
    correct_family,
    delong_on_lesions,
    mcnemar_on_lesions,
    permutations_for,
)
from moulage.evaluation.decisions import PLAIN_RULES, PlainRule
from moulage.evaluation.intervals import N_REPLICATES, Interval, unpaired_difference
from moulage.evaluation.questions import melanoma_in
from moulage.evaluation.roc import Curve
from moulage.evaluation.spread import Spread
from moulage.evaluation.tournament import Tournament
from moulage.pages.comparison import experiments_of
from moulage.pages.records import RunRecord, StudyRecord
from moulage.pages.results import ACCURACY, AUROC, BALANCED, Measure
from moulage.predictions import Predictions
from moulage.seal import digest_of
from moulage.seeding import generator
from moulage.split import Unit

HONEST = ("grouped", "file")
_DRAWS = "comparison"
TESTED = (ACCURACY, BALANCED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two experiments in one measure; p values a run of McNemar (accuracy) or DeLong (mel)."""

    measure: Measure
    difference: Difference
    exact: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """One treatment under one rule, held against no treatment under the balanced rule.

    difference: None for the reference itself, and where no run is paired with one of its.
    """

    experiment: str
    treatment: str
    rule: PlainRule
    is_reference: bool
    difference: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What a dishonest split adds to one measure; is_paired: on the same test images."""

    experiment: str
    honest: str
    kind: str
    measure: Measure
    interval: Interval
    is_paired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What the phases after the first added to one measure of an experiment."""

    experiment: str
    measure: Measure
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """Everything that was drawn and tested for a study.

    spreads: (classifier, rule) -> metric -> Spread, baselines too. beside: honest experiments
    minus the best baseline in balanced accuracy. curves: diagnosis -> experiment -> ROC curve, of
    honest experiments only. unit: what is drawn again, lesions or groups. untuned: experiments
    that kept the weights of the first phase's end in every run, so that nothing is tested there.
    """

    spreads: Mapping[tuple[str, PlainRule], Mapping[str, Spread]]
    pairs: tuple[Pair, ...] = ()
    treated: tuple[Treated, ...] = ()
    leaks: tuple[Leak, ...] = ()
    tuned: tuple[Tuned, ...] = ()
    untuned: tuple[str, ...] = ()
    beside: tuple[Difference, ...] = ()
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    unit: Unit = "lesion"

    def spread(self, name: str, measure: Measure) -> Spread:
        """Return one classifier's spread in one measure."""
        return self.spreads[name, measure.rule][measure.metric]

    def has(self, name: str) -> bool:
        """Say whether a classifier was tested at all."""
        return (name, "natural") in self.spreads


def standing_of(
    study: StudyRecord,
    *,
    n_replicates: int = N_REPLICATES,
    n_permutations: int | None = None,
) -> Standing:
    """Hold every experiment of a study against every other on the same test lesions.

    n_permutations: if None, enough for the largest family of tests, all pairs in one measure.
    """
    experiments = {
        name: tuple(run for run in runs if len(run.predictions.of("test")))
        for name, runs in experiments_of(study).items()
    }
    experiments = {name: runs for name, runs in experiments.items() if runs}
    field_ = Tournament(
        _entries(study, experiments),
        rng=generator(_DRAWS),
        n_replicates=n_replicates,
        n_permutations=n_permutations or permutations_for(math.comb(len(experiments), 2)),
    )
    names = [*experiments, *_tested_baselines(study)]
    return Standing(
        spreads={(name, rule): field_.spread(name, rule) for name in names for rule in PLAIN_RULES},
        pairs=_pairs(field_, tuple(experiments)),
        treated=_treated(field_, experiments),
        leaks=_leaks(field_, experiments),
        tuned=_tuned(field_, experiments),
        untuned=_untuned(experiments),
        beside=_beside(field_, experiments, tuple(_tested_baselines(study))),
        curves=_curves(field_, experiments),
        unit=study.unit,
    )


def is_honest(runs: Sequence[RunRecord]) -> bool:
    """Say whether no run was split so that its test part leaked on purpose."""
    return all(run.split_kind in HONEST for run in runs)


def _entries(
    study: StudyRecord, experiments: Mapping[str, Sequence[RunRecord]]
) -> dict[str, dict[str, Predictions]]:
    entries = {
        name: {_place(run): run.predictions.of("test") for run in runs}
        for name, runs in experiments.items()
    }
    for name, runs in experiments.items():
        first_ends = {_place(run): _first_end(run) for run in runs}
        if all(end is not None for end in first_ends.values()):
            entries[_first(name)] = {p: e.of("test") for p, e in first_ends.items() if e}
    for name, baselines in _tested_baselines(study).items():
        entries[name] = {f"baseline {one.split_digest}": one.of("test") for one in baselines}
    honest = [run for runs in experiments.values() if is_honest(runs) for run in runs]
    for name in study.baselines:
        beside = {_place(run): run.baselines.get(name) for run in honest}
        entries[_paired(name)] = {p: one.of("test") for p, one in beside.items() if one}
    return entries


def _first_end(run: RunRecord) -> Predictions | None:
    """Return the first phase's end; where it was kept, in the very numbers of the kept weights.

    Cached activations and pixels round otherwise in bfloat16, which would look like a gain.
    """
    return run.predictions if run.kept_first_end else run.first_end


def _paired(baseline: str) -> str:
    return f"{baseline}, paired"


def _tested_baselines(study: StudyRecord) -> dict[str, list[Predictions]]:
    """Return the baselines that were tested; of honest splits alone, where there are any."""
    honest = {run.split.digest for run in study.runs if run.split_kind in HONEST}
    found: dict[str, list[Predictions]] = {}
    for name, baselines in study.baselines.items():
        tested = [one for one in baselines if len(one.of("test"))]
        if tested:
            found[name] = [one for one in tested if one.split_digest in honest] or tested
    return found


def _first(name: str) -> str:
    return f"{name}, first phase"


def _place(run: RunRecord) -> str:
    """Name what runs must share to be paired: the test images, and the seed."""
    return f"{_test_digest(run.predictions.of('test'))} seed {run.experiment.seed}"


def _test_digest(test: Predictions) -> str:
    return digest_of(sorted(test.image_ids.tolist()))


def _pairs(tournament: Tournament, names: Sequence[str]) -> tuple[Pair, ...]:
    """Return each pair in each tested measure, a family of tests a measure."""
    found: list[Pair] = []
    for measure in TESTED:
        differences = [
            difference
            for one, other in combinations(names, 2)
            if (difference := _difference(tournament, one, other, measure))
        ]
        found += [
            Pair(
                measure=measure,
                difference=difference,
                exact=_exact(tournament, difference, measure),
            )
            for difference in correct_family(differences)
        ]
    return tuple(found)


def _difference(
    tournament: Tournament, one: str, other: str, measure: Measure
) -> Difference | None:
    return tournament.difference((one, measure.rule), (other, measure.rule), measure.metric)


def _exact(tournament: Tournament, difference: Difference, measure: Measure) -> tuple[float, ...]:
    """Return the p value of each run: McNemar's for accuracy, else DeLong's for melanoma."""
    names = (difference.first, difference.second)
    places = tournament.shared(*names)
    pair = [tournament.contender(name, measure.rule, places) for name in names]
    if not all(map(_are_of_lesions, pair)):
        return ()
    if measure is ACCURACY:
        return tuple(test.p_value for test in mcnemar_on_lesions(*pair))
    melanoma = melanoma_in(pair[0].runs[0].diagnoses)
    if melanoma is None:
        return ()
    return tuple(test.p_value for test in delong_on_lesions(*pair, codes=(melanoma,)))


def _are_of_lesions(contender: Contender) -> bool:
    """Say whether ids name lesions, and each of these has one diagnosis."""
    return all(
        run.unit == "lesion"
        and len(set(zip(run.lesion_ids.tolist(), run.labels.tolist(), strict=True)))
        == len(set(run.lesion_ids.tolist()))
        for run in contender.runs
    )


def _treated(
    tournament: Tournament, experiments: Mapping[str, Sequence[RunRecord]]
) -> tuple[Treated, ...]:
    """Return every treatment under both rules, each beside none in the same recipe.

    Nothing of an untreated experiment whose recipe no other shares.
    """
    recipes = {name: _recipe(runs[0], but="imbalance") for name, runs in experiments.items()}
    untreated = [n for n, runs in experiments.items() if runs[0].experiment.imbalance == "none"]
    found: list[Treated] = []
    for reference in {recipes[name]: name for name in reversed(untreated)}.values():
        alike = [name for name in experiments if recipes[name] == recipes[reference]]
        if len(alike) < 2:
            continue
        found += [
            Treated(
                experiment=name,
                treatment=experiments[name][0].experiment.imbalance,
                rule=rule,
                is_reference=(name, rule) == (reference, "balanced"),
                difference=None
                if (name, rule) == (reference, "balanced")
                else tournament.difference((name, rule), (reference, "balanced"), BALANCED.metric),
            )
            for name in alike
            for rule in PLAIN_RULES
        ]
    corrected = iter(correct_family([one.difference for one in found if one.difference]))
    return tuple(
        replace(one, difference=next(corrected)) if one.difference else one for one in found
    )


def _leaks(
    tournament: Tournament, experiments: Mapping[str, Sequence[RunRecord]]
) -> tuple[Leak, ...]:
    """Return what each dishonest experiment gains on the honest one of the same recipe."""
    found: list[Leak] = []
    for name, runs in experiments.items():
        if is_honest(runs):
            continue
        for honest, others in experiments.items():
            if is_honest(others) and _recipe(runs[0]) == _recipe(others[0]):
                found += [_leak(tournament, name, runs, honest, m) for m in (*TESTED, AUROC)]
    return tuple(found)


def _leak(
    tournament: Tournament, name: str, runs: Sequence[RunRecord], honest: str, measure: Measure
) -> Leak:
    difference = _difference(tournament, name, honest, measure)
    if difference is None:
        one, other = (
            tournament.spread(each, measure.rule)[measure.metric].interval
            for each in (name, honest)
        )
        interval = unpaired_difference(one, other)
    else:
        interval = difference.interval
    return Leak(
        experiment=name,
        honest=honest,
        kind=runs[0].split_kind,
        measure=measure,
        interval=interval,
        is_paired=difference is not None,
    )


def shares_all_runs(first: Sequence[RunRecord], second: Sequence[RunRecord]) -> bool:
    """Say whether two experiments have the same seeds on the same test images."""
    return {_place(run) for run in first} == {_place(run) for run in second}


def _recipe(run: RunRecord, *, but: str = "") -> tuple[object, ...]:
    """Return what two experiments must share to differ in one thing only."""
    experiment = run.experiment
    settings = {key: said for key, said in experiment.settings.items() if key != but}
    return (
        *(experiment.backbone, experiment.weights, experiment.head, experiment.hidden),
        digest_of(settings),
        run.split_kind if but == "imbalance" else experiment.imbalance,
    )


def _tuned(
    tournament: Tournament, experiments: Mapping[str, Sequence[RunRecord]]
) -> tuple[Tuned, ...]:
    """Return kept weights minus the end of the first phase, a family of tests a measure."""
    untuned = _untuned(experiments)
    several = [
        name
        for name, runs in experiments.items()
        if name not in untuned and all(run.first_end is not None for run in runs)
    ]
    found: list[Tuned] = []
    for measure in TESTED:
        differences = [_difference(tournament, name, _first(name), measure) for name in several]
        found += [
            Tuned(experiment=difference.first, measure=measure, difference=difference)
            for difference in correct_family([d for d in differences if d])
        ]
    return tuple(found)


def _untuned(experiments: Mapping[str, Sequence[RunRecord]]) -> tuple[str, ...]:
    return tuple(
        name for name, runs in experiments.items() if all(run.kept_first_end for run in runs)
    )


def _beside(
    tournament: Tournament,
    experiments: Mapping[str, Sequence[RunRecord]],
    baselines: Sequence[str],
) -> tuple[Difference, ...]:
    """Return each honest experiment minus the best baseline on its images, a family of tests."""
    if not baselines:
        return ()
    scores = {n: tournament.spread(n, BALANCED.rule)[BALANCED.metric].interval for n in baselines}
    best = max(scores, key=lambda name: scores[name].value)
    found = [
        replace(difference, second=best)
        for name, runs in experiments.items()
        if is_honest(runs)
        if (difference := _difference(tournament, name, _paired(best), BALANCED))
    ]
    return correct_family(found)


def _curves(
    tournament: Tournament, experiments: Mapping[str, Sequence[RunRecord]]
) -> dict[str, dict[str, Curve]]:
    honest = {name: runs for name, runs in experiments.items() if is_honest(runs)}
    codes = next((runs[0].catalogue.codes for runs in honest.values()), ())
    curves = {
        code: {name: tournament.curve(name, number) for name in honest}
        for number, code in enumerate(codes)
    }
    return {
        code: each
        for code, each in curves.items()
        if not any(math.isnan(curve.sensitivity[0]) for curve in each.values())
    }
