"""Planted near-duplicates are found again, by kind: in casts and in real photographs."""

import os
from pathlib import Path

import pytest

from benchmarks.near_duplicates import (
    FOREIGN,
    N_EACH,
    OWN,
    Score,
    measure,
    plant,
    plant_casts,
    print_score,
)

pytestmark = pytest.mark.slow

HAM10000 = Path(__file__).resolve().parents[2] / "../shared/ham10000"


def check(score: Score) -> None:
    print_score(score)
    assert min(score.recall[kind] for kind in OWN) >= 0.95
    assert score.precision >= 0.9


def test_copies_among_casts_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))
    check(measure(plant_casts(tmp_path / "casts", n_each=N_EACH, seed=0)))


def test_copies_among_photographs_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also under disguises that no threshold was chosen on."""
    if not HAM10000.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must find the data set in {HAM10000}")
        pytest.skip(f"no data set at {HAM10000}")
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))
    score = measure(plant(HAM10000.resolve(), {**OWN, **FOREIGN}, n_each=N_EACH, seed=0))
    check(score)
    assert score.clean_per_10000 <= 10
    assert score.n_known > 20
    assert min(score.recall[kind] for kind in FOREIGN) >= 0.85
