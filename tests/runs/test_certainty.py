import pytest

from moulage.data.diagnoses import describe
from moulage.runs.certainty import questions_of


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
