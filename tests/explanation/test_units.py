import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from moulage.errors import ShapeError
from moulage.explanation.units import characterise, duplicates_of


def drawn(n_images: int = 120, seed: int = 42) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n_images)
    activations = np.maximum(rng.normal(size=(n_images, 5)), 0)
    activations[:, 0] += 2 * (labels == 1)
    lesions = np.array([f"L{number}" for number in range(n_images)])
    return activations.astype(np.float32), labels, lesions


def test_areas_agree_with_scikit_learn() -> None:
    activations, labels, lesions = drawn()
    found = characterise(activations, labels=labels, lesion_ids=lesions, n_classes=3)
    for unit in range(5):
        for diagnosis in range(3):
            expected = roc_auc_score(labels == diagnosis, activations[:, unit])
            assert found.areas[unit, diagnosis] == pytest.approx(expected)
            assert found.low[unit, diagnosis] < expected < found.high[unit, diagnosis]
    assert found.areas.argmax(axis=0)[1] == 0


def test_photographs_of_one_lesion_tell_no_more_than_one() -> None:
    activations, labels, lesions = drawn()
    once = characterise(activations, labels=labels, lesion_ids=lesions, n_classes=3)
    thrice = characterise(
        np.tile(activations, (3, 1)),
        labels=np.tile(labels, 3),
        lesion_ids=np.tile(lesions, 3),
        n_classes=3,
    )
    np.testing.assert_allclose(thrice.areas, once.areas)
    np.testing.assert_allclose(thrice.low, once.low)


def test_bounds_are_students_on_the_log_odds() -> None:
    """By pencil: four slopes of 1/8, times 4/3 for the mean that they were taken from."""
    found = characterise(
        np.array([[1.0], [3.0], [0.0], [2.0]]),
        labels=np.array([1, 1, 0, 0]),
        lesion_ids=np.array(["a", "b", "c", "d"]),
        n_classes=2,
    )
    reach = stats.t.ppf(0.975, 2) * np.sqrt(4 / 64 * 4 / 3) / (0.75 * 0.25)
    assert found.areas[0].tolist() == [0.25, 0.75]
    assert found.low[0, 1] == pytest.approx(expit(logit(0.75) - reach))
    assert found.high[0, 1] == pytest.approx(expit(logit(0.75) + reach))


def test_intervals_hold_a_unit_that_tells_nothing() -> None:
    held = []
    for seed in range(60):
        activations, labels, lesions = drawn(80, seed)
        found = characterise(activations[:, 1:], labels=labels, lesion_ids=lesions, n_classes=3)
        held.append((found.low <= 0.5) & (found.high >= 0.5))
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_a_perfect_unit_has_no_bounds_and_an_absent_diagnosis_no_area() -> None:
    labels = np.array([0, 0, 2, 2])
    activations = np.array([[1.0], [2.0], [3.0], [4.0]])
    lesions = np.array(["a", "b", "c", "d"])
    found = characterise(activations, labels=labels, lesion_ids=lesions, n_classes=3)
    assert found.areas[0].tolist()[::2] == [0, 1]
    assert np.isnan(found.areas[0, 1])
    assert np.isnan(found.low).all()


def test_the_images_that_excite_a_unit_most_come_first() -> None:
    activations = np.array([[0.0, 1.0], [5.0, 1.0], [2.0, 1.0]])
    lesions = np.array(["a", "b", "c"])
    found = characterise(
        activations, labels=np.array([0, 1, 0]), lesion_ids=lesions, n_classes=2, n_exciting=2
    )
    assert found.exciting.tolist() == [[1, 2], [0, 1]]
    assert found.is_dead.tolist() == [False, True]
    assert found.areas[1].tolist() == [0.5, 0.5]


def test_duplicates_are_grouped_through_chains_and_mirrors() -> None:
    base = np.random.default_rng(42).normal(size=(200, 3))
    activations = np.c_[base, 2 * base[:, 0] + 1, -base[:, 0], np.zeros(200), np.zeros(200)]
    assert duplicates_of(activations) == ((0, 3, 4),)
    assert duplicates_of(np.zeros((5, 3))) == ()


def test_faulty_activations_are_refused() -> None:
    activations, labels, lesions = drawn(10)
    with pytest.raises(ShapeError, match=r"must have shape \(N, D\) with N = 9"):
        characterise(activations, labels=labels[:9], lesion_ids=lesions, n_classes=3)
    activations[3, 2] = np.nan
    with pytest.raises(ShapeError, match="NaN or infinity in 1 units"):
        characterise(activations, labels=labels, lesion_ids=lesions, n_classes=3)
