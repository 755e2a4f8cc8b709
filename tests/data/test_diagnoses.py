"""Diagnoses look the same in every data set and can be told apart by every eye."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from moulage.data.diagnoses import HAM10000, describe, known_as, on_dark

# machado2009, severity 1.0, on linear RGB
EYES = {
    "most": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour: str) -> NDArray[np.float64]:
    encoded = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def seen(colour: str, eye: str) -> NDArray[np.float64]:
    light = np.clip(np.asarray(EYES[eye]) @ linear(colour), 0, 1)
    return rgb2lab(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("eye", list(EYES))
def test_the_seven_colours_stay_apart_for_every_eye(eye: str) -> None:
    labs = [seen(one.colour, eye) for one in HAM10000]
    assert min(deltaE_ciede2000(a, b) for a, b in combinations(labs, 2)) > 18


@pytest.mark.parametrize("eye", list(EYES))
def test_on_a_dark_page_they_stay_apart_too(eye: str) -> None:
    labs = [seen(on_dark(one.colour), eye) for one in HAM10000]
    assert min(deltaE_ciede2000(a, b) for a, b in combinations(labs, 2)) > 18


def contrast(colour: str, paper: str) -> float:
    dim, bright = sorted(
        float(linear(one) @ [0.2126, 0.7152, 0.0722]) + 0.05 for one in (colour, paper)
    )
    return bright / dim


def test_the_colours_stand_out_from_white_and_from_dark() -> None:
    for one in HAM10000:
        assert contrast(one.colour, "#ffffff") > 2.3
        assert contrast(on_dark(one.colour), "#16181a") > 3.9
    for one in describe([f"class {number}" for number in range(13)]):
        assert contrast(on_dark(one.colour), "#16181a") >= 3
    assert on_dark("#7F7F7F") == "#7F7F7F"
    assert on_dark("#000000") != "#000000"


def test_the_seven_stand_in_the_labels_order_with_three_malignant() -> None:
    assert [one.code for one in HAM10000] == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    assert {one.code for one in HAM10000 if one.is_malignant} == {"mel", "bcc", "akiec"}
    assert all(one.name for one in HAM10000)


def test_known_codes_are_known_in_any_case_and_strangers_get_colours_of_their_own() -> None:
    made = describe(["MEL", "wart", "nv", "scar"])
    assert [one.code for one in made] == ["MEL", "wart", "nv", "scar"]
    assert [one.name for one in made] == ["Melanoma", "wart", "Melanocytic nevi", "scar"]
    assert [one.is_malignant for one in made] == [True, False, False, False]
    assert len({one.colour for one in made}) == 4


def test_more_strangers_than_colours_still_have_a_colour_each() -> None:
    made = describe([f"class {k}" for k in range(40)])
    assert all(one.colour.startswith("#") for one in made)
    assert len({one.colour for one in made[:13]}) == 13


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("mel", ["melanoma", "Malignant Melanoma", "MELANOMA", "melanomas"]),
        (
            "nv",
            ["nevus", "Naevus", "nevi", "naevi", "Melanocytic nævi", "melanocytic_nevus", "mole"],
        ),
        (
            "bcc",
            ["basal cell carcinoma", "basal_cell_carcinoma", "Basal-Cell Carcinomas", "basalioma"],
        ),
        ("scc", ["squamous cell carcinoma", "SCC", "squamous_cell_carcinoma"]),
        ("ak", ["actinic keratosis", "AK", "Actinic keratoses", "actinic_keratosis"]),
        ("bowen", ["bowen", "Bowen's disease", "Bowen’s disease", "bowens_disease"]),
        ("sk", ["SK", "seborrheic keratosis", "Seborrhoeic keratoses"]),
        (
            "bkl",
            ["benign keratosis", "Benign keratosis-like lesions", "pigmented benign keratosis"],
        ),
        ("lentigo", ["solar lentigo", "Lentigo"]),
        ("df", ["dermatofibroma", "Dermatofibromas"]),
        ("vasc", ["vascular lesion", "Vascular lesions", "angioma", "haemangioma", "Hemangiomas"]),
        ("akiec", ["AKIEC", HAM10000[0].name]),
        ("malignant", ["malignant", "Cancer"]),
        ("benign", ["Benign", "non-malignant"]),
    ],
)
def test_words_are_known_however_they_are_spelt(code: str, words: list[str]) -> None:
    assert [one and one.code for one in map(known_as, words)] == [code] * len(words)


@pytest.mark.parametrize("code", ["non-melanoma", "not melanoma", "wart", "0", "", "mel or nv"])
def test_what_only_holds_a_known_word_is_not_known(code: str) -> None:
    assert known_as(code) is None


def test_words_keep_their_code_and_are_as_malignant_as_what_they_mean() -> None:
    made = describe(["basal_cell_carcinoma", "Melanoma", "Naevus", "lentigo maligna", "blue nevus"])
    assert made[0].code == "basal_cell_carcinoma"
    assert [one.name for one in made[:3]] == [HAM10000[1].name, "Melanoma", "Melanocytic nevi"]
    assert made[1].colour == HAM10000[4].colour
    assert [one.is_malignant for one in made] == [True, True, False, True, False]
    assert [one.name for one in made[3:]] == ["lentigo maligna", "blue nevus"]


def test_two_words_for_one_thing_are_told_apart() -> None:
    made = describe(["nv", "nevus", "akiec", "ak", "malignant", "cancer"])
    assert len({one.name for one in made}) == len({one.colour for one in made}) == 6
    assert [one.is_malignant for one in made] == [False, False, True, True, True, True]
