"""A thousand simulated studies: do the intervals hold the truth, does the null stay standing?

`python -m pytest -m slow -s tests/evaluation/test_coverage.py` prints the figures that
docs/decisions/intervals.md quotes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from moulage.evaluation.decisions import Rule
from moulage.evaluation.intervals import (
    balanced_interval,
    difference_intervals,
    intervals,
    intervals_of,
    recall_intervals,
)
from moulage.evaluation.metrics import is_ranked, metric_names, score
from moulage.evaluation.permutation import permutation_p_values
from moulage.evaluation.recalls import Recalls
from moulage.evaluation.resampling import Drawn, Lesions, draw_lesions, mean_values, resample
from moulage.predictions import Predictions

# HAM10000's lesions: a row a diagnosis, a column for 1, 2 … 6 photographs.
LESIONS = {
    "akiec": (151, 57, 18, 2, 0, 0),
    "bcc": (175, 118, 33, 1, 0, 0),
    "bkl": (440, 220, 55, 8, 2, 2),
    "df": (39, 26, 8, 0, 0, 0),
    "mel": (230, 278, 100, 4, 1, 1),
    "nv": (4415, 699, 268, 18, 2, 1),
    "vasc": (64, 25, 8, 1, 0, 0),
}
COUNTS = np.array(list(LESIONS.values()))
PRIOR = (COUNTS * np.arange(1, 7)).sum(axis=1) / (COUNTS * np.arange(1, 7)).sum()
SIGNALS = np.array([4.0, 4.6, 3.2, 4.2, 3.0, 2.4, 6.0])  # vasc is easy, nv is the crowd
BY_LESION, BY_IMAGE = 1.4, 1.0  # deviations of the logits: photographs of a lesion are alike
N_LESIONS = 1494  # a fifth of 7,470
NAMES = ("accuracy", "balanced_accuracy", "macro_auroc")
_CHEAP = [name for name in metric_names(tuple(LESIONS)) if "average_precision" not in name]
MEASURED: dict[Rule, list[str]] = {
    "natural": _CHEAP,
    "balanced": [name for name in _CHEAP if not is_ranked(name)],
}
ASSERTED: list[tuple[Rule, str]] = [
    *(("natural", name) for name in NAMES),
    *(("balanced", name) for name in NAMES[:2]),
]


def draw_lesions_of_a_study(rng: np.random.Generator, n_lesions: int) -> np.ndarray:
    """(N,) the lesion's number of each photograph, and (L,) its diagnosis."""
    cells = rng.choice(COUNTS.size, size=n_lesions, p=COUNTS.ravel() / COUNTS.sum())
    of_image = np.repeat(np.arange(n_lesions), cells % 6 + 1)
    return np.stack([of_image, (cells // 6)[of_image]])


def classify(rng: np.random.Generator, of_image: np.ndarray, labels: np.ndarray) -> Predictions:
    """A classifier as good as the better ones of the study: about 0.82 right, AUROC 0.957."""
    logits = BY_LESION * rng.normal(size=(of_image.max() + 1, 7))[of_image]
    logits += BY_IMAGE * rng.normal(size=logits.shape) + np.log(PRIOR)
    logits[np.arange(len(labels)), labels] += SIGNALS[labels]
    return Predictions(
        image_ids=np.arange(len(labels)).astype(str),
        lesion_ids=of_image.astype(str),
        parts=np.full(len(labels), "test"),
        labels=labels,
        logits=logits.astype(np.float32),
        diagnoses=tuple(LESIONS),
        prior=PRIOR,
    )


def study(seed: int, n_lesions: int = N_LESIONS) -> Predictions:
    rng = np.random.default_rng(seed)
    return classify(rng, *draw_lesions_of_a_study(rng, n_lesions))


def truth() -> dict[Rule, dict[str, float]]:
    """The metrics of 800,000 lesions; their own error is a twentieth of a study's."""
    parts = [study(10**6 + part, 200_000) for part in range(4)]
    found: dict[Rule, list[Mapping[str, float]]] = {
        rule: [mean_values((score(part, rule=rule),), names=names) for part in parts]
        for rule, names in MEASURED.items()
    }
    return {
        rule: {name: float(np.mean([values[name] for values in each])) for name in each[0]}
        for rule, each in found.items()
    }


def share(hits: Iterable[bool]) -> float:
    return float(np.mean(list(hits)))


@pytest.mark.slow
def test_intervals_hold_the_truth_of_a_thousand_studies() -> None:
    """Both rules on one draw of the lesions; rankings know no rule and are drawn once."""
    true = truth()
    held: dict[tuple[Rule, str], list[bool]] = {}
    for seed in range(1000):
        predictions = study(seed)
        lesions = Lesions.of((predictions,))
        rng = np.random.default_rng(seed)
        weights = draw_lesions(lesions.n_lesions, n_replicates=200, rng=rng)
        for rule, names in MEASURED.items():
            scored = (score(predictions, rule=rule),)
            drawn = resample(scored, lesions=lesions, weights=weights, names=names)
            for name, interval in intervals_of(drawn).items():
                is_held = interval.low <= true[rule][name] <= interval.high
                if not np.isnan(interval.low):
                    held.setdefault((rule, name), []).append(is_held)
    for (rule, name), hits in held.items():
        print(f"{rule} {name}: {true[rule][name]:.4f}, held in {share(hits):.1%} of {len(hits)}")
    for rule, name in ASSERTED:
        assert 0.925 <= share(held[rule, name]) <= 0.975, (rule, name)


@pytest.mark.slow
def test_the_permutation_test_keeps_a_true_null() -> None:
    rejected: dict[str, list[bool]] = {name: [] for name in NAMES}
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        of_image, labels = draw_lesions_of_a_study(rng, N_LESIONS)
        pair = [classify(rng, of_image, labels) for _ in range(2)]
        ours, theirs = ((score(one),) for one in pair)
        found = permutation_p_values(
            ours,
            theirs,
            lesions=Lesions.of(pair[:1]),
            n_permutations=99,
            rng=rng,
            names=NAMES,
        )
        for name in NAMES:
            rejected[name].append(found[name] <= 0.05)
    for name, hits in rejected.items():
        print(f"{name}: a true null rejected in {share(hits):.1%} of {len(hits)}")
        assert 0.03 <= share(hits) <= 0.07, name


def other_bounds(drawn: Drawn, name: str) -> dict[str, np.ndarray]:
    """The textbook's percentile and BCa bounds from the same draws [efron1987]."""
    value, replicates, slopes = (
        table[name] for table in (drawn.values, drawn.replicates, drawn.influences)
    )
    ends = np.array([0.025, 0.975])
    bias = ndtri(np.clip((replicates < value).mean(), 1e-3, 1 - 1e-3))
    speed = (slopes**3).sum() / (6 * (slopes**2).sum() ** 1.5)
    moved = bias + (bias + ndtri(ends)) / (1 - speed * (bias + ndtri(ends)))
    quantiles = {"percentile": ends, "bca": ndtr(moved)}
    return {method: np.quantile(replicates, q) for method, q in quantiles.items()}


@pytest.mark.slow
def test_percentiles_miss_the_truth_where_few_lesions_carry_the_metric() -> None:
    true = truth()["natural"]
    names = (*NAMES, "auroc.mel", "auroc.df", "auroc.vasc")
    held: dict[str, dict[str, list[bool]]] = {name: {} for name in names}
    for seed in range(300):
        predictions = study(seed)
        lesions = Lesions.of((predictions,))
        weights = draw_lesions(lesions.n_lesions, n_replicates=400, rng=np.random.default_rng(seed))
        drawn = resample((score(predictions),), lesions=lesions, weights=weights, names=names)
        student = intervals_of(drawn)
        for name in names:
            bounds = other_bounds(drawn, name)
            bounds["student"] = np.array([student[name].low, student[name].high])
            for method, (low, high) in bounds.items():
                held[name].setdefault(method, []).append(low <= true[name] <= high)
    for name, methods in held.items():
        print(name, {method: f"{share(hits):.1%}" for method, hits in methods.items()})
    for name in ("auroc.df", "auroc.vasc"):
        assert share(held[name]["student"]) > share(held[name]["bca"]) + 0.05
        assert share(held[name]["student"]) > share(held[name]["percentile"]) + 0.05


def small_study(seed: int, n_few: int, scale: int = 1) -> Predictions:
    """Four diagnoses with 40 to 80 lesions and one with few, a photograph each."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(5), scale * np.array([80, 60, 40, 40, n_few]))
    logits = 1.6 * rng.normal(size=(len(labels), 5)) + 2.5 * np.eye(5)[labels]
    return Predictions(
        image_ids=np.arange(len(labels)).astype(str),
        lesion_ids=np.arange(len(labels)).astype(str),
        parts=np.full(len(labels), "test"),
        labels=labels,
        logits=logits.astype(np.float32),
        diagnoses=("a", "b", "c", "d", "few"),
        prior=np.full(5, 0.2),
    )


@pytest.mark.slow
@pytest.mark.parametrize("n_few", [1, 2, 3, 5, 10])
def test_few_lesions_of_a_diagnosis_have_no_bounds_or_such_as_hold(n_few: int) -> None:
    """Beside them what held before a lone lesion had no bounds, and two counted as two at most."""
    names = ("auroc.few", "macro_auroc", "balanced_accuracy")
    true = mean_values((score(small_study(10**6, n_few, 200)),), names=names)
    held: dict[str, dict[str, list[bool]]] = {name: {"now": [], "before": []} for name in names}
    for seed in range(400):
        predictions = small_study(seed, n_few)
        lesions = Lesions.of((predictions,))
        weights = draw_lesions(lesions.n_lesions, n_replicates=200, rng=np.random.default_rng(seed))
        drawn = resample((score(predictions),), lesions=lesions, weights=weights, names=names)
        for when, one in (("now", drawn), ("before", replace(drawn, n_carrying={}))):
            for name, interval in intervals_of(one).items():
                if not np.isnan(interval.low):
                    held[name][when].append(interval.low <= true[name] <= interval.high)
    for name, each in held.items():
        said = {when: f"{share(hits):.1%} of {len(hits)}" for when, hits in each.items() if hits}
        print(f"{n_few} lesions, {name}: {said}")
    if n_few == 1:
        assert not held["auroc.few"]["now"]
        assert not held["macro_auroc"]["now"]
        assert share(held["auroc.few"]["before"]) < 0.6
    else:
        assert share(held["auroc.few"]["now"]) > 0.88
        assert share(held["macro_auroc"]["now"]) > 0.85


def some_right(n_right: tuple[int, int], n: tuple[int, int]) -> Recalls:
    """Two diagnoses, a photograph a lesion."""
    values, of = np.divide(n_right, n), np.repeat([0, 1], n)
    shares = np.stack([of == 0, of == 1]) / np.array(n)[:, None]
    hits = np.concatenate([np.arange(m) < right for right, m in zip(n_right, n, strict=True)])
    slopes = shares * (hits - values[:, None])
    return Recalls(weights=np.array([0.5, 0.5]), values=values, shares=shares, slopes=slopes)


@pytest.mark.parametrize(
    ("n", "chances"),
    [
        ((200, 5), (0.95, 0.9)),
        ((200, 5), (0.9, 0.6)),
        ((200, 10), (0.95, 0.9)),
        ((200, 20), (0.95, 0.95)),
        ((200, 20), (0.9, 0.6)),
        ((1000, 30), (0.98, 0.97)),
        ((1000, 30), (0.99, 0.995)),
    ],
)
def test_balanced_accuracy_of_two_diagnoses_is_held_however_few_the_rare_one_has(
    n: tuple[int, int], chances: tuple[float, float]
) -> None:
    """Exactly: over all studies of such sizes that are likelier than one in 10,000."""
    likely = [
        np.flatnonzero(binom.pmf(np.arange(m + 1), m, c) > 1e-4)
        for m, c in zip(n, chances, strict=True)
    ]
    held, total = 0.0, 0.0
    for one in likely[0].tolist():
        for other in likely[1].tolist():
            recalls = some_right((one, other), n)
            found = balanced_interval(recalls, recall_intervals(recalls, level=0.95))
            chance = float(np.prod(binom.pmf((one, other), n, chances)))
            total += chance
            held += chance * (found.low <= np.mean(chances) <= found.high)
    print(f"{n}, {chances}: held in {held / total:.1%} of two-class studies")
    assert held / total >= 0.95


SIZES = (1, 1, 2, 3, 5)  # photographs a lesion
WORSE = 0.1  # recall that the second classifier lacks
KINDS = {  # lesions and recall a diagnosis
    "two, 200 and 5": ((200, 5), (0.95, 0.9)),
    "two, 200 and 10": ((200, 10), (0.95, 0.9)),
    "two, 200 and 20": ((200, 20), (0.95, 0.95)),
    "two, 1000 and 30": ((1000, 30), (0.98, 0.97)),
    "seven, as HAM10000": (
        (1000, 146, 123, 65, 45, 20, 15),
        (0.85, 0.6, 0.6, 0.75, 0.65, 0.9, 0.7),
    ),
    "twenty, ten of 30 and ten of 3": ((30,) * 10 + (3,) * 10, (0.8,) * 20),
    "four, nearly perfect": ((100, 40, 40, 20), (0.99,) * 4),
}


def decide_two(
    rng: np.random.Generator,
    kind: str,
    *,
    correlation: float,
    sizes: tuple[int, ...],
) -> tuple[Predictions, Predictions]:
    """Two classifiers that err on much the same lesions; the second is worse at the last diagnosis.

    correlation: of one lesion's photographs, before a threshold makes them right or wrong.
    """
    counts, chances = (np.array(each) for each in KINDS[kind])
    of_lesion = np.repeat(np.arange(len(counts)), counts)
    of_image = np.repeat(np.arange(len(of_lesion)), rng.choice(sizes, len(of_lesion)))
    labels = of_lesion[of_image]

    def luck() -> np.ndarray:
        by_lesion = rng.normal(size=len(of_lesion))[of_image]
        return np.sqrt(correlation) * by_lesion + np.sqrt(1 - correlation) * rng.normal(
            size=len(labels)
        )

    shared = luck()
    pair = []
    for worse in (0.0, WORSE):
        chance = chances[labels] - worse * (labels == len(chances) - 1)
        is_right = np.sqrt(0.6) * shared + np.sqrt(0.4) * luck() < ndtri(chance)
        others = (labels + rng.integers(1, len(counts), size=len(labels))) % len(counts)
        decisions = np.where(is_right, labels, others)
        pair.append(
            Predictions(
                image_ids=np.arange(len(labels)).astype(str),
                lesion_ids=of_image.astype(str),
                parts=np.full(len(labels), "test"),
                labels=labels,
                logits=3 * np.eye(len(counts), dtype=np.float32)[decisions],
                diagnoses=tuple(f"c{k:02}" for k in range(len(counts))),
                prior=np.full(len(counts), 1 / len(counts)),
            )
        )
    return pair[0], pair[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "correlation", "sizes"),
    [
        (kind, correlation, sizes)
        for correlation, sizes in ((0.0, (1,)), (0.3, SIZES), (1.0, SIZES))
        for kind in KINDS
        if correlation != 0.3 or kind.startswith("two")  # many diagnoses take a minute each
    ],
)
def test_balanced_accuracy_and_its_differences_are_held(
    kind: str, correlation: float, sizes: tuple[int, ...]
) -> None:
    """Beside them what Student's t over all lesions held before recalls were asked one by one."""
    names = ("balanced_accuracy",)
    chances = KINDS[kind][1]
    true = {"one": float(np.mean(chances)), "difference": WORSE / len(chances)}
    held: dict[tuple[str, str], list[bool]] = {}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        pair = decide_two(rng, kind, correlation=correlation, sizes=sizes)
        lesions = Lesions.of(pair[:1])
        weights = draw_lesions(lesions.n_lesions, n_replicates=200, rng=rng)
        ours, theirs = (
            resample((score(one),), lesions=lesions, weights=weights, names=names) for one in pair
        )
        for when, (one, other) in {
            "now": (ours, theirs),
            "before": (replace(ours, recalls=None), replace(theirs, recalls=None)),
        }.items():
            found = {
                "one": intervals_of(one)[names[0]],
                "difference": difference_intervals(one.minus(other))[names[0]],
            }
            for what, interval in found.items():
                if not np.isnan(interval.low):
                    hits = held.setdefault((what, when), [])
                    hits.append(interval.low <= true[what] <= interval.high)
    said = {" ".join(key): f"{share(hits):.1%} of {len(hits)}" for key, hits in held.items()}
    print(f"{kind}, correlation {correlation}: {said}")
    assert share(held["one", "now"]) >= 0.9
    assert share(held["difference", "now"]) >= 0.925


@pytest.mark.slow
def test_drawing_images_instead_of_lesions_misses_the_truth() -> None:
    """Three photographs a lesion, nearly copies: only the draw of lesions is as wide as needed."""
    held: dict[str, list[bool]] = {"lesions": [], "images": []}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        of_image = np.repeat(np.arange(150), 3)
        margins = 2 * rng.normal(size=150)[of_image] + 0.5 * rng.normal(size=450) + 1.0
        logits = np.stack([margins, np.zeros(450)], axis=1).astype(np.float32)
        for unit, ids in (("lesions", of_image), ("images", np.arange(450))):
            predictions = Predictions(
                image_ids=np.arange(450).astype(str),
                lesion_ids=ids.astype(str),
                parts=np.full(450, "test"),
                labels=np.zeros(450, dtype=np.int64),
                logits=logits,
                diagnoses=("nv", "mel"),
                prior=np.array([0.5, 0.5]),
            )
            found = intervals(predictions, rng=rng, n_replicates=200)["accuracy"]
            true = 0.68619  # P(N(1, 4.25) > 0)
            held[unit].append(found.low <= true <= found.high)
    for unit, hits in held.items():
        print(f"drawing {unit}: truth held in {share(hits):.1%} of {len(hits)}")
    assert 0.925 <= share(held["lesions"]) <= 0.975
    assert share(held["images"]) < 0.85
