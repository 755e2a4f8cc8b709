"""Recipes mix diagnoses that are mistaken for each other, within bounds."""

from dataclasses import fields

import numpy as np
import pytest

from moulage.casts import recipes
from moulage.casts.cohort import DIAGNOSES
from moulage.casts.recipes import MISTAKEN_FOR, RECIPES, Recipe, draw_recipe
from moulage.casts.signs import PAINTERS
from moulage.seeding import generator


def test_every_diagnosis_has_a_recipe_and_a_double() -> None:
    assert set(RECIPES) == set(MISTAKEN_FOR) == set(DIAGNOSES)
    for diagnosis, others in MISTAKEN_FOR.items():
        assert diagnosis not in others
        assert set(others) <= set(DIAGNOSES)


def test_every_sign_of_a_recipe_has_a_painter() -> None:
    names = {field.name for field in fields(Recipe)}
    assert set(PAINTERS) <= names
    assert names - set(PAINTERS) == {
        *("radius", "elongation", "irregularity", "softness"),
        *("melanin", "mottle", "asymmetry", "blood", "disorder", "sun"),
    }


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_drawn_recipes_stay_in_range(diagnosis: str) -> None:
    for number in range(50):
        recipe = draw_recipe(diagnosis, generator("test", number))
        assert 0.05 < recipe.radius < 0.7
        assert all(getattr(recipe, field.name) >= 0 for field in fields(Recipe))
        assert all(getattr(recipe, sign) <= 1 for sign in PAINTERS)


def test_without_overlap_and_spread_every_lesion_is_textbook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipes, "OVERLAP", 0.0)
    monkeypatch.setattr(recipes, "SIGN_SPREAD", 0.0)
    for diagnosis in DIAGNOSES:
        drawn = draw_recipe(diagnosis, generator("test"))
        for sign in PAINTERS:
            assert getattr(drawn, sign) == getattr(RECIPES[diagnosis], sign)


def test_overlap_makes_moles_more_like_melanoma(monkeypatch: pytest.MonkeyPatch) -> None:
    def mean_asymmetry(overlap: float) -> float:
        monkeypatch.setattr(recipes, "OVERLAP", overlap)
        drawn = [draw_recipe("nv", generator("test", number)) for number in range(100)]
        return float(np.mean([recipe.asymmetry for recipe in drawn]))

    none, much = mean_asymmetry(0.0), mean_asymmetry(1.0)
    assert none < 0.1 < much < RECIPES["mel"].asymmetry
