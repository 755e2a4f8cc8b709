import math

import numpy as np
import pytest

from moulage.errors import ConfigError
from moulage.evaluation.abstention import (
    abstain,
    confidence_of,
    is_right,
    risk_at,
    risk_coverage,
    threshold_at_risk,
)

CONFIDENCES = np.array([0.9, 0.8, 0.8, 0.7, 0.6])
HITS = np.array([True, True, False, True, False])


def test_the_curve_by_pencil() -> None:
    curve = risk_coverage(confidences=CONFIDENCES, hits=HITS)
    assert curve.coverages == pytest.approx([0.2, 0.6, 0.8, 1.0])
    assert curve.risks == pytest.approx([0, 1 / 3, 1 / 4, 2 / 5])
    assert curve.area == pytest.approx((0 + 2 / 3 + 1 / 4 + 2 / 5) / 5)
    assert curve.oracle == pytest.approx((1 / 4 + 2 / 5) / 5)
    assert risk_at(curve, 0.8) == 0.25
    assert risk_at(curve, 0.61) == 0.25


def threshold(risk: float, lesion_ids: np.ndarray | None = None) -> float:
    ids = np.arange(len(HITS)).astype(str) if lesion_ids is None else lesion_ids
    return threshold_at_risk(confidences=CONFIDENCES, hits=HITS, lesion_ids=ids, risk=risk)


def test_the_largest_coverage_that_keeps_the_risk_with_one_more_wrong_is_chosen() -> None:
    """Of 1, 3, 4 and 5 answered 0, 1, 1 and 2 are wrong: bounds 1/2, 2/4, 2/5 and 3/6."""
    chosen = {risk: threshold(risk) for risk in (0, 0.3, 0.4, 0.49, 0.5)}
    assert chosen == {0: math.inf, 0.3: math.inf, 0.4: 0.7, 0.49: 0.7, 0.5: 0.6}


def test_the_one_more_is_a_lesion_of_as_many_photographs_as_one_has() -> None:
    """Five images of sizes 2, 2 and 1 are as 25/9 equal lesions of 1.8: bounds 2.8/5.8, 3.8/6.8."""
    ids = np.array(["a", "a", "b", "b", "c"])
    assert threshold(2.8 / 5.8, ids) == 0.7
    assert threshold(2.8 / 5.8 - 1e-9, ids) == math.inf
    assert threshold(3.8 / 6.8, ids) == 0.6


def test_eight_right_answers_promise_no_tenth_and_nine_do() -> None:
    for n_images, expected in ((8, math.inf), (9, 0.9)):
        found = threshold_at_risk(
            confidences=np.full(n_images, 0.9),
            hits=np.ones(n_images, dtype=bool),
            lesion_ids=np.arange(n_images).astype(str),
        )
        assert found == expected


def test_without_images_none_is_answered() -> None:
    nothing = np.zeros(0)
    found = threshold_at_risk(
        confidences=nothing, hits=nothing.astype(bool), lesion_ids=nothing.astype(str)
    )
    assert found == math.inf


@pytest.mark.parametrize("seed", range(20))
def test_no_order_beats_the_oracle_and_equal_confidence_is_plain_risk(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hits = rng.random(50) < 0.7
    curve = risk_coverage(confidences=rng.random(50), hits=hits)
    perfect = risk_coverage(confidences=hits - 0.001 * np.arange(50), hits=hits)
    assert perfect.area == pytest.approx(perfect.oracle)
    assert curve.area >= curve.oracle
    level = risk_coverage(confidences=np.ones(50), hits=hits)
    assert level.area == pytest.approx(1 - hits.mean())


def test_what_a_threshold_leaves_is_measured(make_predictions) -> None:
    found = make_predictions(labels=[0, 1, 1], logits=[[3, 0], [1, 0], [0, 2]], temperature=2.0)
    assert is_right(found).tolist() == [True, False, True]
    assert confidence_of(found) == pytest.approx(found.probabilities().max(axis=1))
    left = abstain(found, threshold=0.7)
    assert (left.n_answered, left.risk.value) == (2, 0)
    assert left.coverage.value == pytest.approx(2 / 3)
    assert math.isnan(abstain(found, threshold=math.inf).risk.value)


def test_odd_shares_are_refused() -> None:
    with pytest.raises(ConfigError, match="`risk` must lie in"):
        threshold(1.0)
    with pytest.raises(ConfigError, match="`coverage` must lie in"):
        risk_at(risk_coverage(confidences=CONFIDENCES, hits=HITS), 0.0)
    nothing = risk_coverage(confidences=np.zeros(0), hits=np.zeros(0, dtype=bool))
    assert math.isnan(nothing.area)
    assert math.isnan(risk_at(nothing, 0.8))
