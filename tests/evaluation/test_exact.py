import math

import numpy as np
import pytest
from scipy import stats

from moulage.errors import ShapeError
from moulage.evaluation.exact import delong, holm, mcnemar

# Ovarian cancer and bowel obstruction: albumin, total protein, K-G score, whether surgery helped;
# the worked example of delong1988 (43 complete patients).
DELONG1988 = """
3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0
1.6 5.6 5 1 3.8 5.7 5 1 3.7 6.7 6 1 3.2 5.4 4 1 3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1
4.3 7.0 4 1 3.6 6.7 4 0 2.3 4.4 6 1 4.2 7.6 4 0 4.0 6.6 6 0 3.5 5.8 6 1 3.8 6.8 7 1
3.0 4.7 8 0 4.5 7.4 5 1 3.7 7.4 5 1 3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1 4.3 6.5 4 1
3.2 5.1 5 1 2.6 4.7 6 1 3.3 6.8 6 0 1.7 4.0 7 0 3.7 6.1 5 1 3.3 6.3 7 1 4.2 7.7 6 1
3.5 6.2 5 1 2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1 3.3 5.7 6 1 3.7 6.9 5 1
3.6 6.6 5 1
"""


def right(n_both: int, n_first: int, n_second: int, n_none: int) -> dict[str, np.ndarray]:
    counts = (n_both, n_first, n_second, n_none)
    return {
        "first_right": np.repeat([True, True, False, False], counts),
        "second_right": np.repeat([True, False, True, False], counts),
    }


def naive_delong(positives: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Equations 2 to 6 of delong1988, pair by pair."""
    hits, alarms = scores[:, positives], scores[:, ~positives]
    wins = (hits[:, :, None] > alarms[:, None, :]) + 0.5 * (hits[:, :, None] == alarms[:, None, :])
    areas = wins.mean(axis=(1, 2))
    of_hits, of_alarms = wins.mean(axis=2), wins.mean(axis=1)
    variance = 0.0
    for parts in (of_hits[0] - of_hits[1], of_alarms[0] - of_alarms[1]):
        variance += ((parts - parts.mean()) ** 2).sum() / (len(parts) - 1) / len(parts)
    z = (areas[0] - areas[1]) / math.sqrt(variance)
    return areas, math.sqrt(variance), float(2 * stats.norm.sf(abs(z)))


@pytest.mark.parametrize("seed", range(40))
def test_mcnemar_equals_the_binomial_test_of_scipy(seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 40, size=4)
    found = mcnemar(**right(*counts.tolist()))
    n_first, n_second = int(counts[1]), int(counts[2])
    assert (found.n_only_first, found.n_only_second) == (n_first, n_second)
    if n_first + n_second:
        expected = stats.binomtest(n_first, n_first + n_second).pvalue
        assert found.p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_pencil_and_at_its_limits() -> None:
    assert mcnemar(**right(3, 5, 0, 2)).p_value == 2 / 32
    assert mcnemar(**right(3, 4, 4, 2)).p_value == 1
    assert mcnemar(**right(3, 0, 0, 2)).p_value == 1
    assert 0 < mcnemar(**right(0, 1200, 300, 0)).p_value < 1e-100


def test_delong_gives_the_figures_of_its_worked_example() -> None:
    table = np.array(DELONG1988.split(), dtype=np.float64).reshape(43, 4)
    albumin, protein, score, helped = table.T
    found = delong(positives=helped == 1, first=protein, second=-score)
    assert found.first == pytest.approx(0.6478, abs=5e-5)
    assert found.second == pytest.approx(0.7258, abs=5e-5)
    assert found.difference == pytest.approx(-0.0780, abs=5e-5)
    assert found.standard_error == pytest.approx(0.1046, abs=5e-5)
    assert found.p_value == pytest.approx(0.4561, abs=5e-5)
    other = delong(positives=helped == 1, first=albumin, second=-score)
    assert other.first == pytest.approx(0.7366, abs=5e-5)
    assert other.standard_error == pytest.approx(0.0953, abs=5e-5)


@pytest.mark.parametrize("seed", range(40))
def test_delong_equals_its_equations_pair_by_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positives = rng.permutation(np.arange(40) < rng.integers(2, 30))
    scores = np.round(rng.normal(size=(2, 40)) + positives, int(rng.integers(0, 3)))
    found = delong(positives=positives, first=scores[0], second=scores[1])
    areas, error, p_value = naive_delong(positives, scores)
    measured = (found.first, found.second, found.standard_error, found.p_value)
    assert measured == pytest.approx((*areas, error, p_value), rel=1e-9)


def test_delong_at_its_limits() -> None:
    positives = np.array([True, True, False, False])
    perfect, constant = np.array([4.0, 3.0, 2.0, 1.0]), np.zeros(4)
    assert delong(positives=positives, first=perfect, second=perfect).p_value == 1
    assert math.isnan(delong(positives=positives, first=perfect, second=constant).p_value)
    lonely = delong(positives=positives[1:], first=perfect[1:], second=constant[1:])
    assert math.isnan(lonely.p_value)
    assert math.isnan(lonely.standard_error)


def test_holm_by_pencil() -> None:
    """Of four, the smallest counts four times, the next three times, never falling, at most 1."""
    adjusted = holm([0.04, 0.005, 0.03, 0.6])
    assert adjusted == pytest.approx((0.09, 0.02, 0.09, 0.6))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()


def test_holm_leaves_out_what_is_not_defined() -> None:
    adjusted = holm([0.02, math.nan, 0.03])
    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


def test_columns_of_unlike_length_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"got \(2,\) and \(3,\)"):
        mcnemar(first_right=np.zeros(2, bool), second_right=np.zeros(3, bool))
