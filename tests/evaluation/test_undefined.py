import math

import numpy as np

from moulage.evaluation.undefined import mean_defined, or_null, ratio


def test_a_quotient_by_zero_is_not_defined() -> None:
    assert np.isnan(ratio(np.array([0, 1]), np.array([0, 0]))).all()
    assert ratio(np.array([1.0]), np.array([4.0])).tolist() == [0.25]


def test_a_mean_leaves_out_what_is_not_defined() -> None:
    means = mean_defined(np.array([[1, np.nan, 3], [np.nan, np.nan, np.nan]]))
    assert means[0] == 2
    assert math.isnan(means[1])


def test_json_gets_null() -> None:
    assert or_null(math.nan) is None
    assert or_null(math.inf) is None
    assert or_null(0.5) == 0.5
