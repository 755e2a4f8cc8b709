"""What to do with the numbers of a study, in plain words.

In:  a study, its standing, the comparison's rows.   Out: paragraphs with headings.
Knows nothing of HTML, and says no number that the tables do not show or lead to.
Why: a table of scores does not say which model to take. The rule here: of the experiments that no
other was shown to beat in balanced accuracy, the smallest. Where a baseline may be as good, that
is said first.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import pandas as pd

from moulage.evaluation.comparison import SIGNIFICANT, Difference, shown_difference
from moulage.evaluation.intervals import Interval
from moulage.evaluation.subgroups import FEW
from moulage.pages import prose, words
from moulage.pages.comparison import experiments_of
from moulage.pages.figures.costs import Priced
from moulage.pages.recipes import are_alike, costs_of, differing
from moulage.pages.records import RunRecord, StudyRecord
from moulage.pages.results import BALANCED
from moulage.pages.standing import Leak, Standing, is_honest, shares_all_runs
from moulage.split import Unit

_SHARED = "on the seeds that both have"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The experiment to take (None where none was tested honestly), and what is said of it."""

    chosen: str | None
    paragraphs: tuple[tuple[str, str], ...]


def advice_of(study: StudyRecord, standing: Standing, frame: pd.DataFrame) -> Advice:
    """Say which to take, what fine-tuning and parameters bought, what stays unknown."""
    honest = {
        name: runs
        for name, runs in experiments_of(study).items()
        if standing.has(name) and is_honest(runs)
    }
    costs = {cost.name: cost for cost in costs_of(frame, standing) if cost.name in honest}
    leaks = " ".join(_leaks(standing.leaks, standing.unit))
    paragraphs = [("What a leak buys", leaks)] if leaks else []
    if not costs:
        return Advice(chosen=None, paragraphs=tuple(paragraphs))
    chosen = _chosen(costs, standing)
    paragraphs = [
        ("Which to take", _which(chosen, costs, standing, honest)),
        ("What fine-tuning bought", _tuning(honest, standing)),
        ("What more parameters bought", _parameters(costs, standing, honest)),
        ("What treating the imbalance bought", _treatments(standing)),
        *paragraphs,
        ("What these data cannot tell", _unknown(honest, standing)),
    ]
    return Advice(
        chosen=chosen, paragraphs=tuple((head, said) for head, said in paragraphs if said)
    )


def _chosen(costs: Mapping[str, Priced], standing: Standing) -> str:
    """Return the smallest that nothing beats; of equally small ones the one of highest value.

    Not the quickest: how long a run took tells as much of what else the machine did.
    """
    unbeaten = [name for name in costs if not _beaten_by(name, costs, standing)]
    pool = unbeaten or [_best(costs)]
    least = min(costs[name].n_parameters for name in pool)
    return _best({name: costs[name] for name in pool if costs[name].n_parameters == least})


def _beaten_by(name: str, among: Mapping[str, Priced], standing: Standing) -> list[str]:
    differences = [p.difference for p in standing.pairs if p.measure == BALANCED]
    return [
        other
        for d in differences
        for loser, other, says in ((d.first, d.second, "worse"), (d.second, d.first, "better"))
        if loser == name and other in among and d.verdict == says
    ]


def _best(costs: Mapping[str, Priced]) -> str:
    return max(costs, key=lambda name: -math.inf if math.isnan(v := costs[name].value) else v)


def _which(
    chosen: str,
    costs: Mapping[str, Priced],
    standing: Standing,
    honest: Mapping[str, Sequence[RunRecord]],
) -> str:
    cost = costs[chosen]
    score = _with_bounds(standing.spread(chosen, BALANCED).interval)
    price = f"{words.count(cost.n_parameters)} parameters, {words.duration(cost.seconds)} a run"
    rival = _rival(chosen, standing)
    if len(costs) == 1:
        return (
            f"{rival}Only {chosen} was tested, so there is nothing to choose from: its balanced "
            f"accuracy under the balanced rule is {score}."
        )
    beaten = [name for name in costs if chosen in _beaten_by(name, costs, standing)]
    losers = f" It was shown better than {words.listed(beaten)}." if beaten else ""
    take = "The one to take would be" if rival else "Take"
    said = (
        f"{rival}{take} {chosen} ({price}): balanced accuracy {score} under the balanced rule. No "
        "other experiment was shown to beat it there, and no smaller experiment remains unbeaten."
        f"{losers}"
    )
    best = _best(costs)
    if best == chosen:
        return f"{said} Its value is also the highest."
    return f"{said} {_highest(best, chosen, standing, honest)}"


def _highest(
    best: str, chosen: str, standing: Standing, honest: Mapping[str, Sequence[RunRecord]]
) -> str:
    """Say whose value is the highest, and by how much on the seeds that both have."""
    found = _between(best, chosen, standing)
    if found is None:
        return f"The highest value is that of {best}, which has no run in common with {chosen}."
    margin = f"{_difference(found.interval)}: {_shown(found)}"
    if shares_all_runs(honest[best], honest[chosen]):
        return f"The highest value is that of {best} ({margin})."
    return (
        f"The highest mean over its own runs is that of {best}; {_SHARED} the difference from "
        f"{chosen} is {margin}."
    )


def _rival(chosen: str, standing: Standing) -> str:
    """Say that the best baseline may be as good; "" where the chosen was shown to be better."""
    better = [one.first for one in standing.beside if one.verdict == "better"]
    if not standing.beside or chosen in better:
        return ""
    best = standing.beside[0].second
    score = _with_bounds(standing.spread(best, BALANCED).interval)
    who = f"{chosen} was not" if better else "No experiment was"
    return f"{who} shown to beat the baseline {best}, whose balanced accuracy is {score}. "


def _between(first: str, second: str, standing: Standing) -> Difference | None:
    """Return first minus second in balanced accuracy, whichever way round it was computed."""
    for pair in standing.pairs:
        found = pair.difference
        if pair.measure != BALANCED:
            continue
        if (found.first, found.second) == (first, second):
            return found
        if (found.first, found.second) == (second, first):
            return _turned(found)
    return None


def _turned(found: Difference) -> Difference:
    one = found.interval
    return replace(
        found,
        first=found.second,
        second=found.first,
        interval=replace(one, value=-one.value, low=-one.high, high=-one.low),
    )


def _tuning(honest: Mapping[str, Sequence[RunRecord]], standing: Standing) -> str:
    """Say of each experiment with more than one phase what those after the first changed."""
    if all(len(run.experiment.phases) < 2 for runs in honest.values() for run in runs):
        return "Every experiment has one phase, so this study says nothing of it."
    untuned = [
        f"{name}: {prose.NOT_TUNED} ({_kept(name, honest)})"
        if _kept(name, honest)
        else f"{name}: {prose.NOT_TUNED}"
        for name in standing.untuned
    ]
    said = [
        f"{one.experiment}: {one.measure.named} {_difference(one.difference.interval)}, "
        f"{_shown(one.difference)}"
        for one in standing.tuned
    ]
    if not said and not untuned:
        return "The predictions at the first phase’s end were not kept, so nothing can be said."
    kept = "; ".join(
        f"of {name} {best}"
        for name in dict.fromkeys(one.experiment for one in standing.tuned)
        if (best := _kept(name, honest))
    )
    head = f"Kept weights ({kept})" if kept else "Kept weights"
    return f"{head} against the end of the first phase. {'; '.join([*said, *untuned])}."


def _kept(name: str, honest: Mapping[str, Sequence[RunRecord]]) -> str:
    return prose.best_epochs(honest.get(name, ()))


def _shown(difference: Difference) -> str:
    """Say whether it is beyond chance; the interval beside it knows no correction."""
    if difference.p_family < SIGNIFICANT:
        return "beyond chance"
    found = difference.interval
    if found.low > 0 or found.high < 0:
        p = words.p_value(difference.p_family)
        return f"not beyond chance after Holm’s correction, p {p}"
    return "not beyond chance"


def _parameters(
    costs: Mapping[str, Priced],
    standing: Standing,
    honest: Mapping[str, Sequence[RunRecord]],
) -> str:
    if len(costs) == 1:
        return ""
    sizes = sorted({cost.n_parameters for cost in costs.values()})
    if are_alike(costs.values()):
        n = " to ".join(words.count(size) for size in dict.fromkeys((sizes[0], sizes[-1])))
        return f"Nothing can be said: all experiments are about equally large, with {n} parameters."
    small, large = _sizes_apart(costs, honest)
    found = _between(large.name, small.name, standing)
    if found is None:
        return ""
    others = differing(honest[small.name][0], honest[large.name][0])
    shared = shares_all_runs(honest[small.name], honest[large.name])
    return (
        f"From {small.name} ({words.count(small.n_parameters)}) to {large.name} "
        f"({words.count(large.n_parameters)}), {large.n_parameters / small.n_parameters:.1f} times "
        f"as many, at {words.duration(large.seconds)} instead of {words.duration(small.seconds)} "
        f"a run: balanced accuracy {'' if shared else f'{_SHARED} '}"
        f"{_difference(found.interval)}, {_shown(found)}{_not_size_alone(others)}."
    )


def _sizes_apart(
    costs: Mapping[str, Priced], honest: Mapping[str, Sequence[RunRecord]]
) -> tuple[Priced, Priced]:
    """Return the smaller and the larger that are furthest apart; of alike recipes, if any are."""
    ordered = sorted(costs.values(), key=lambda cost: cost.n_parameters)
    pairs = [pair for pair in combinations(ordered, 2) if not are_alike(pair)]
    alike = [
        (small, large)
        for small, large in pairs
        if not differing(honest[small.name][0], honest[large.name][0])
    ]
    return max(alike or pairs, key=lambda pair: pair[1].n_parameters / pair[0].n_parameters)


def _not_size_alone(others: Sequence[str]) -> str:
    if not others:
        return ""
    return f"; they differ in {words.listed(others)} too, so size alone is not what this shows"


def _treatments(standing: Standing) -> str:
    tested = [one for one in standing.treated if one.difference]
    if not tested:
        return ""
    reference = next(one.experiment for one in standing.treated if one.is_reference)
    names = {verdict: [] for verdict in ("better", "worse", "")}  # type: dict[str, list[str]]
    for one in tested:
        verdict = one.difference.verdict if one.difference else ""
        named = f"{one.experiment} under the {one.rule} rule"
        names[verdict if verdict in names else ""].append(named)
    said = [
        f"{word}: {words.listed(each)}"
        for word, each in (
            ("better", names["better"]),
            ("worse", names["worse"]),
            ("no difference shown", names[""]),
        )
        if each
    ]
    return (
        f"Against {reference} under the balanced rule, which costs nothing, in balanced accuracy. "
        f"{words.sentence('; '.join(said))}"
    )


def _leaks(leaks: Sequence[Leak], unit: Unit) -> list[str]:
    """Return a sentence for each leak: points of accuracy and of balanced accuracy."""
    by_name: dict[str, list[Leak]] = {}
    for leak in leaks:
        by_name.setdefault(leak.experiment, []).append(leak)
    return [
        f"{name} against {each[0].honest}: "
        + words.listed(
            f"{words.points(leak.interval.value)} points of {leak.measure.named} "
            f"({words.points_between(leak.interval.low, leak.interval.high)})"
            for leak in each
        )
        + f". {_worth(each, unit)}"
        for name, each in by_name.items()
    ]


def _worth(leaks: Sequence[Leak], unit: Unit) -> str:
    if any(leak.interval.low > 0 for leak in leaks):
        return "What is beyond chance of it is no skill: it is gone on the next patient."
    if all(math.isnan(leak.interval.low) for leak in leaks):
        return "Without intervals nobody can say what of it is beyond chance."
    return f"None of it is beyond chance on these {unit}s."


def _unknown(honest: Mapping[str, Sequence[RunRecord]], standing: Standing) -> str:
    """Say how large a difference would be shown, which diagnoses are few, what was not varied.

    The difference is that of a pair with the median standard error, see `shown_difference`.
    """
    runs = [run for each in honest.values() for run in each]
    by_diagnosis = _lesions_a_diagnosis(runs)
    n_lesions = len(set().union(*by_diagnosis.values()))
    pairs = [
        pair.difference
        for pair in standing.pairs
        if pair.measure == BALANCED and not math.isnan(pair.difference.p_family)
    ]
    errors = [
        one.interval.standard_error
        for one in pairs
        if one.interval.standard_error > 0 and not math.isnan(one.interval.low)
    ]
    said = []
    if errors:
        shown = shown_difference(statistics.median(errors), n_tests=len(pairs))
        said.append(
            f"on {words.counted(n_lesions, standing.unit)} a true difference of about "
            f"{100 * shown:.1f} points in balanced accuracy would be shown in four of five such "
            "studies, a smaller one less often"
        )
    few = [f"{code} ({len(n)})" for code, n in by_diagnosis.items() if 0 < len(n) < FEW]
    if few:
        said.append(
            f"so few test {standing.unit}s carry {words.listed(few)} that their own numbers are "
            "loose"
        )
    if len({run.split.digest for run in runs}) == 1:
        said.append("one split was used, so what another would give is not known")
    if all(len({run.experiment.seed for run in each}) == 1 for each in honest.values()):
        said.append("one seed was trained, so luck of the seed is not known")
    said.append("images from other clinics were not tested")
    return f"{words.sentence('; '.join(said))} {prose.looks(runs)}"


def _lesions_a_diagnosis(runs: Sequence[RunRecord]) -> dict[str, set[str]]:
    """Return the lesions of each diagnosis in the test parts of all runs together."""
    tests = {run.split.digest: run.predictions.of("test") for run in runs}.values()
    return {
        code: set().union(*(test.lesion_ids[test.labels == number].tolist() for test in tests))
        for number, code in enumerate(next(iter(tests)).diagnoses)
    }


def _difference(found: Interval) -> str:
    return f"{words.signed(found.value)} ({words.between(found.low, found.high)})"


def _with_bounds(found: Interval) -> str:
    return f"{words.score(found.value)} ({words.bounds(found.low, found.high)})"
