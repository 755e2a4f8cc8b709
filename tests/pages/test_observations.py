"""Sentences of a survey, held against small tables worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moulage.pages import observations
from moulage.surveying.appearance import Outlier
from moulage.surveying.associations import Crosstab, Inference, crosstab, spread
from moulage.surveying.exploration import Distribution, Level, ages_of, distribution_of
from moulage.surveying.groups import Leakage
from moulage.surveying.labels import Review, Suspect
from moulage.surveying.record import MOST_SUSPECTS
from moulage.surveying.telltales import Telltale

FRAME = pd.DataFrame(
    {
        "lesion_id": [f"l{i}" for i in range(60)],
        "age": [47.0] * 30 + [12.0] * 5 + [60.0] * 20 + [np.nan] * 5,
        "localization": ["back"] * 30 + ["lower extremity"] * 20 + ["unknown"] * 10,
        "sex": ["male"] * 21 + ["female"] * 9 + ["female"] * 15 + ["male"] * 5 + ["unknown"] * 10,
        "dx_type": ["histo"] * 33 + ["follow_up"] * 21 + ["consensus"] * 6,
    }
)


def test_ages_are_told_by_their_bins() -> None:
    said = observations.ages(ages_of(FRAME))
    mean = FRAME["age"].mean()
    assert said == (
        f"Most images, {30 + 5 * (45 <= mean < 50)}, are of patients aged 45 to 49; fewest, 5, of "
        f"those aged 10 to 14. The mean is {mean:.1f} years. 5 missing ages stand at the mean, in "
        "this figure only."
    )


def test_sites_are_told_without_the_unknown_ones() -> None:
    assert observations.distribution(distribution_of(FRAME, "localization")) == (
        "The most frequent site is back with 30 images (50 %); the other is lower extremity with "
        "20 images (33 %). 10 images do not say."
    )


def test_the_two_most_frequent_confirmations_are_added() -> None:
    assert observations.confirmation(distribution_of(FRAME, "dx_type")) == (
        "histo with 33 images (55 %) is the most frequent way of confirmation; with follow_up with "
        "21 images (35 %) it makes up 90 %."
    )


def test_a_crosstab_names_who_leads_and_where_another_does() -> None:
    shown = crosstab(
        "localization", "sex",
        row_words=FRAME["localization"].to_numpy(dtype=str),
        column_words=FRAME["sex"].to_numpy(dtype=str),
        lesion_ids=FRAME["lesion_id"].to_numpy(dtype=str),
        rng=np.random.default_rng(0),
    )  # fmt: skip
    test = replace(shown.test, effect=0.412, p_value=0.0001, p_family=0.0004)
    said = observations.crosstab(replace(shown, test=test))
    assert said == (
        "Overall the most frequent sex is male, with the most images for the site back (21 of 30); "
        "but it is female for lower extremity (75 %). On 50 lesions, Cramér's V = 0.412 "
        "(chi-square, p < 0.001 after Holm’s correction)."
    )


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (
            [[35, 36], [29, 21]],
            "male, with the most images for the site leg (29 of 50); but it is female for back "
            "(51 %).",
        ),
        (
            [[4, 5, 0], [4, 0, 5]],
            "male; but it is female for back (56 %) and other for leg (56 %).",
        ),
    ],
)
def test_a_leader_is_named_only_with_a_row_that_it_leads(
    counts: list[list[int]], said: str
) -> None:
    test = Inference(
        name="", effect_name="", effect=np.nan, p_value=np.nan, p_family=np.nan, n_lesions=0
    )
    shown = Crosstab(
        row_name="localization", column_name="sex", rows=("back", "leg"),
        columns=("male", "female", "other")[: len(counts[0])], counts=np.array(counts), test=test,
    )  # fmt: skip
    assert observations.crosstab(shown).startswith(f"Overall the most frequent sex is {said} ")


def test_a_spread_without_width_says_its_value() -> None:
    words = np.array(["mel", "nv"] * 4)
    shown = spread("size (megapixels)", values=np.full(8, 0.27), words=words, order=("mel", "nv"))
    assert observations.spread(shown) == "0.27 in all but a few images."


def test_a_spread_names_its_ends_and_all_who_share_the_lowest() -> None:
    words = np.repeat(["mel", "nv", "vasc"], 5)
    values = np.repeat([70.0, 45.0, 45.0], 5) + np.tile([-1, 0, 0, 0, 1.0], 3)
    said = observations.spread(
        spread("age", values=values, words=words, order=("mel", "nv", "vasc")), " years"
    )
    assert said == (
        "The median is highest for mel (70 years) and lowest for nv and vasc (45 years)."
    )


def test_leaks_are_told_with_the_worst_diagnosis() -> None:
    said = observations.leakage(Leakage(share=0.316, by_diagnosis={"mel": 0.55, "nv": np.nan}))
    assert said.endswith(
        "32 % of the test images would show a lesion that was trained on (mean of five seeds); of "
        "mel it would be 55 %."
    )
    assert observations.leakage(None) == "There are too few images to split."


def test_the_strongest_of_metadata_and_of_files_are_named() -> None:
    one = Telltale(
        name="dx_type", kind="metadata", n_levels=4, auroc=0.78, chance=(0.5, 0.01), best="nv",
        best_auroc=0.9, p_value=0.0, best_p_value=0.0,
    )  # fmt: skip
    other = replace(one, name="file size", kind="file", auroc=0.66)
    weak = replace(other, name="file format", auroc=float("nan"))
    assert observations.telltales((one, other, weak)) == (
        "Of the metadata, dx_type tells the most (macro AUROC 0.780); of files and borders, file "
        "size tells the most (macro AUROC 0.660). Chance is 0.5."
    )


@pytest.mark.parametrize("n", [0, 1])
def test_outliers_or_their_absence_are_told_with_the_number_of_images(n: int) -> None:
    one = Outlier(row=0, measure="contrast", value=90.0, deviations=9.0)
    said = observations.outliers([one] * n, 1200)
    assert "1,200" in said
    assert said.startswith("None of" if n == 0 else "The images furthest")


@pytest.mark.parametrize("more", [0, 1])
def test_suspects_that_are_not_shown_are_told_with_where_they_are(more: int) -> None:
    one = Suspect(
        lesion_id="L", rows=(0,), given="nv", suggested="mel", given_probability=0.01,
        suggested_probability=0.9,
    )  # fmt: skip
    suspects = (one,) * (MOST_SUSPECTS + more)
    said = observations.review(
        Review(suspects=suspects, n_lesions=500, accuracy=0.8, judge="a test"), ""
    )
    left = "The 20 most suspicious are shown; suspect_labels.csv has them all."
    assert (left in said) == bool(more)


@pytest.mark.parametrize(("n", "said"), [(1, "1 image does not say."), (2, "2 images do not say.")])
def test_images_that_do_not_say_agree_with_their_verb(n: int, said: str) -> None:
    levels = [
        Level(name=name, n_images=k, n_lesions=k) for name, k in (("male", 3), ("unknown", n))
    ]
    shown = Distribution(column="sex", levels=tuple(levels))
    assert observations.distribution(shown).endswith(said)
