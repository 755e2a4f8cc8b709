"""The built-in casts: drawn once, the same bytes and times each time."""

from pathlib import Path

import pytest

from moulage import store
from moulage.data.dataset import open_dataset
from moulage.runs import atelier
from moulage.runs.atelier import drawn_casts
from moulage.runs.studyfile import parse_study


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    monkeypatch.setattr(atelier, "N_IMAGES", 20)
    monkeypatch.setattr(atelier, "SIZE", (64, 48))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*.*")
        if path.is_file() and path.name not in ("key.json", "about.json")
    }


def test_casts_are_drawn_once(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = drawn_casts()
    monkeypatch.setattr(atelier, "make_casts", None)
    assert drawn_casts() == folder


def test_casts_drawn_again_after_pruning_are_known_again(
    small: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = contents(drawn_casts())
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "other"))
    again = contents(drawn_casts())
    assert first == again
    assert len(first) == 2 * 20 + 2


def test_casts_are_named_for_what_they_are(small: None) -> None:
    opened = open_dataset(drawn_casts())
    assert (opened.kind, opened.catalogue.name, len(opened.catalogue)) == ("casts", "Casts", 20)
    assert [entry.about for entry in store.entries()] == [{"dataset": "Casts"}]


def test_a_study_file_need_not_name_a_data_set() -> None:
    phase = {"name": "frozen", "train_from": "head"}
    study = parse_study({"experiment": [{"name": "a", "backbone": "b", "phases": [phase]}]})
    assert study.dataset.path is None
