from dataclasses import replace
from pathlib import PurePath

import numpy as np
import pandas as pd
import pytest

from moulage.catalogue import Diagnosis
from moulage.pages.answers import MOST, AnswersRecord, answers_page
from moulage.runs.application import sets_in_words

DIAGNOSES = (
    Diagnosis(code="mel", name="Melanoma", colour="#777777", is_malignant=True),
    Diagnosis(code="nv", name="Naevus", colour="#777777"),
)


def record(n: int = 3, **columns: object) -> AnswersRecord:
    table = pd.DataFrame(
        {
            "path": [f"zip!/a<{i}>.jpg" for i in range(n)],
            "diagnosis": "nv",
            "diagnosis_balanced": "mel",
            "probability_mel": 0.25,
            "probability_nv": 0.75,
        }
    ).assign(**columns)
    pictures = {path: np.zeros((8, 8, 3), dtype=np.uint8) for path in table["path"][:2]}
    return AnswersRecord(
        name="exp1-seed0",
        diagnoses=DIAGNOSES,
        table=table,
        pictures=pictures,
        unreadable=(("torn.jpg", "torn"),),
        notes=("It is old.",),
    )


def test_a_stranger_is_not_to_be_believed_and_an_unsure_one_is_to_be_shown() -> None:
    html = answers_page(
        record(
            set=["nv", "nv mel", "nv"],
            answer=[True, False, True],
            unfamiliarity=[0.5, 0.7, 1.0],
            is_unfamiliar=[False, False, True],
        )
    )
    assert "3 images, 1 to be shown to a dermatologist, 1 unlike what" in html
    assert html.count('class="inside"') == 4
    assert "Not sure enough: ask a dermatologist (likeliest: Naevus)" in html
    assert "Unlike what the classifier knows: do not use its answer (Naevus)" in html
    assert "Set: Naevus and Melanoma." in html
    assert "Stranger than 70.0 % of known images." in html
    assert html.count('<img src="data:image/jpeg') == 2
    assert "no picture kept" in html
    assert "a&lt;0&gt;.jpg" in html


def test_a_code_that_is_its_own_name_is_written_as_beside_its_bar() -> None:
    known = record(1, set=["naevus"], diagnosis="naevus", probability_naevus=0.5)
    own = Diagnosis(code="naevus", name="Naevus", colour="#777777")
    assert "Set: naevus." in answers_page(replace(known, diagnoses=(own,)))


def test_an_old_run_says_less_and_says_so() -> None:
    html = answers_page(record())
    assert "It is old." in html
    assert "<code>torn.jpg</code>: torn" in html
    assert "Set:" not in html
    assert "tranger" not in html


@pytest.mark.parametrize(("n", "n_shown"), [(0, 0), (MOST + 5, MOST)])
def test_no_images_and_very_many(n: int, n_shown: int) -> None:
    html = answers_page(record(n))
    assert html.count("<code>zip!/") == n_shown
    assert ("The first 300 of 305 images" in html) == (n > MOST)
    assert PurePath("a").name in html


def test_a_code_with_spaces_stands_in_its_set() -> None:
    codes = ('naevus (benign), "x"', "class 2", "nv")
    members, probabilities = np.array([[True, True, True]]), np.array([[0.2, 0.5, 0.3]])
    (said,) = sets_in_words(members, probabilities, codes)
    assert said == "'class 2' nv 'naevus (benign), \"x\"'"
    odd = tuple(Diagnosis(code=code, name=code.upper(), colour="#777777") for code in codes)
    table = record(1, set=[said], diagnosis="nv", diagnosis_balanced="nv").table.assign(
        **{f"probability_{code}": 1 / 3 for code in codes}
    )
    html = answers_page(replace(record(1), diagnoses=odd, table=table))
    assert html.count('class="inside"') == 3
