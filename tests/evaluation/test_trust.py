import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moulage.errors import ConfigError
from moulage.evaluation.examination import as_json, examine
from moulage.evaluation.trust import Asked, Trust, check_asked, fit_trust


def case(make_predictions, seed: int, n: int = 300):
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.6, 0.38, 0.02])
    logits = rng.normal(size=(n, 3)) + np.log([0.6, 0.38, 0.02])
    logits[np.arange(n), labels] += 1.5
    return make_predictions(labels=labels, logits=logits, lesion_ids=np.arange(n) // 2 * 2)


def fitted(make_predictions, **asked: object) -> Trust:
    return fit_trust(
        case(make_predictions, 0),
        asked=Asked(**asked),
        malignant=("b",),
        note="Fitted elsewhere.",
        rng=np.random.default_rng(0),
    )


def test_what_is_kept_is_read_back_equal(make_predictions) -> None:
    trust = fitted(make_predictions, cost={"b": {"a": 20}}, clinic={"b": 0.1}, risk=0.0)
    assert Trust.from_json(json.loads(json.dumps(trust.as_json()))) == trust
    assert trust.fitted().always == ("c",)
    never = fit_trust(
        case(make_predictions, 0).take(np.zeros(0, dtype=np.int64)),
        asked=Asked(),
        malignant=(),
        note="",
        rng=np.random.default_rng(0),
    )
    assert math.isinf(never.answer_from)
    again = Trust.from_json(json.loads(json.dumps(never.as_json())))
    assert math.isinf(again.answer_from)
    assert math.isnan(again.malignant_from)


def test_the_examination_agrees_with_itself_and_is_plain_json(make_predictions) -> None:
    trust, test = fitted(make_predictions, cost={"b": {"a": 20}}), case(make_predictions, 1)
    frame = pd.DataFrame(
        {
            "age": np.arange(300) % 90,
            "sex": np.where(np.arange(300) % 2, "female", "male"),
            "localization": np.nan,
            "dx_type": np.nan,
        }
    )
    found = examine(trust, test, frame)
    assert set(found.subgroups) == {"age", "sex"}
    assert sum(group.n_images for group in found.subgroups["age"]) == 300
    assert [len(sets.covered) for sets in found.sets] == [4, 4, 4, 4]
    every = found.sets[1].covered
    weighted = sum(one.share * one.n_lesions for one in every[1:] if one.n_lesions)
    assert every[0].share * every[0].n_lesions == pytest.approx(weighted)
    rare = every[3]
    assert (rare.code, rare.share) == ("c", 1.0)
    content = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert content["calibration"]["after"]["ece"] == found.after.ece
    assert content["clinic"]["prior"] == {}
    assert set(content["mean_cost"]) == {"natural", "balanced", "cost"}
    assert len(content["net_benefit"]["malignant"]) == 50


def test_what_is_asked_of_other_diagnoses_is_refused_before_training() -> None:
    check_asked(Asked(cost={"mel": {"nv": 3}}, clinic={"mel": 0.03}), ("mel", "nv"))
    with pytest.raises(ConfigError, match=r"`decisions\.cost` must name diagnoses"):
        check_asked(Asked(cost={"melanoma": {"nv": 3}}), ("mel", "nv"))
    with pytest.raises(ConfigError, match="A prior must name diagnoses"):
        check_asked(Asked(clinic={"melanoma": 0.03}), ("mel", "nv"))
    with pytest.raises(ConfigError, match=r"must have training images; got 0\.03 for 'mel'"):
        check_asked(Asked(clinic={"mel": 0.03}), ("mel", "nv"), prior=np.array([0.0, 1.0]))


def test_melanoma_without_training_images_has_no_clinic_unless_one_is_stated(
    make_predictions,
) -> None:
    test = replace(
        case(make_predictions, 1), diagnoses=("nv", "bkl", "mel"), prior=np.array([0.6, 0.4, 0])
    )
    frame = pd.DataFrame(
        {name: np.full(300, np.nan) for name in ("age", "sex", "localization", "dx_type")}
    )

    def examined(**asked: object):
        trust = fit_trust(
            test, asked=Asked(**asked), malignant=(), note="", rng=np.random.default_rng(0)
        )
        return examine(trust, test, frame)

    assert examined().clinic == examined().elsewhere == {}
    assert examined(clinic={"bkl": 0.2}).clinic == pytest.approx({"nv": 0.8, "bkl": 0.2, "mel": 0})
    with pytest.raises(ConfigError, match="Leave 'mel' out of the table"):
        examined(clinic={"mel": 0.03})
