"""docs/ham10000.ipynb: stored without outputs, and every cell of it runs on casts."""

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot

NOTEBOOK = Path(__file__).parents[2] / "docs" / "ham10000.ipynb"


def code_cells() -> list[dict[str, Any]]:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_is_stored_without_outputs() -> None:
    assert len(code_cells()) > 5
    assert [cell for cell in code_cells() if cell["outputs"] or cell["execution_count"]] == []


def test_cells_are_told_apart_by_their_ids() -> None:
    ids = [cell["id"] for cell in json.loads(NOTEBOOK.read_text())["cells"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.slow
def test_every_cell_runs_on_casts(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", pyplot.close)
    names: dict[str, Any] = {}
    for number, cell in enumerate(code_cells()):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    assert [run.path.name for run in names["outcome"].finished] == [
        "starter-seed0",
        "weighted-seed0",
    ]
    assert names["siblings"](names["split"].parts) == 0
    assert names["siblings"](names["by_image"]) > 0.1
    assert 0 < names["found"]["accuracy"].low < names["found"]["accuracy"].high < 1
