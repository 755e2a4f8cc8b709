from collections.abc import Callable

import numpy as np
import pytest

from moulage.evaluation.influence import influences
from moulage.evaluation.metrics import score, weighted_metrics
from moulage.predictions import Predictions


@pytest.mark.parametrize("number", range(0, 60))
def test_influence_is_the_slope_in_the_weight(
    random_case: Callable[[int], Predictions], number: int
) -> None:
    scored = score(random_case(number))
    step = 1e-5 * np.eye(len(scored.labels))
    more, fewer = (weighted_metrics(scored, weights=1 + sign * step) for sign in (1, -1))
    for name, found in influences(scored).items():
        expected = (more[name] - fewer[name]) / 2e-5
        if name == "matthews" and (np.abs(expected) > 1e3).any():
            continue  # one decision for all: 0 by convention, and no slope there
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 6])
def test_influences_sum_to_zero(random_case: Callable[[int], Predictions], number: int) -> None:
    for name, found in influences(score(random_case(number))).items():
        if not np.isnan(found).any():
            assert found.sum() == pytest.approx(0, abs=1e-6), name
