import numpy as np
import pytest

from moulage.errors import ShapeError
from moulage.evaluation import confusion


def test_rows_are_truth_and_columns_decisions() -> None:
    matrix = confusion.confusion_matrix(
        labels=np.array([0, 0, 1]), decisions=np.array([0, 1, 1]), n_classes=3
    )
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert matrix.dtype == np.int64


def test_kappa_and_matthews_by_pencil() -> None:
    """20 + 15 of 50 agree, 5 and 10 do not: kappa (0.7 − 0.5) / 0.5 = 0.4."""
    matrix = np.array([[20, 5], [10, 15]])
    assert confusion.cohen_kappa(matrix) == pytest.approx(0.4, rel=1e-12)
    by_hand = (20 * 15 - 5 * 10) / np.sqrt(25 * 25 * 30 * 20)
    assert confusion.matthews(matrix) == pytest.approx(by_hand, rel=1e-12)


def test_one_decision_for_all_correlates_with_nothing() -> None:
    assert confusion.matthews(np.array([[3, 0], [2, 0]])) == 0
    assert np.isnan(confusion.matthews(np.array([[3, 2], [0, 0]])))


def test_a_stack_is_measured_matrix_by_matrix() -> None:
    stack = np.random.default_rng(42).integers(0, 9, size=(2, 5, 4, 4))
    for measure in (confusion.accuracy, confusion.matthews, confusion.macro_f1):
        singles = [[float(measure(matrix)) for matrix in row] for row in stack]
        np.testing.assert_allclose(measure(stack), singles, rtol=1e-12)


def test_a_decision_outside_the_diagnoses_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"must lie in \[0, 2\); got 0 to 2"):
        confusion.confusion_matrix(labels=np.array([0]), decisions=np.array([2]), n_classes=2)
