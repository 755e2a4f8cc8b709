"""What a study file may say, and what its keys' values must be to each other."""

from typing import Any

import pytest

from moulage.errors import ConfigError
from moulage.runs.config import StudyConfig
from moulage.runs.studyfile import parse_study

PHASE = {"name": "frozen", "train_from": "head"}
EXPERIMENT = {"name": "exp1", "backbone": "MobileNetV2", "phases": [PHASE]}
FIRST = {**EXPERIMENT, "name": "first"}
NAN, INF = float("nan"), float("inf")


def parse(**changes: Any) -> StudyConfig:
    return parse_study({"experiment": [EXPERIMENT], **changes})


def test_defaults_are_the_papers() -> None:
    study = parse()
    assert (study.images.size, study.images.resize) == (128, "squash")
    assert study.split.ratios == {"train": 0.6, "validation": 0.2, "test": 0.2}
    (experiment,) = study.experiments
    assert (experiment.head, experiment.hidden, experiment.dropout) == ("flatten", (128,), 0.5)
    (phase,) = experiment.phases
    assert (phase.epochs, phase.batch, phase.optimizer, phase.learning_rate) == (
        10,
        128,
        "adam",
        1e-3,
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"split": {"kind": "file"}}, "`file` must be given exactly where"),
        ({"split": {"file": "x.csv"}}, "`file` must be given exactly where"),
        ({"split": {"folds": 1}}, "`folds` must be 0, or above 1"),
        ({"split": {"folds": 3, "kind": "leaky"}}, "`folds` must be 0, or above 1"),
        ({"split": {"seeds": [1, 1]}}, "`seeds` must differ"),
        ({"split": {"seeds": []}}, r"split\.seeds"),
        ({"images": {"size": "64"}}, r"images\.size`: Input should be a valid integer; got '64'"),
        ({"experiment": [{**EXPERIMENT, "dropout": "0.3"}]}, "a valid number; got '0.3'"),
        (
            {"experiment": [{**EXPERIMENT, "phases": [{**PHASE, "epochs": True}]}]},
            "a valid integer; got True",
        ),
        ({"split": {"seeds": [-1]}}, r"split\.seeds\.0.*greater than or equal to 0"),
        ({"experiment": [{**EXPERIMENT, "seeds": [3, 3]}]}, "`seeds` must differ"),
        ({"experiment": [{**EXPERIMENT, "hidden": [0]}]}, r"hidden.*greater than or equal to 1"),
        ({"experiment": [EXPERIMENT, EXPERIMENT]}, "experiments' names must differ"),
        ({"experiment": [{**EXPERIMENT, "phases": [PHASE, PHASE]}]}, "phases' names must differ"),
        ({"experiment": [{**EXPERIMENT, "name": "../up"}]}, r"experiment\.0\.name"),
        ({"experiment": [{**EXPERIMENT, "augmentation": {"scale": [2, 1]}}]}, "two rising numbers"),
        ({"experiments": [EXPERIMENT]}, "`experiments` is no known key. Did you mean"),
        ({"ensembles": []}, "`ensembles` is no known key"),
        ({"split": {"kind": "file", "file": "x.csv", "seeds": [0, 1]}}, "`seeds` must be one"),
        (
            {
                "experiment": [
                    {**EXPERIMENT, "name": "x", "covariates": ["age"]},
                    {**EXPERIMENT, "name": "y", "covariates": ["sex"]},
                ],
                "ensemble": [{"name": "both", "of": ["x", "y"]}],
            },
            "that read covariates must read the same",
        ),
        ({"experiment": []}, "experiment"),
        ({"experiment": EXPERIMENT}, "experiment"),
        ({"experiment": [1]}, r"experiment\.0"),
        ({"common": 5}, "`common` must be a table"),
        ({"decisions": {"cost": {"mel": {"nv": NAN}}}}, r"cost\.mel\.nv`: must be a finite .* nan"),
        (
            {"decisions": {"clinic": {"mel": NAN}}},
            r"clinic\.mel`: must be a finite number; got nan",
        ),
        (
            {"decisions": {"clinic": {"mel": INF}}},
            r"clinic\.mel`: must be a finite number; got inf",
        ),
        ({"split": {"ratios": {"train": INF}}}, "must be a finite number; got inf"),
        (
            {"experiment": [{**EXPERIMENT, "imbalance": {"kind": "focal", "tau": INF}}]},
            r"tau`: must be a finite number; got inf\.",
        ),
        ({"experiment": [{**EXPERIMENT, "augmentation": {"mixup": INF}}]}, "must be a finite"),
        ({"split": {"seeds": [1, 1]}}, r"`seeds` must differ from each other; got \[1, 1\]\."),
        (
            {"ensemble": [{"name": "both", "of": ["frist"]}], "experiment": [FIRST]},
            r"must name experiments; got 'frist'\. Did you mean 'first'\?$",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(**changes)


def test_a_treatment_may_be_a_word_or_a_table() -> None:
    word = parse(experiment=[{**EXPERIMENT, "imbalance": "class_weight"}])
    assert word.experiments[0].imbalance.kind == "class_weight"
    table = {"kind": "logit_adjustment", "tau": 0.5}
    assert (
        parse(experiment=[{**EXPERIMENT, "imbalance": table}]).experiments[0].imbalance.tau == 0.5
    )
