"""What is promised of fitted numbers, held against a thousand simulated studies.

Each draws lesions as the test part of HAM10000 has them; what is printed docs/decisions/trust.md
quotes.
"""

import numpy as np
import pytest

from moulage.evaluation.abstention import RISK, threshold_at_risk
from moulage.evaluation.calibration import fit_temperature
from moulage.evaluation.conformal import (
    METHODS,
    Method,
    fit_conformal,
    one_photograph_each,
    sets_of,
)
from moulage.evaluation.decisions import softmax
from moulage.evaluation.reliability import top_label
from moulage.evaluation.subgroups import gap, subgroups
from moulage.predictions import Predictions

PRIOR = np.array([0.15, 0.25, 0.60])
SIGNAL = 1.2  # a classifier right in two of three, so that every set must work for its level
N_DRAWS = 1000

pytestmark = pytest.mark.slow


def study(seed: int, n_lesions: int = 400, most: int = 3) -> Predictions:
    """Lesions with one to three photographs, a classifier of middling worth."""
    rng = np.random.default_rng(seed)
    of_image = np.repeat(np.arange(n_lesions), rng.integers(1, most + 1, n_lesions))
    labels = rng.choice(3, n_lesions, p=PRIOR)[of_image]
    logits = rng.normal(size=(n_lesions, 3))[of_image] + 0.7 * rng.normal(size=(len(labels), 3))
    logits[np.arange(len(labels)), labels] += SIGNAL
    return predictions_of(labels, logits, of_image)


def predictions_of(labels: np.ndarray, logits: np.ndarray, of_image: np.ndarray) -> Predictions:
    return Predictions(
        image_ids=np.arange(len(labels)).astype(str),
        lesion_ids=of_image.astype(str),
        parts=np.full(len(labels), "test"),
        labels=labels,
        logits=logits.astype(np.float32),
        diagnoses=("mel", "bkl", "nv"),
        prior=PRIOR,
    )


@pytest.mark.parametrize("method", METHODS)
def test_sets_reach_their_level_for_all_and_for_each_diagnosis(method: Method) -> None:
    """Over a thousand fits the mean coverage is ⌈0.9 (n + 1)⌉ / (n + 1), to binomial error."""
    hits: dict[tuple[bool, str], list[float]] = {}
    expected: dict[tuple[bool, str], list[float]] = {}
    for seed in range(N_DRAWS):
        rng = np.random.default_rng(seed)
        fitted = fit_conformal(one_photograph_each(study(seed), rng=rng), method=method)
        new = one_photograph_each(study(N_DRAWS + seed), rng=rng)
        for is_by_diagnosis in (False, True):
            members = sets_of(fitted, new.probabilities(), is_by_diagnosis=is_by_diagnosis)
            holds = members[np.arange(len(new)), new.labels]
            groups = {"": holds} if not is_by_diagnosis else {}
            if is_by_diagnosis:
                groups = {code: holds[new.labels == k] for k, code in enumerate(new.diagnoses)}
            for code, held in groups.items():
                n = fitted.n_lesions.get(code, sum(fitted.n_lesions.values()))
                hits.setdefault((is_by_diagnosis, code), []).append(held.mean())
                level = np.ceil(0.9 * (n + 1) - 1e-9) / (n + 1)
                expected.setdefault((is_by_diagnosis, code), []).append(level)
    for key, shares in hits.items():
        error = np.std(shares) / np.sqrt(N_DRAWS)
        level = np.mean(expected[key])
        print(f"{method} {key}: {np.mean(shares):.4f} ± {error:.4f}, level {level:.4f}")
        assert abs(np.mean(shares) - level) < 4 * error, key
        assert np.mean(shares) > 0.9 - 4 * error, key


def test_temperature_finds_the_planted_one_without_bias() -> None:
    for planted in (0.5, 1.0, 2.0):
        found = []
        for seed in range(200):
            rng = np.random.default_rng(seed)
            logits = 2 * rng.normal(size=(1500, 5))
            cumulative = softmax(logits / planted).cumsum(axis=1)[:, :-1]
            labels = (rng.random((1500, 1)) > cumulative).sum(axis=1)
            found.append(fit_temperature(labels=labels, logits=logits))
        error = np.std(found) / np.sqrt(len(found))
        print(f"planted {planted}: found {np.mean(found):.4f} ± {error:.4f}")
        # maximum likelihood is biased by about its variance over the temperature
        assert abs(np.mean(found) - planted) < 4 * error + 2 * np.var(found) / planted


def test_the_expected_calibration_error_is_that_of_right_probabilities() -> None:
    """ECE of labels really drawn from the stated probabilities, against its expectation."""
    seen, expected, beyond = [], [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        logits = 1.5 * rng.normal(size=(500, 4))
        cumulative = softmax(logits.astype(np.float32).astype(float)).cumsum(axis=1)[:, :-1]
        labels = (rng.random((500, 1)) > cumulative).sum(axis=1)
        one = Predictions(
            image_ids=np.arange(500).astype(str),
            lesion_ids=np.arange(500).astype(str),
            parts=np.full(500, "test"),
            labels=labels,
            logits=logits.astype(np.float32),
            diagnoses=("a", "b", "c", "d"),
            prior=np.full(4, 0.25),
        )
        found = top_label(one, rng=rng)
        seen.append(found.ece)
        expected.append(found.expected)
        beyond.append(found.ece > found.limit)
    error = np.std(seen) / np.sqrt(len(seen))
    print(f"ECE {np.mean(seen):.4f} ± {error:.4f}, expected {np.mean(expected):.4f}")
    print(f"beyond the 95 % limit in {np.mean(beyond):.1%}")
    assert abs(np.mean(seen) - np.mean(expected)) < 4 * error
    assert 0.02 < np.mean(beyond) < 0.09


@pytest.mark.parametrize("n_lesions", [30, 100, 300, 1500])
@pytest.mark.parametrize("most", [1, 3])
def test_the_mean_risk_of_the_answered_is_kept(n_lesions: int, most: int) -> None:
    """Right probabilities, photographs of a lesion exactly alike; none answered is none wrong."""
    rng = np.random.default_rng(0)
    new = np.sort(drawn_confidences(rng, 200_000))
    risk_from = np.append((1 - new)[::-1].cumsum()[::-1] / np.arange(len(new), 0, -1), 0.0)
    risks, answered = [], []
    for _ in range(N_DRAWS):
        sizes = rng.integers(1, most + 1, n_lesions)
        confidences = drawn_confidences(rng, n_lesions)
        hits = rng.random(n_lesions) < confidences
        of_image = np.repeat(np.arange(n_lesions), sizes)
        threshold = threshold_at_risk(
            confidences=confidences[of_image], hits=hits[of_image], lesion_ids=of_image.astype(str)
        )
        place = np.searchsorted(new, threshold)
        risks.append(risk_from[place])
        answered.append(1 - place / len(new))
    found = np.array(risks)
    error = found.std() / np.sqrt(N_DRAWS)
    print(
        f"{n_lesions} lesions of 1 to {most}: mean risk {found.mean():.4f} ± {error:.4f}, of those "
        f"that answer ({(found > 0).mean():.1%}) {found[found > 0].mean():.4f}; above 15 % in "
        f"{(found > 0.15).mean():.1%}; answered {np.mean(answered):.1%}"
    )
    assert found.mean() < RISK + 2 * error


def drawn_confidences(rng: np.random.Generator, n: int) -> np.ndarray:
    return 0.4 + 0.6 * rng.beta(2, 1.2, n)


def test_gaps_of_equal_groups_hold_nought_though_chosen_after_looking() -> None:
    """Eight groups alike: a plain interval of best minus worst would miss 0 in half of them."""
    held, naive = [], []
    for seed in range(500):
        drawn = study(seed, n_lesions=800, most=2)
        groups = np.array([f"g{int(name) % 8}" for name in drawn.lesion_ids])
        measured = subgroups(drawn, groups)
        wide, plain = gap(measured, "accuracy"), gap(measured[:2], "accuracy")
        assert wide is not None
        assert plain is not None
        held.append(wide.interval.low <= 0)
        naive.append(wide.interval.value - 1.96 * wide.interval.standard_error <= 0)
    print(f"gap holds 0 in {np.mean(held):.1%}, unadjusted {np.mean(naive):.1%}")
    assert np.mean(held) > 0.93
    assert np.mean(naive) < 0.75
