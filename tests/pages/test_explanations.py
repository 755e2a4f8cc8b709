import re
from dataclasses import replace

import numpy as np
import pytest

from moulage.explanation.casebook import Casebook, Explained
from moulage.explanation.examination import Manner, examine
from moulage.explanation.verdict import Scores
from moulage.pages.explanations import draw_sheet, explanations_page, legend
from moulage.pages.words import percent

SIDE = 32


def lit(copies: np.ndarray) -> np.ndarray:
    """Find the second diagnosis by light in the upper left."""
    found = copies[:, :16, :16].mean(axis=(1, 2, 3)) / 300
    return np.stack([1 - found, found], axis=1)


def casebook(n_images: int, *, lesion_at: slice | None) -> Casebook:
    pixels = np.random.default_rng(42).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    pixels[:, :, 0] //= 2
    lesion = None
    if lesion_at is not None:
        lesion = np.zeros((SIDE, SIDE), dtype=bool)
        lesion[lesion_at, lesion_at] = True
    manner = Manner(method="exact", n_segments=4, cut="grid", diagnosis=1, fill="black")
    examined = examine(lit, pixels, n_classes=2, manner=manner, lesion=lesion)
    case = {"truth": "nv", "pixels": pixels, "lesion": lesion, "examination": examined,
            "contributions": np.eye(4, dtype=np.float32)}  # fmt: skip
    cases = tuple(Explained(image_id=f"image{number}", **case) for number in range(n_images))
    return Casebook(run="a run", study="a study", diagnoses=("mel", "nv"), manner=manner,
                    source="the test part", cases=cases)  # fmt: skip


def test_a_flagged_diagnosis_is_named_and_its_images_shown() -> None:
    book = casebook(12, lesion_at=slice(20, 30))
    (finding,) = book.findings()
    page = explanations_page(book)
    assert finding.is_flagged
    assert (
        "Answers of nv often rest on what lies beside the lesion: in 12 of 12 images, and in at "
        f"least {percent(finding.low)} of images drawn as these were and explained as nv (95 %)."
    ) in page
    assert "all such images" not in page
    assert "image0: superpixel 1 outside the lesion" in page
    assert "the surroundings count for more" in page


def test_what_holds_of_the_run_is_said_first() -> None:
    page = explanations_page(casebook(12, lesion_at=slice(20, 30)), first=("Its split leaks.",))
    notes = re.findall(r"<strong>Note\.</strong> (.*?)</p>", page)
    assert notes[0] == "Its split leaks."
    assert notes[1].startswith("Answers of nv")


def test_without_outlines_the_page_says_that_it_cannot_know() -> None:
    book = casebook(1, lesion_at=None)
    page = explanations_page(book)
    assert "No outline of a lesion is known for these images" in page
    assert page.count("<strong>In doubt.</strong>") == len(book.cases[0].examination.doubts)


def test_the_legend_tells_diagnosis_probability_and_truth() -> None:
    book = casebook(1, lesion_at=None)
    said = legend(book.cases[0], book.diagnoses)
    probability = book.cases[0].examination.explanation.probability
    assert said == f"explained: nv, probability {probability:.3f}; truth: nv"


def test_every_picture_has_words_for_those_who_do_not_see_it() -> None:
    page = explanations_page(casebook(2, lesion_at=slice(0, 12)))
    n_pictures = page.count("<img ")
    assert n_pictures == 2 * (5 + 4)
    assert page.count('alt="image') == n_pictures


def test_plain_values_hold_every_number_of_the_page() -> None:
    content = casebook(1, lesion_at=slice(0, 12)).as_dict()
    image = content["images"][0]
    assert image["scores"]["over_seeds"] is None
    assert sum(one["shapley"] for one in image["superpixels"]) == pytest.approx(
        image["deletion"][0] - image["deletion"][-1], abs=1e-9
    )


def test_a_sheet_lays_the_pictures_side_by_side() -> None:
    assert draw_sheet(casebook(1, lesion_at=None).cases[0]).shape == (256, 5 * 256, 3)


def test_the_lead_agrees_with_the_number_of_explanations() -> None:
    doubted = casebook(1, lesion_at=slice(20, 30))
    (case,) = doubted.cases
    examined = replace(case.examination, scores=Scores(score=0.9))
    trusted = replace(doubted, cases=(replace(case, examination=examined),))
    assert "1 image explained. The explanation says why" in explanations_page(doubted)
    assert "1 image explained. Nothing that was measured" in explanations_page(trusted)
    both = replace(doubted, cases=(*doubted.cases, *trusted.cases))
    page = explanations_page(both)
    assert "2 images explained. Against 1 explanation nothing speaks" in page
    assert "; the other says why it is in doubt." in page
