"""What the Python door returns, as a notebook shows it: a line, however much it holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import moulage
from moulage import actions

from .conftest import STUDY


def results_of(casts: Path, folder: Path) -> Iterator[Any]:
    """Yield what each action makes of sixty casts."""
    study = folder / "study.toml"
    study.write_text(STUDY)
    yield (outcome := moulage.train(study, data=casts, out=folder / "runs"))
    run = outcome.finished[0].path
    yield from moulage.list_runs(folder / "runs")
    yield (predictions := moulage.read_predictions(run / "predictions.parquet"))
    yield moulage.summary(predictions.of("test"))
    yield moulage.predict(run, casts)
    yield moulage.evaluate(run, casts)
    yield moulage.read_dataset(casts)
    yield moulage.make_split(casts)
    yield moulage.survey(casts, out=folder / "survey")[0]
    yield moulage.audit(casts, casts)
    yield (casebook := moulage.explain(run, sample=3, out=folder / "explained", n_evaluations=32))
    yield from casebook.cases
    yield actions.extract_features(run, casts)
    yield actions.range_test(study, data=casts, n_steps=10)


@pytest.mark.filterwarnings("ignore")
def test_results_are_shown_in_a_line(casts: Path, tmp_path: Path) -> None:
    shown = {type(result).__name__: repr(result) for result in results_of(casts, tmp_path)}
    assert {name: text for name, text in shown.items() if len(text) > 300 or "\n" in text} == {}
    assert all(text.startswith(f"{name}(") for name, text in shown.items())
    assert shown["Casebook"].startswith("Casebook(run='tiny-seed0', n_images=3, n_doubted=")
    assert shown["Catalogue"] == "Catalogue(name='Casts', n_images=60, n_diagnoses=7)"
    assert "'test': " in shown["Predictions"]
    assert shown["Foreign"] == "Foreign(name='Casts', n_images=60, n_unmapped=0)"
