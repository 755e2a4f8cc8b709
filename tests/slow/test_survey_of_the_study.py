"""The study's data surveyed: docs/survey.md says what it says."""

import os
from pathlib import Path

import pytest

from benchmarks.paper_figures import HEAD, rows_of
from moulage.data.dataset import read_dataset

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HAM10000 = ROOT / "../shared/ham10000"


def test_the_table_of_the_studys_figures_is_what_the_data_says() -> None:
    if not HAM10000.is_dir():
        assert os.environ.get("CI") != "true", f"no HAM10000 in {HAM10000}"
        pytest.skip(f"no HAM10000 in {HAM10000}")
    rows = rows_of(read_dataset(HAM10000.resolve()))
    assert len(rows) == 12
    assert "\n".join((*HEAD, *rows)) in (ROOT / "docs/survey.md").read_text()
