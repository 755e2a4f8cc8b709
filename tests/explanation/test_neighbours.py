import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from moulage.errors import ShapeError
from moulage.explanation.neighbours import nearest_lesions


def test_neighbours_agree_with_scikit_learn_where_lesions_are_single() -> None:
    rng = np.random.default_rng(42)
    asked, known = rng.normal(size=(20, 8)), rng.normal(2, 3, size=(60, 8))
    ids = np.array([f"L{number}" for number in range(80)])
    found = nearest_lesions(
        asked, lesion_ids=ids[:20], among=known, among_lesion_ids=ids[20:], n_nearest=5
    )
    scaler = StandardScaler().fit(known)
    reference = NearestNeighbors(n_neighbors=5).fit(scaler.transform(known))
    distances, rows = reference.kneighbors(scaler.transform(asked))
    assert np.array_equal(found.rows, rows)
    np.testing.assert_allclose(found.distances, distances)


def test_the_same_lesion_is_never_an_answer_and_no_lesion_comes_twice() -> None:
    known = np.array([[0.0], [0.1], [0.2], [0.3], [5.0]])
    lesions = np.array(["own", "a", "a", "b", "c"])
    found = nearest_lesions(
        np.array([[0.0]]),
        lesion_ids=np.array(["own"]),
        among=known,
        among_lesion_ids=lesions,
        n_nearest=4,
    )
    assert found.rows.tolist() == [[1, 3, 4, -1]]
    assert np.isnan(found.distances[0, 3])
    assert (np.diff(found.distances[0, :3]) > 0).all()


def test_more_questions_than_a_block_are_answered_alike() -> None:
    rng = np.random.default_rng(42)
    asked, known = rng.normal(size=(300, 3)), rng.normal(size=(12, 3))
    ids, others = np.array(["q"] * 300), np.array([f"L{i % 7}" for i in range(12)])
    whole = nearest_lesions(asked, lesion_ids=ids, among=known, among_lesion_ids=others)
    last = nearest_lesions(asked[-1:], lesion_ids=ids[-1:], among=known, among_lesion_ids=others)
    assert np.array_equal(whole.rows[-1], last.rows[0])


def test_other_widths_and_lengths_are_refused() -> None:
    ids = np.array(["a", "b"])
    with pytest.raises(ShapeError, match="one width D; got 3 and 4"):
        nearest_lesions(
            np.ones((2, 3)), lesion_ids=ids, among=np.ones((2, 4)), among_lesion_ids=ids
        )
    with pytest.raises(ShapeError, match=r"with N = 2 lesion ids; got \(3, 4\)"):
        nearest_lesions(
            np.ones((3, 4)), lesion_ids=ids, among=np.ones((2, 4)), among_lesion_ids=ids
        )
