import numpy as np
import pytest

from moulage.data.diagnoses import describe
from moulage.evaluation.lesions import WHY_NONE
from moulage.predictions import Predictions
from moulage.runs.certainty import certainty_of, questions_of
from moulage.split import UNITS, Unit


@pytest.mark.parametrize(
    ("codes", "melanoma", "malignant"),
    [
        (["bcc", "mel", "nv"], ["mel"], ["bcc", "mel"]),
        (["BCC", "MEL", "NV"], ["MEL"], ["BCC", "MEL"]),
        (["bcc", "melanoma", "nevus"], ["melanoma"], ["bcc", "melanoma"]),
        (["bcc", "nv"], None, ["bcc"]),
        (["nv", "df"], None, None),
    ],
)
def test_melanoma_and_malignancy_are_asked_for_however_they_are_spelled(
    codes: list[str], melanoma: list[str] | None, malignant: list[str] | None
) -> None:
    found = questions_of(describe(codes))
    assert found.get("melanoma") == melanoma
    assert found.get("malignant") == malignant


def predictions_of(unit: Unit) -> Predictions:
    """Return eight images of four ids a part, each id with one diagnosis."""
    rng = np.random.default_rng(42)
    ids = np.repeat([f"P{number}" for number in range(8)], 2)
    return Predictions(
        image_ids=np.array([f"I{number:02d}" for number in range(16)]),
        lesion_ids=ids,
        parts=np.repeat(["validation", "test"], 8),
        labels=np.tile([0, 0, 1, 1], 4).astype(np.int64),
        logits=rng.normal(size=(16, 2)).astype(np.float32),
        diagnoses=("mel", "nv"),
        prior=np.array([0.5, 0.5]),
        unit=unit,
    )


def test_groups_have_no_scores_of_lesions_though_each_has_one_diagnosis() -> None:
    """Whether patients with two diagnoses are in the test part is luck and says nothing."""
    diagnoses = describe(["mel", "nv"])
    lesions, groups = (
        certainty_of(both.of("test"), chosen_on=both.of("validation"), diagnoses=diagnoses)
        for both in map(predictions_of, UNITS)
    )
    assert lesions["by_lesion"]["natural"]["n_images"] == 4
    assert "why_not_by_lesion" not in lesions
    assert groups["by_lesion"] is None
    assert groups["why_not_by_lesion"] == WHY_NONE
    assert [one["by_lesion"] for one in groups["questions"].values()] == [None, None]
    assert groups["intervals"] == lesions["intervals"], "groups are drawn as lesions are"
