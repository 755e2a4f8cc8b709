"""Diagnoses look the same in every data set and can be told apart by every eye."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from moulage.data.diagnoses import HAM10000, describe

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


def test_the_colours_stand_out_from_white_and_from_dark() -> None:
    for one in HAM10000:
        luminance = linear(one.colour) @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (luminance + 0.05) > 2.3
        assert (luminance + 0.05) / 0.0575 > 2.3  # the dark page is #141414 or so


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
