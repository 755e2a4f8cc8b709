"""Whole studies in miniature: sixty casts, a network of a few thousand weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from moulage.casts.generator import make_casts
from moulage.runs.config import StudyConfig
from moulage.runs.studyfile import parse_study

FROZEN = {"name": "frozen", "train_from": "head", "epochs": 1, "batch": 16}
TINY = {
    "name": "tiny",
    "backbone": "test_efficientnet",
    "weights": "random",
    "hidden": [4],
    "phases": [FROZEN],
}
# The same as a file, for what is asked by the public door.
STUDY = """
name = "small"
[images]
size = 32
[machine]
threads = 1
precision = "float32"
[[experiment]]
name = "tiny"
backbone = "test_efficientnet"
weights = "random"
hidden = [4]
[[experiment.phases]]
name = "frozen"
train_from = "head"
epochs = 1
batch = 16
"""


def _study(casts: Path, **changes: Any) -> StudyConfig:
    content = {
        "name": "small",
        "dataset": {"path": str(casts)},
        "images": {"size": 32},
        "machine": {"threads": 1, "precision": "float32"},
        "experiment": [TINY],
    }
    return parse_study({**content, **changes})


@pytest.fixture(scope="session")
def casts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of sixty casts in HAM10000's layout."""
    folder = tmp_path_factory.mktemp("casts") / "casts"
    make_casts(folder, n_images=60, seed=1, size=(64, 48), threads=1)
    return folder


@pytest.fixture
def study_of() -> Any:
    """Return a function that writes a study of one tiny experiment, some tables changed."""
    return _study


@pytest.fixture(scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that the tests of this room share: the same casts are decoded once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session", autouse=True)
def own_records(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> Iterator[None]:
    """Keep what is made for several tests out of the user's records too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOULAGE_CACHE", str(own_cache))
        patch.setenv("MOULAGE_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setenv("MOULAGE_OFFLINE", "1")
        yield


@pytest.fixture(autouse=True)
def own_folders(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's caches and records."""
    monkeypatch.setenv("MOULAGE_CACHE", str(own_cache))
    monkeypatch.setenv("MOULAGE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("MOULAGE_WEIGHTS", raising=False)
    monkeypatch.setenv("MOULAGE_OFFLINE", "1")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Give the threads back that a run has set."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
