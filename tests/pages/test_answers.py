import math
from dataclasses import replace
from pathlib import PurePath

import numpy as np
import pandas as pd
import pytest

from moulage.catalogue import Diagnosis
from moulage.evaluation.conformal import Conformal
from moulage.evaluation.trust import Asked, Trust
from moulage.pages.answers import MOST, answers_page
from moulage.pages.records import AnswersRecord
from moulage.runs.application import sets_in_words

DIAGNOSES = (
    Diagnosis(code="mel", name="Melanoma", colour="#777777", is_malignant=True),
    Diagnosis(code="nv", name="Naevus", colour="#777777"),
)


def trust(alpha: float = 0.1, *, n_mel: int = 12, n_nv: int = 90) -> Trust:
    """Return what was fitted where melanoma or naevus had this many lesions."""
    numbers = {"mel": n_mel, "nv": n_nv}
    limits = {code: 0.9 if n >= round(1 / alpha) - 1 else math.inf for code, n in numbers.items()}
    sets = Conformal(
        method="lac", alpha=alpha, marginal=0.8, by_diagnosis=limits, n_lesions=numbers
    )
    return Trust(
        asked=Asked(alpha=alpha),
        n_images=200,
        n_lesions=n_mel + n_nv,
        sets=(sets,),
        answer_from=0.7,
        malignant=("mel",),
        malignant_from=0.1,
        note="It was fitted on the validation part.",
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
    assert (
        "3 images: 1 on which the classifier abstains, 1 with a malignant diagnosis in the set and "
        "1 unlike what the classifier knows. None of this clears a lesion" in html
    )
    assert html.count('class="inside"') == 4
    assert "Not sure enough: ask a dermatologist (likeliest: Naevus)" in html
    assert "Unlike what the classifier knows: do not use its answer (Naevus)" in html
    assert "Set: Naevus and Melanoma (malignant)." in html
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


def test_a_set_with_a_malignant_diagnosis_is_never_headed_as_a_clearance() -> None:
    told = record(set=["nv mel", "mel", "nv"], diagnosis=["nv", "mel", "nv"], answer=True)
    html = answers_page(replace(told, trust=trust()))
    assert (
        "3 images: 0 on which the classifier abstains and 2 with a malignant diagnosis in the set. "
        "None of this clears a lesion: up to 10 % of the lesions of a diagnosis do not have it in "
        "their set" in html
    )
    assert '<p class="said unsure">Naevus, but not ruled out: Melanoma (malignant)</p>' in html
    assert '<p class="said unsure">Melanoma (malignant)</p>' in html
    assert '<p class="said">Naevus</p>' in html
    assert "dermatologist" not in html


@pytest.mark.parametrize(
    ("alpha", "level", "missed"), [(0.1, "90 %", "10 %"), (0.05, "95 %", "5.0 %")]
)
def test_the_level_of_sets_is_named_with_whose_images_it_was_fitted_on(
    alpha: float, level: str, missed: str
) -> None:
    html = answers_page(replace(record(set="nv", answer=True), trust=trust(alpha, n_mel=40)))
    assert f"every diagnosis that cannot be ruled out at the {level} level" in html
    assert f"up to {missed} of the lesions of a diagnosis" in html
    assert "It was fitted on the validation part." in html
    assert "In every set" not in html


def test_what_stands_in_every_set_is_named_with_the_reason() -> None:
    told = replace(record(set="nv mel", answer=True), trust=trust(n_mel=5))
    html = answers_page(told)
    assert (
        "In every set, whatever an image shows: Melanoma (5 lesions). That is too few to rule a "
        "diagnosis out, for which it takes 9 lesions of each at the 90 % level." in html
    )
    assert "Set: Naevus and Melanoma (malignant; in every set)." in html
    assert "Naevus, but not ruled out: Melanoma (malignant; in every set)</p>" in html
    assert "3 with a malignant diagnosis in the set (0 with one that is not in every set)" in html
    blind = answers_page(replace(told, trust=trust(0.05, n_mel=1, n_nv=18), unit="image"))
    assert "Melanoma (1 image) and Naevus (18 images). That is too few" in blind
    assert "it takes 19 images of each at the 95 % level." in blind


def test_where_nothing_is_known_to_be_malignant_none_is_counted() -> None:
    benign = tuple(replace(one, is_malignant=False) for one in DIAGNOSES)
    html = answers_page(replace(record(set="nv mel", answer=True), diagnoses=benign))
    assert "3 images: 0 on which the classifier abstains. None of its diagnoses is known to" in html
    assert "with a malignant" not in html


def test_an_old_run_counts_malignant_answers_since_it_has_no_sets() -> None:
    html = answers_page(record(diagnosis=["mel", "nv", "mel"]))
    assert "3 images: 2 with a malignant diagnosis as the likeliest. None of this clears a" in html
    assert "Filled bars" not in html


def test_sets_of_groups_promise_nothing_of_lesions() -> None:
    told = replace(record(set="nv", answer=True), trust=trust(n_mel=40), unit="group")
    html = answers_page(told)
    assert "up to 10 % of the groups of a diagnosis do not have it" in html
    assert "Of the groups of each diagnosis at least 90 % have it" in html
    assert "of the lesions of" not in html
