import math

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from moulage.errors import ShapeError
from moulage.explanation.masks import all_masks, proximities, random_masks
from moulage.explanation.surrogate import fit_surrogate, standard_errors, weighted_r2


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("penalty", [0.0, 0.3, 1.0])
def test_weights_agree_with_scikit_learn(seed: int, penalty: float) -> None:
    rng = np.random.default_rng(seed)
    n_segments = int(rng.integers(1, 12))
    masks = random_masks(n_segments, n_masks=40, rng=rng)
    values, near = rng.normal(size=40), proximities(masks)
    reference = Ridge(alpha=penalty) if penalty else LinearRegression()
    reference.fit(masks, values, sample_weight=near)
    fitted = fit_surrogate(masks, values=values, proximities=near, penalty=penalty)
    np.testing.assert_allclose(fitted.weights, reference.coef_, rtol=1e-9, atol=1e-12)
    assert fitted.intercept == pytest.approx(reference.intercept_, rel=1e-9)
    assert fitted.score == pytest.approx(reference.score(masks, values, near), rel=1e-9)


def test_a_linear_function_is_recovered_and_fits_perfectly() -> None:
    masks = all_masks(6)
    truth = np.array([0.3, -0.1, 0.0, 0.02, 1e-4, -0.5])
    fitted = fit_surrogate(masks, values=0.2 + masks @ truth, proximities=proximities(masks))
    np.testing.assert_allclose(fitted.weights, truth, atol=1e-12)
    assert fitted.score == pytest.approx(1, abs=1e-12)
    assert fitted.intercept == pytest.approx(0.2, abs=1e-12)


@pytest.mark.parametrize("level", [0.0, 0.1, 1 / 3, 0.999])
def test_an_answer_that_never_changes_has_no_score(level: float) -> None:
    masks = all_masks(5)
    fitted = fit_surrogate(masks, values=np.full(32, level), proximities=proximities(masks))
    assert math.isnan(fitted.score)
    np.testing.assert_allclose(fitted.weights, 0, atol=1e-12)


def test_the_score_by_pencil() -> None:
    values, residuals = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, -0.5])
    weights = np.array([1.0, 2.0, 1.0])
    assert weighted_r2(values=values, residuals=residuals, weights=weights) == 1 - 0.75 / 2


@pytest.mark.parametrize("seed", range(5))
def test_standard_errors_are_hc3_written_out_row_by_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = random_masks(4, n_masks=30, rng=rng)
    values, near = rng.normal(size=30), proximities(masks)
    fitted = fit_surrogate(masks, values=values, proximities=near)
    found = standard_errors(fitted, masks=masks, values=values, proximities=near, penalty=0)
    design = np.c_[np.ones(30), masks]
    bread = np.linalg.inv(design.T @ np.diag(near) @ design)
    meat = np.zeros((5, 5))
    for row, value, weight in zip(design, values, near, strict=True):
        residual = value - fitted.intercept - row[1:] @ fitted.weights
        leverage = weight * row @ bread @ row
        meat += (weight * residual / (1 - leverage)) ** 2 * np.outer(row, row)
    np.testing.assert_allclose(found, np.sqrt(np.diag(bread @ meat @ bread))[1:], rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_foretold_is_each_value_by_a_fit_of_scikit_learn_without_it(
    seed: int, penalty: float
) -> None:
    rng = np.random.default_rng(seed)
    masks = random_masks(6, n_masks=25, rng=rng)
    values, near = rng.normal(size=25), proximities(masks)
    left_out = np.zeros(25)
    for row in range(25):
        rest = np.arange(25) != row
        without = Ridge(alpha=penalty) if penalty else LinearRegression()
        without.fit(masks[rest], values[rest], sample_weight=near[rest])
        left_out[row] = without.predict(masks[row : row + 1])[0]
    expected = weighted_r2(values=values, residuals=values - left_out, weights=near)
    fitted = fit_surrogate(masks, values=values, proximities=near, penalty=penalty)
    assert fitted.foretold == pytest.approx(expected, rel=1e-9)
    assert fitted.foretold < fitted.score


def test_a_value_that_no_other_tells_is_foretold_by_the_mean() -> None:
    masks = np.array([[True], [False], [False]])
    fitted = fit_surrogate(masks, values=np.array([3.0, 0.0, 0.0]), proximities=np.ones(3))
    assert fitted.score == pytest.approx(1)
    assert fitted.foretold == pytest.approx(1 - 4 / 6)


def test_what_the_penalty_takes_counts_as_error() -> None:
    masks = all_masks(4)
    truth, near = np.array([0.4, 0.0, -0.2, 0.1]), proximities(masks)
    values = masks @ truth
    fitted = fit_surrogate(masks, values=values, proximities=near, penalty=1.0)
    errors = standard_errors(fitted, masks=masks, values=values, proximities=near, penalty=1.0)
    assert (np.abs(fitted.weights - truth) < 1.96 * errors + 1e-12).all()


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"shape \(P,\) = \(4\,?\)"):
        fit_surrogate(all_masks(2), values=np.ones(3), proximities=np.ones(4))
