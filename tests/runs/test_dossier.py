import pytest

from moulage.dossier import _imbalance
from moulage.runs.config import ImbalanceConfig


@pytest.mark.parametrize(
    ("treatment", "said"),
    [
        (ImbalanceConfig(kind="class_weight"), "balanced class weights"),
        (
            ImbalanceConfig(kind="class_weight", scheme="effective"),
            "class weights by effective number (beta 0.999)",
        ),
        (ImbalanceConfig(kind="oversample", length="majority"), "oversampling to the majority"),
        (ImbalanceConfig(kind="focal", gamma=3), "focal loss (gamma 3)"),
        (ImbalanceConfig(kind="logit_adjustment", tau=0.5), "logit adjustment (tau 0.5)"),
        (ImbalanceConfig(), "none"),
    ],
)
def test_each_treatment_of_imbalance_has_a_name_of_its_own(
    treatment: ImbalanceConfig, said: str
) -> None:
    assert _imbalance(treatment.model_dump()) == said
