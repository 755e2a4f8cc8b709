from pathlib import Path
from typing import Any

import pytest
import tomli_w

from moulage.errors import ConfigError, RunError
from moulage.runs.experiment import versions
from moulage.runs.folder import METRICS, STUDY, claim, find_runs, open_run, refuse_other_versions

RECIPE: dict[str, Any] = {
    "name": "s",
    "dataset": {"path": "here"},
    "machine": {"threads": 0},
    "images": {"size": 64, "digest": "d"},
    "split": {"kind": "file", "file": "split.csv"},
    "experiment": [{"name": "a", "dropout": 0.5, "phases": [{"epochs": 3}]}],
}
VERSIONS = {"torch": "2"}
PRESENT = {**VERSIONS, "weights": "random"}
MACHINE = {"threads": 2, "versions": VERSIONS, "weights": "random"}


def changed(**keys: Any) -> dict[str, Any]:
    return {**RECIPE, **keys}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "s" / "a-seed0"
    path.mkdir(parents=True)
    (path / STUDY).write_text(tomli_w.dumps({**RECIPE, "resolved": MACHINE}))
    return path


def test_an_empty_place_may_be_claimed(tmp_path: Path) -> None:
    assert claim(tmp_path / "new", RECIPE, fresh=False, present=PRESENT) is None


def test_a_run_goes_on_as_the_machine_that_it_began_on(run: Path) -> None:
    assert claim(run, RECIPE, fresh=False, present=PRESENT) == MACHINE


def test_a_changed_recipe_is_refused_and_each_key_named(run: Path) -> None:
    experiment = [{"name": "a", "dropout": 0.1, "phases": [{"epochs": 4}]}]
    with pytest.raises(ConfigError) as caught:
        claim(
            run,
            changed(experiment=experiment, images={"size": 32, "digest": "d"}),
            fresh=False,
            present=VERSIONS,
        )
    message = str(caught.value)
    for key in ("experiment.0.dropout", "experiment.0.phases.0.epochs", "images.size"):
        assert key in message
    assert "--fresh" in message


@pytest.mark.parametrize(
    "free",
    [
        *({"dataset": {"path": "moved"}}, {"name": "t"}, {"machine": {"threads": 4}}),
        {"split": {"kind": "file", "file": "moved/split.csv"}},
    ],
)
def test_where_things_lie_and_what_they_are_called_may_change(
    run: Path, free: dict[str, Any]
) -> None:
    assert claim(run, changed(**free), fresh=False, present=PRESENT) == MACHINE


@pytest.mark.parametrize(
    ("recipe", "present"), [({"images": {"size": 32}}, PRESENT), ({}, {**PRESENT, "torch": "3"})]
)
def test_fresh_starts_over_where_a_run_cannot_go_on(
    run: Path, recipe: dict[str, Any], present: dict[str, str]
) -> None:
    assert claim(run, changed(**recipe), fresh=True, present=present) is None
    assert not run.exists()


def test_fresh_leaves_what_is_of_this_recipe(run: Path) -> None:
    assert claim(run, RECIPE, fresh=True, present=PRESENT) == MACHINE
    (run / METRICS).write_text("{}")
    assert claim(run, RECIPE, fresh=True, present={"torch": "3"}) == MACHINE, "it has ended"
    (run / STUDY).write_text("[torn")
    assert claim(run, RECIPE, fresh=True, present=PRESENT) is None


def test_a_folder_of_numbers_without_a_recipe_is_no_run(run: Path) -> None:
    pooled = run.parent / "a-pooled"
    pooled.mkdir()
    (pooled / METRICS).write_text("{}")
    with pytest.raises(ConfigError, match=r"must be the folder of a finished run; got none at"):
        open_run(pooled)


def test_a_run_states_the_versions_that_its_bytes_depend_on() -> None:
    assert {"torch", "numpy", "scipy", "pyarrow", "moulage"} <= set(versions())


@pytest.mark.parametrize("names", [(), (METRICS,)], ids=["unfinished", "finished"])
def test_what_a_killed_run_was_writing_is_swept(run: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (run / name).write_text("{}")
    torn = [run / ".metrics.json.abcd1234.part", run / ".tmpA1b2C3"]  # ours, and safetensors' own
    for path in torn:
        path.write_text("{")
    claim(run, RECIPE, fresh=False, present=PRESENT)
    assert not any(path.exists() for path in torn)


def test_other_versions_are_refused_by_name(run: Path) -> None:
    begun = {"versions": {"torch": "2", "timm": "1", "numpy": "1"}, "weights": "f00d"}
    refuse_other_versions(run, begun=begun, present={**begun["versions"], "weights": "f00d"})
    message = r"got timm 1 \(here 2\), numpy 1 \(here none\), weights f00d \(here beef\)"
    with pytest.raises(RunError, match=message):
        refuse_other_versions(
            run, begun=begun, present={"torch": "2", "timm": "2", "weights": "beef"}
        )


def test_runs_are_found_below_a_folder_and_a_run_finds_itself(run: Path) -> None:
    assert [found.path for found in find_runs(run.parents[1])] == [run]
    assert [found.path for found in find_runs(run)] == [run]
    assert find_runs(run / "nothing") == []


def test_only_a_finished_run_may_be_opened(run: Path) -> None:
    with pytest.raises(ConfigError, match="got an unfinished one"):
        open_run(run)
    (run / METRICS).write_text("{}")
    assert open_run(run).is_finished
    with pytest.raises(ConfigError, match=r"got none at .*Finished runs here: .*a-seed0"):
        open_run(run.parent / "other")
