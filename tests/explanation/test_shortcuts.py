import numpy as np
import pytest
from scipy.stats import binomtest

from moulage.explanation.answers import Answers
from moulage.explanation.lime import Explanation
from moulage.explanation.shortcuts import Case, find_shortcuts, suspects_of

SEGMENTS = np.arange(6)[None].repeat(3, axis=0)
LESION = np.isin(SEGMENTS, (2, 3))


def case(weights: object, *, image_id: str = "I1", diagnosis: int = 0, error: float = 0) -> Case:
    numbers = np.asarray(weights, dtype=float)
    explanation = Explanation(
        weights=numbers,
        standard_errors=np.full(6, error),
        intercept=0.0,
        score=1.0,
        foretold=1.0,
        method="exact",
        segments=SEGMENTS,
        diagnosis=diagnosis,
        probability=0.5,
        answers=Answers(masks=np.ones((1, 6), bool), probabilities=np.full((1, 3), 1 / 3)),
    )
    return Case(image_id=image_id, explanation=explanation, lesion=LESION)


ON_LESION = [0.01, 0.0, 0.4, 0.3, -0.1, 0.02]
ON_EDGE = [0.3, 0.0, 0.4, 0.1, -0.1, 0.0]


def test_weight_beside_the_lesion_is_a_suspect() -> None:
    (found,) = suspects_of(case(ON_EDGE))
    assert (found.superpixel, found.weight) == (0, 0.3)
    assert found.share == pytest.approx(0.3 / 0.8)
    assert not list(suspects_of(case(ON_LESION)))


def test_weights_that_may_be_nought_negative_or_small_are_no_suspects() -> None:
    assert not list(suspects_of(case(ON_EDGE, error=0.2)))
    assert not list(suspects_of(case(-np.abs(ON_EDGE))))
    assert not list(suspects_of(case([0.1, 0.0, 0.5, 0.05, 0.0, 0.0])))
    assert not list(suspects_of(case(np.zeros(6))))
    assert not list(suspects_of(case(1e-3 * np.array(ON_EDGE))))


def test_a_diagnosis_with_a_shortcut_is_flagged_and_one_without_is_not() -> None:
    marked = [case(ON_EDGE, image_id=f"M{i}", diagnosis=1) for i in range(16)]
    marked += [case(ON_LESION, image_id=f"M{i}", diagnosis=1) for i in range(16, 20)]
    clean = [case(ON_LESION, image_id=f"C{i}", diagnosis=0) for i in range(18)]
    clean += [case(ON_EDGE, image_id=f"C{i}", diagnosis=0) for i in range(18, 20)]
    first, second = find_shortcuts([*marked, *clean])
    assert (first.diagnosis, first.n_images, first.n_suspect) == (0, 20, 2)
    assert not first.is_flagged
    assert (second.diagnosis, second.share) == (1, 0.8)
    assert second.is_flagged


def test_the_worst_come_first() -> None:
    heavy = case([0.9, 0.0, 0.1, 0.1, 0.0, 0.0], image_id="worst")
    (found,) = find_shortcuts([case(ON_EDGE, image_id="b"), heavy, case(ON_EDGE, image_id="a")])
    assert [suspect.image_id for suspect in found.suspects] == ["worst", "a", "b"]


def test_an_image_with_two_suspects_counts_once() -> None:
    (found,) = find_shortcuts([case([0.4, 0.5, 0.0, 0.0, 0.0, 0.0])])
    assert (len(found.suspects), found.n_suspect) == (2, 1)


@pytest.mark.parametrize(("n_hits", "n_images"), [(0, 5), (3, 10), (10, 10), (1, 1)])
def test_the_least_share_is_clopper_and_pearsons(n_hits: int, n_images: int) -> None:
    cases = [case(ON_EDGE, image_id=f"{i}") for i in range(n_hits)]
    cases += [case(ON_LESION, image_id=f"x{i}") for i in range(n_images - n_hits)]
    (found,) = find_shortcuts(cases)
    reference = binomtest(n_hits, n_images, alternative="greater").proportion_ci(0.95).low
    assert found.low == pytest.approx(reference, abs=1e-9)


def test_no_images_have_no_findings() -> None:
    assert find_shortcuts([]) == ()
