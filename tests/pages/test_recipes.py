import pytest

from moulage.pages.recipes import augmentation, imbalance, regularisation
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
    assert imbalance(treatment.model_dump()) == said


def test_regularisation_names_each_strength_of_any_phase_once() -> None:
    plain = {"weight_decay": 0.0, "label_smoothing": 0.0}
    strong = {"weight_decay": 0.01, "label_smoothing": 0.1}
    recipe = {"dropout": 0.5, "hidden": [512], "phases": [plain, strong, strong]}
    assert regularisation(recipe) == (
        "dropout 0.5, batch normalisation, weight decay 0.01, label smoothing 0.1"
    )
    assert regularisation({"dropout": 0.0, "hidden": [], "phases": [plain]}) == "none"


def test_augmentation_names_what_is_switched_on() -> None:
    off = {"flips": False, "turns": False, "rotation": 0.0, "scale": (1.0, 1.0)}
    assert augmentation(off) == "none"
    on = {"flips": True, "turns": True, "rotation": 20.0, "scale": (0.8, 1.1)}
    assert augmentation(on) == "flips, turns, rotation 20, scale 0.8–1.1"
