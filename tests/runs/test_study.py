from typing import Any

import pytest

from moulage.errors import ConfigError
from moulage.runs.config import StudyConfig
from moulage.runs.folder import differing_keys
from moulage.runs.study import cells_of
from moulage.runs.studyfile import parse_study

PHASE = {"name": "frozen", "train_from": "head"}
EXPERIMENT = {"name": "a", "backbone": "MobileNetV2", "phases": [PHASE]}


def study(*names: str, seeds: tuple[int, ...] = (0,), **split: Any) -> StudyConfig:
    experiments = [
        {"name": name, "backbone": "MobileNetV2", "phases": [PHASE], "seeds": seeds}
        for name in names
    ]
    return parse_study({"experiment": experiments, "split": split})


def test_cells_are_experiments_times_seeds_times_splits_splits_outermost() -> None:
    grid = cells_of(study("a", "b", seeds=(0, 7)))
    assert [cell.name for cell in grid] == ["a-seed0", "a-seed7", "b-seed0", "b-seed7"]


def test_other_splits_than_the_first_are_named() -> None:
    config = parse_study(
        {
            "split": {"seeds": [0, 3]},
            "experiment": [{"name": "a", "backbone": "MobileNetV2", "phases": [PHASE]}],
        }
    )
    cells = cells_of(config)
    assert [cell.name for cell in cells] == ["a-seed0", "a-split3-seed0"]
    assert [cell.split_name for cell in cells] == ["split0", "split3"]


def test_each_fold_is_a_cell_with_a_name_of_its_own() -> None:
    cells = cells_of(study("a", "b", folds=2))
    assert [cell.name for cell in cells] == [
        "a-split0-fold0-seed0",
        "b-split0-fold0-seed0",
        "a-split0-fold1-seed0",
        "b-split0-fold1-seed0",
    ]
    assert len({cell.name for cell in cells}) == len(cells)


def test_an_experiment_may_ask_for_a_leak_that_the_others_do_not_have() -> None:
    experiment = {"backbone": "MobileNetV2", "phases": [PHASE]}
    both = [{**experiment, "name": "honest"}, {**experiment, "name": "leak", "split": "leaky"}]
    honest, leak = cells_of(parse_study({"experiment": both}))
    assert [honest.split_name, leak.split_name] == ["split0", "leaky-split0"]
    assert leak.name == "leak-seed0"
    assert leak.resolved()["split"]["kind"] == "leaky"
    assert "split" not in leak.resolved()["experiment"][0], "a run has one place for its split"
    with pytest.raises(ConfigError, match=r"`experiment\.split` must stand without"):
        parse_study({"experiment": both, "split": {"folds": 3}})


def test_two_runs_of_one_name_are_refused() -> None:
    twins = [{**EXPERIMENT, "name": "a"}, {**EXPERIMENT, "name": "a-split1"}]
    study = parse_study({"experiment": twins, "split": {"seeds": [0, 1]}})
    with pytest.raises(ConfigError, match="got a-split1-seed0 for `a-split1` and for `a`"):
        cells_of(study)
    assert len(cells_of(parse_study({"experiment": twins}))) == 2


def test_how_files_are_known_is_no_part_of_a_run() -> None:
    plain, verified = (
        cells_of(parse_study({"experiment": [EXPERIMENT], "images": {"verify": verify}}))[0]
        for verify in (False, True)
    )
    assert verified.study.images.verify
    assert plain.resolved() == verified.resolved()


def test_only_takes_named_experiments_and_refuses_others() -> None:
    assert [c.experiment.name for c in cells_of(study("a", "b"), only=("b",))] == ["b"]
    with pytest.raises(ConfigError, match=r"\(exp1, exp2\); got exp3\. Did you mean 'exp[12]'\?"):
        cells_of(study("exp1", "exp2"), only=("exp3",))


def test_a_resolved_cell_holds_its_own_seeds_and_no_nulls() -> None:
    (_, second) = cells_of(study("a", folds=2))
    resolved = second.resolved()
    assert resolved["split"]["fold"] == 1
    assert resolved["split"]["seeds"] == [0]
    assert resolved["experiment"][0]["seeds"] == [0]
    assert "file" not in resolved["split"]
    assert "description" not in resolved


def test_differing_keys_name_each_place_where_values_differ() -> None:
    old = {"a": 1, "b": {"c": [1, {"d": 2}]}, "gone": 0}
    new = {"a": 1, "b": {"c": [1, {"d": 3}]}, "come": 0}
    assert differing_keys(old, new) == ["b.c.1.d", "come", "gone"]
    assert differing_keys(old, old) == []
    assert differing_keys([1, 2], [1]) == [""]
    assert differing_keys({"a": [1, 2]}, {"a": [1]}) == ["a"]
