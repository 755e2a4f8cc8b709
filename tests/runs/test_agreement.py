"""What is explained is what is answered: `explain`, `predict` and the run itself say the same."""

from pathlib import Path

import numpy as np
import pytest

from moulage import actions
from moulage.networks.machine import resolve_machine
from moulage.predictions import read_predictions
from moulage.runs.explaining import open_witness
from moulage.runs.folder import PREDICTIONS, RunFolder
from moulage.runs.schedule import run_study
from moulage.runs.studyfile import parse_study

from .conftest import FROZEN, TINY

# Batches of other sizes are summed in another order: in bfloat16 the last of its 8 bits may
# differ at a place of the maps. Rounding where another engine rounds moves probabilities by more.
TOLERANCES = {"float32": 1e-5, "bfloat16": 1e-4}
OPENED = {"name": "opened", "train_from": "all", "epochs": 3, "batch": 16, "learning_rate": 1e-2}
FAST = {**FROZEN, "learning_rate": 1e-2, "epochs": 3}
EXPERIMENTS = [
    {**TINY, "backbone": "MobileNetV3Small", "name": "frozen", "phases": [FAST]},
    {**TINY, "name": "fine", "phases": [FROZEN, OPENED], "views": 8},
]


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def runs(
    request: pytest.FixtureRequest, casts: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, RunFolder]:
    """Return two runs and their ensemble, by name."""
    if request.param == "bfloat16" and resolve_machine().precision != "bfloat16":
        pytest.skip("no units for bfloat16 here")
    study = parse_study(
        {
            "name": "agreement",
            "dataset": {"path": str(casts)},
            "images": {"size": 64},
            "machine": {"threads": 1, "precision": request.param},
            "experiment": EXPERIMENTS,
            "ensemble": [{"name": "both", "of": ["frozen", "fine"]}],
        }
    )
    out = tmp_path_factory.mktemp("agreement")
    outcome = run_study(study, out=out, only=(), fresh=False, progress=lambda *_: None)
    return {run.path.name.removesuffix("-seed0"): run for run in outcome.finished}


@pytest.mark.parametrize("name", ["frozen", "fine", "both"])
def test_an_explanation_is_of_the_answer_that_predict_and_the_run_give(
    name: str, runs: dict[str, RunFolder], casts: Path, tmp_path: Path
) -> None:
    run, tolerance = runs[name], TOLERANCES[open_witness(runs[name]).machine.precision]
    pictures = sorted(casts.rglob("*.jpg"))[:12]
    book = actions.explain(run.path, pictures, out=tmp_path, n_segments=4, method="exact")
    table = actions.predict(run.path, pictures).table
    written = read_predictions(run.path / PREDICTIONS)
    rows = np.array([written.image_ids.tolist().index(case.image_id) for case in book.cases])
    explained = [case.examination.explanation for case in book.cases]
    whole = [one.answers.probabilities[one.answers.masks.all(axis=1)][0] for one in explained]
    answered = table[[f"probability_{code}" for code in book.diagnoses]].to_numpy()
    assert np.ptp(answered, axis=0).max() > 50 * tolerance  # or all would agree by themselves
    np.testing.assert_allclose(whole, answered, rtol=0, atol=tolerance)
    own = written.take(rows).probabilities()
    np.testing.assert_allclose(whole, own, rtol=0, atol=tolerance)
    assert [book.diagnoses[one.diagnosis] for one in explained] == table["diagnosis"].tolist()
    shown = [one.probability for one in explained]
    np.testing.assert_allclose(shown, answered.max(axis=1), rtol=0, atol=tolerance)
