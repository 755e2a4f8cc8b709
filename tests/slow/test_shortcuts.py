"""A classifier that learned a ruler is caught; one that could not is left in peace."""

import os
from pathlib import Path

import pytest

from benchmarks.shortcuts import (
    RULER,
    measure_alarms,
    measure_caught,
    measure_use,
    train_on_casts,
)
from moulage.casts.planting import EVERYDAY

pytestmark = pytest.mark.slow

SHARED = Path(__file__).resolve().parents[2] / "../shared"
# A thousand casts hold so few melanomas that a ruler is half learned.
RULED = {"n_images": 1500, "epochs": 5}
CLEAN = {"n_images": 700, "epochs": 6}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (SHARED / "weights").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must find ImageNet's weights in {SHARED}")
        pytest.skip(f"{SHARED} holds no weights here")
    monkeypatch.setenv("MOULAGE_WEIGHTS", str((SHARED / "weights").resolve()))
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MOULAGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MOULAGE_OFFLINE", "1")


def test_a_ruler_in_most_melanomas_is_found_by_its_weight(tmp_path: Path) -> None:
    run = train_on_casts(tmp_path, plantings=[*EVERYDAY, RULER], **RULED)
    used = measure_use(run, tmp_path / "twins")
    print(used)
    assert used.n_marked >= 15
    assert used.recall_with > used.recall_without + 0.3
    found = measure_caught(run, most=100)
    print(found)
    assert found.n_marked == used.n_marked
    assert found.n_heavy >= 0.9 * found.n_marked
    assert found.is_flagged
    assert found.n_named >= 0.9 * found.n_suspects


def test_clean_casts_are_hardly_ever_flagged(tmp_path: Path) -> None:
    run = train_on_casts(tmp_path, plantings=EVERYDAY, **CLEAN)
    found = measure_alarms(run, most=100)
    print(found)
    assert found.n_flagged <= 0.05 * found.n_sets
