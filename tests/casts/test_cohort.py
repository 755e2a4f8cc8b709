"""The table of a cast data set follows HAM10000's own counts."""

import numpy as np
import pytest

from moulage.casts.cohort import (
    BACKGROUNDS,
    DIAGNOSES,
    METADATA_COLUMNS,
    draw_cohort,
    draw_dx_type,
    draw_lesion,
    image_quotas,
    lesion_id,
    lesion_number,
    photograph_counts,
)
from moulage.seeding import generator

N_HAM10000_IMAGES = 10_015
N_HAM10000_LESIONS = 7_470


def test_quotas_at_the_size_of_ham10000_are_its_counts() -> None:
    assert image_quotas(N_HAM10000_IMAGES) == {
        "nv": 6705,
        "mel": 1113,
        "bkl": 1099,
        "bcc": 514,
        "akiec": 327,
        "vasc": 142,
        "df": 115,
    }


def test_backgrounds_hold_every_lesion_of_ham10000() -> None:
    assert sum(sum(one.photographs) for one in BACKGROUNDS.values()) == N_HAM10000_LESIONS
    n_images = {
        code: sum(n * lesions for n, lesions in enumerate(one.photographs, start=1))
        for code, one in BACKGROUNDS.items()
    }
    assert n_images == {code: one.n_images for code, one in BACKGROUNDS.items()}


@pytest.mark.parametrize("n_images", [1, 2, 6, 7, 8, 13, 20, 39, 40, 99, 100, 200, 1000, 9999])
def test_quotas_sum_to_what_was_asked_for(n_images: int) -> None:
    quotas = image_quotas(n_images)
    assert sum(quotas.values()) == n_images
    assert min(quotas.values()) >= (1 if n_images >= len(DIAGNOSES) else 0)
    assert max(quotas, key=lambda code: quotas[code]) == "nv"


@pytest.mark.parametrize("seed", range(5))
def test_every_diagnosis_has_three_lesions_in_a_small_set(seed: int) -> None:
    cohort = draw_cohort(n_images=150, seed=seed)
    assert len(cohort) == 150
    assert cohort.groupby("dx")["lesion_id"].nunique().min() >= 3
    assert set(cohort["dx"]) == set(DIAGNOSES)


def test_photographs_per_lesion_are_distributed_as_in_ham10000() -> None:
    counts = photograph_counts("nv", 6705, rng=generator("test", 0))
    assert sum(counts) == 6705
    shares = np.bincount(counts, minlength=7)[1:7] / len(counts)
    expected = np.array(BACKGROUNDS["nv"].photographs) / sum(BACKGROUNDS["nv"].photographs)
    # 5,400 draws: the standard error of a share is below 0.006
    np.testing.assert_allclose(shares, expected, atol=0.02)


def test_a_cohort_as_large_as_ham10000_has_about_as_many_lesions() -> None:
    cohort = draw_cohort(n_images=N_HAM10000_IMAGES, seed=42)
    assert abs(cohort["lesion_id"].nunique() - N_HAM10000_LESIONS) < 150
    assert list(cohort.columns[:7]) == list(METADATA_COLUMNS)
    assert cohort["image_id"].is_unique


def test_one_lesion_has_one_patient_one_diagnosis_and_numbered_photographs() -> None:
    cohort = draw_cohort(n_images=400, seed=1)
    by_lesion = cohort.groupby("lesion_id")
    for column in ("dx", "dx_type", "age", "sex", "localization"):
        assert (by_lesion[column].nunique(dropna=False) == 1).all()
    for _, numbers in by_lesion["photograph"]:
        assert numbers.tolist() == list(range(1, len(numbers) + 1))


def test_only_moles_are_followed_up_and_some_values_are_missing() -> None:
    cohort = draw_cohort(n_images=5000, seed=3)
    assert set(cohort.loc[cohort["dx_type"] == "follow_up", "dx"]) == {"nv"}
    assert set(cohort.loc[cohort["dx_type"] == "confocal", "dx"]) == {"bkl"}
    assert 0 < cohort["age"].isna().mean() < 0.02
    assert 0 < (cohort["sex"] == "unknown").mean() < 0.02
    assert 0 < (cohort["localization"] == "unknown").mean() < 0.05


def test_ages_are_whole_steps_of_five_years_and_carcinomas_come_later() -> None:
    cohort = draw_cohort(n_images=3000, seed=4)
    ages = cohort["age"].dropna()
    assert ((ages % 5 == 0) & ages.between(5, 85)).all()
    means = cohort.groupby("dx")["age"].mean()
    assert means["bcc"] > means["nv"] + 10


def test_ids_say_nothing_of_the_diagnosis() -> None:
    cohort = draw_cohort(n_images=2000, seed=5)
    numbers = cohort["lesion_id"].map(lesion_number)
    by_diagnosis = numbers.groupby(cohort["dx"]).mean() / numbers.max()
    assert by_diagnosis[["nv", "mel", "bkl"]].between(0.4, 0.6).all()


def test_a_lesion_is_a_function_of_its_number_and_the_seed() -> None:
    assert draw_lesion("mel", 7, 0) == draw_lesion("mel", 7, 0)
    assert draw_lesion("mel", 7, 0) != draw_lesion("mel", 8, 0)
    assert draw_lesion("mel", 7, 0)["lesion_id"] == lesion_id(7) == "CASTLESION_0000007"


def test_melanoma_is_always_confirmed_by_histopathology() -> None:
    rng = generator("test", 1)
    assert {draw_dx_type("mel", rng) for _ in range(20)} == {"histo"}
