"""Effects and tests on lesions, held against scipy and simulated nulls."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from moulage.evaluation.exact import holm
from moulage.surveying.associations import (
    Crosstab,
    Inference,
    corrected,
    cramers_v,
    crosstab,
    first_of_each,
    spread,
)

Words = np.ndarray


def words_and_lesions(
    n: int, *, seed: int, strength: float = 0.0
) -> tuple[Words, Words, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.choice(["back", "face", "hand"], n)
    columns = rng.choice(["male", "female"], n)
    tied = rng.random(n) < strength
    columns[tied] = np.where(rows[tied] == "back", "male", "female")
    return rows, columns, np.array([f"l{i}" for i in range(n)])


def tabulated(rows: Words, columns: Words, lesions: np.ndarray) -> Crosstab:
    return crosstab(
        "localization", "sex", row_words=rows, column_words=columns, lesion_ids=lesions,
        rng=np.random.default_rng(0),
    )  # fmt: skip


def test_chi_square_is_that_of_scipy() -> None:
    rows, columns, lesions = words_and_lesions(400, seed=42, strength=0.3)
    found = crosstab(
        "localization", "sex", row_words=rows, column_words=columns, lesion_ids=lesions,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert found.test.name == "chi-square"
    told = stats.chi2_contingency(found.counts, correction=False)
    assert found.test.p_value == pytest.approx(told.pvalue, rel=1e-6)
    assert found.counts.sum() == 400
    assert found.shares.sum(axis=1) == pytest.approx(1)


def test_photographs_count_as_images_but_vote_once_a_lesion() -> None:
    rows, columns, lesions = words_and_lesions(200, seed=1, strength=0.2)
    often = [np.tile(column, 5) for column in (rows, columns, lesions)]
    once, repeated = (
        crosstab(
            "localization", "sex", row_words=r, column_words=c, lesion_ids=ids,
            rng=np.random.default_rng(0),
        )
        for r, c, ids in ((rows, columns, lesions), often)
    )  # fmt: skip
    assert repeated.counts.tolist() == (5 * once.counts).tolist()
    assert repeated.test == once.test


@pytest.mark.parametrize("word", ["unknown", "NA", "none", "", "missing", " Not specified "])
def test_words_that_say_nothing_are_counted_but_not_tested(word: str) -> None:
    rows, columns, lesions = words_and_lesions(300, seed=2)
    columns = columns.astype("<U16")
    columns[:40] = word
    found = crosstab(
        "localization", "sex", row_words=rows, column_words=columns, lesion_ids=lesions,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert word in found.columns
    assert found.counts.sum() == 300
    assert found.test.n_lesions == 260


def test_few_expected_lesions_are_shuffled_and_agree_with_fishers_exact_test() -> None:
    rows = np.array(["a"] * 8 + ["b"] * 8)  # each cell expects four
    columns = np.array(["x"] * 6 + ["y"] * 2 + ["x"] * 2 + ["y"] * 6)
    found = tabulated(rows, columns, np.array([f"l{i}" for i in range(16)]))
    assert found.test.name == "permuted chi-square"
    exact = stats.fisher_exact([[6, 2], [2, 6]]).pvalue
    assert found.test.p_value == pytest.approx(exact, abs=0.04)  # 999 shuffles


def test_a_true_null_is_rejected_as_often_as_it_should() -> None:
    p_values = [tabulated(*words_and_lesions(120, seed=seed)).test.p_value for seed in range(100)]
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.11  # 100 draws of 5 %


def test_cramers_v_is_one_for_words_that_say_the_same_and_nearly_none_by_chance() -> None:
    assert cramers_v(np.diag([50, 60, 70])) == pytest.approx(1, abs=1e-6)
    rng = np.random.default_rng(42)
    by_chance = [cramers_v(rng.multinomial(300, [1 / 12] * 12).reshape(4, 3)) for _ in range(100)]
    assert np.mean(by_chance) < 0.06  # without Bergsma's correction about 0.1
    assert np.isnan(cramers_v(np.array([[3, 4]])))


def test_kruskal_and_wallis_are_asked_on_lesions() -> None:
    rng = np.random.default_rng(42)
    words, values = rng.choice(["mel", "nv"], 90), rng.normal(50, 10, 90)
    values[words == "mel"] += 8
    values[0] = np.nan
    lesions = np.array([f"l{i}" for i in range(90)])
    found = spread("age", values=values, words=words, order=("mel", "nv"), lesion_ids=lesions)
    known = ~np.isnan(values)
    told = stats.kruskal(*(values[known & (words == word)] for word in ("mel", "nv")))
    assert found.test is not None
    assert found.test.p_value == pytest.approx(told.pvalue)
    assert found.test.effect == pytest.approx(told.statistic / 88)
    assert [box.n for box in found.boxes] == [
        int((known & (words == w)).sum()) for w in ["mel", "nv"]
    ]


def test_whiskers_end_at_the_last_value_within_reach() -> None:
    values = np.array([0.0, 10, 11, 12, 13, 14, 40])
    (box,) = spread("x", values=values, words=np.array(["nv"] * 7), order=("nv",)).boxes
    assert (box.low, box.median, box.high) == (10, 12, 14)
    assert (box.first, box.third) == (10.5, 13.5)


def test_a_family_is_corrected_by_holm_and_what_has_no_p_is_no_member() -> None:
    one = Inference(name="chi-square", effect_name="V", effect=0.1, p_value=0.01, n_lesions=9)
    tests = [one, replace(one, p_value=float("nan")), replace(one, p_value=0.04)]
    found = corrected(tests)
    assert [t.p_family for t in found][::2] == list(holm([0.01, 0.04]))
    assert np.isnan(found[1].p_family)


def test_the_first_photograph_of_each_lesion_votes() -> None:
    assert first_of_each(np.array(["b", "a", "b", "c", "a"])).tolist() == [0, 1, 3]
