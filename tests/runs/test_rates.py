"""The range test of a study's cell: of a file, of a run, after the phases before it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moulage.errors import ConfigError
from moulage.runs import rates
from moulage.runs.progress import silently
from moulage.runs.rates import cell_of, climb_rates
from moulage.runs.schedule import run_study
from moulage.runs.study import cells_of

TWO_PHASES = [
    {"name": "frozen", "train_from": "head", "epochs": 1, "batch": 16},
    {"name": "fine-tuned", "train_from": "blocks.3", "epochs": 1, "batch": 16},
]


def tiny(phases: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": "tiny",
        "backbone": "test_efficientnet",
        "weights": "random",
        "hidden": [4],
        "phases": phases,
    }


def test_a_run_folder_gives_back_the_cell_it_came_from(
    casts: Path, tmp_path: Path, study_of: Any
) -> None:
    split = {"seeds": [3], "folds": 2}
    study = study_of(casts, experiment=[{**tiny(TWO_PHASES[:1]), "seeds": [5]}], split=split)
    run_study(study, out=tmp_path, only=(), fresh=False, progress=silently)
    expected = cells_of(study)[1]
    found = cell_of(tmp_path / "small" / expected.name, experiment=None, data=None)
    assert found.resolved() == expected.resolved()
    assert (found.seed, found.split_seed, found.fold) == (5, 3, 1)
    moved = cell_of(tmp_path / "small" / expected.name, experiment=None, data=Path("elsewhere"))
    assert moved.study.dataset.path == Path("elsewhere")
    with pytest.raises(ConfigError, match="`experiment` must go with a study file; got 'tiny'"):
        cell_of(tmp_path / "small" / expected.name, experiment="tiny", data=None)


def test_a_study_file_gives_the_experiment_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "study.txt"
    phase = "phases = [{name = 'frozen', train_from = 'head'}]"
    file.write_text(
        "".join(f"[[experiment]]\nname = '{n}'\nbackbone = 'x'\n{phase}\n" for n in ("a", "b"))
    )
    assert cell_of(file, experiment=None, data=None).experiment.name == "a"
    assert cell_of(file, experiment="b", data=None).experiment.name == "b"
    with pytest.raises(ConfigError, match="must name experiments of the study"):
        cell_of(file, experiment="c", data=None)


def test_a_later_phase_starts_from_what_the_earlier_ones_trained(
    casts: Path, study_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[str] = []
    climb = rates.run_range_test

    def note(job: Any, phase: Any, **numbers: Any) -> Any:
        starts.append(job.classifier.digest())
        return climb(job, phase, **numbers)

    monkeypatch.setattr(rates, "run_range_test", note)
    (cell,) = cells_of(study_of(casts, experiment=[tiny(TWO_PHASES)]))
    found = [
        climb_rates(cell, phase=phase, highest=0.1, n_steps=12, progress=silently)
        for phase in (None, "fine-tuned")
    ]
    assert [test.phase for test in found] == ["frozen", "fine-tuned"]
    assert starts[0] != starts[1]
    assert all(np.isfinite(test.losses).all() for test in found)


def test_an_unknown_phase_is_refused_with_the_nearest_name(casts: Path, study_of: Any) -> None:
    (cell,) = cells_of(study_of(casts, experiment=[tiny(TWO_PHASES)]))
    with pytest.raises(ConfigError, match="`--phase` must be one of frozen, fine-tuned; got 'froz"):
        climb_rates(cell, phase="frozn", highest=1.0, n_steps=12, progress=silently)
