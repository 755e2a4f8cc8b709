import numpy as np
import pytest
from scipy.stats import multivariate_normal

from moulage.explanation.designs import designed_masks
from moulage.explanation.fields import (
    _NUGGET,
    _unlikelihood,
    contrasts,
    correlation,
    fit_field,
    learn_rates,
    usual_rates,
)
from moulage.explanation.masks import all_masks

RATES = np.array([0.1, 0.5, 1.0, 0.02, 0.3, 0.7])
MASKS = all_masks(6)


def draw(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    covariance = correlation(MASKS, MASKS, rates=RATES)
    return rng.multivariate_normal(np.zeros(64), covariance) + MASKS @ rng.normal(0, 1, 6)


def test_correlation_is_a_product_over_superpixels() -> None:
    found = correlation(MASKS[:5], MASKS, rates=RATES)
    for row, one in enumerate(MASKS[:5]):
        for column, other in enumerate(MASKS):
            factors = [np.exp(-r) for r, a, b in zip(RATES, one, other, strict=True) if a != b]
            assert found[row, column] == pytest.approx(np.prod(factors), rel=1e-12)


def test_a_field_passes_through_what_it_has_seen() -> None:
    values = draw(0)
    field = fit_field(MASKS[::2], values=values[::2], rates=RATES)
    np.testing.assert_allclose(field.mean(MASKS[::2]), values[::2], atol=1e-4)


def test_a_linear_function_is_continued_exactly() -> None:
    values = 0.3 + MASKS @ np.array([1.0, -2.0, 0.5, 0.0, 0.1, 3.0])
    field = fit_field(MASKS[:40], values=values[:40], rates=RATES)
    np.testing.assert_allclose(field.mean(MASKS), values, atol=1e-8)


def test_left_out_errors_are_those_of_leaving_out() -> None:
    values, seen = draw(1)[:20], MASKS[:20]
    field = fit_field(seen, values=values, rates=RATES)
    for row in (0, 7, 19):
        rest = np.arange(20) != row
        without = fit_field(seen[rest], values=values[rest], rates=RATES)
        error = values[row] - without.mean(seen[row : row + 1])[0]
        assert field.leave_one_out[row] == pytest.approx(error, rel=1e-4)


def test_a_value_that_alone_tells_a_slope_is_foretold_by_the_mean() -> None:
    masks = designed_masks(10, 12)
    values = np.random.default_rng(42).random(12)
    field = fit_field(masks, values=values, rates=usual_rates(10))
    design = np.c_[np.ones(12), masks]
    ranks = [np.linalg.matrix_rank(np.delete(design, row, axis=0)) for row in range(12)]
    alone = np.array(ranks) < np.linalg.matrix_rank(design)
    assert alone.any()
    np.testing.assert_array_equal(field.leave_one_out[alone], (values - values.mean())[alone])


def test_contrasts_see_no_line() -> None:
    blind = contrasts(MASKS[::3])
    np.testing.assert_allclose(blind.T @ blind, np.eye(15), atol=1e-12)
    np.testing.assert_allclose(blind.T @ (0.3 + MASKS[::3] @ RATES), 0, atol=1e-12)


def test_the_likelihood_is_that_of_contrasts_of_a_normal() -> None:
    seen = MASKS[::3]
    blind = contrasts(seen)
    bent = blind.T @ draw(2)[::3, None]
    apart = (seen[:, None] != seen[None]).astype(float)

    def reference(rates: np.ndarray) -> float:
        inner = blind.T @ correlation(seen, seen, rates=rates) @ blind + _NUGGET * np.eye(15)
        variance = bent[:, 0] @ np.linalg.solve(inner, bent[:, 0]) / 15
        return float(multivariate_normal.logpdf(bent[:, 0], cov=variance * inner))

    def ours(rates: np.ndarray) -> float:
        return -_unlikelihood(np.log(rates), apart, blind, bent)[0]

    difference = ours(RATES) - ours(2 * RATES)
    assert difference == pytest.approx(reference(RATES) - reference(2 * RATES), rel=1e-6)


def test_the_slope_of_the_likelihood_is_its_slope() -> None:
    seen, values = MASKS[::2], np.stack([draw(3)[::2], draw(4)[::2]], axis=1)
    blind = contrasts(seen)
    rest = ((seen[:, None] != seen[None]).astype(float), blind, blind.T @ values)
    found = _unlikelihood(np.log(RATES), *rest)[1]
    steps = 1e-5 * np.eye(6)
    sides = [
        [_unlikelihood(np.log(RATES) + sign * step, *rest)[0] for sign in (1, -1)] for step in steps
    ]
    np.testing.assert_allclose(found, (-np.diff(sides, axis=1) / 2e-5).ravel(), atol=1e-4)


def test_rates_are_found_again() -> None:
    values = np.stack([draw(seed) for seed in range(40)], axis=1)
    np.testing.assert_allclose(learn_rates(MASKS, values=values), RATES, rtol=0.35)


def test_values_that_do_not_vary_leave_the_usual_rates() -> None:
    values = np.full((64, 3), 0.4)
    np.testing.assert_allclose(learn_rates(MASKS, values=values), usual_rates(6))


def test_doubt_is_nought_where_all_is_known_and_holds_elsewhere() -> None:
    directions = np.eye(64)
    known = fit_field(MASKS, values=draw(5), rates=RATES).doubt(MASKS, directions)
    assert known.max() < 1e-2
    misses = []
    for seed in range(20):
        values = draw(seed)
        order = np.random.default_rng(seed).permutation(64)
        seen, rest = order[:40], order[40:]
        field = fit_field(MASKS[seen], values=values[seen], rates=RATES)
        doubt = field.doubt(MASKS[rest], np.eye(24))
        misses.append((field.mean(MASKS[rest]) - values[rest]) / doubt)
    assert np.std(misses) == pytest.approx(1, abs=0.1)
