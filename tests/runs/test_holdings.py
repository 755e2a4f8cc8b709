"""What the cache holds is told by kind and data set."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from moulage import store
from moulage.data.dataset import read_dataset
from moulage.data.pixels import build_pixels
from moulage.errors import RunError
from moulage.networks.activations import activations_at
from moulage.networks.classifier import InputContract, Recipe, build_classifier
from moulage.networks.machine import Machine
from moulage.networks.registry import TORCH_SCALING
from moulage.runs.holdings import TORN, UNKNOWN, list_holdings, verify_computed


def publish(
    kind: str, key: dict[str, object], *, n_bytes: int = 1, about: dict[str, str] | None = None
) -> str:
    with store.publish(kind, key, about=about) as folder:
        (folder / "content").write_bytes(bytes(n_bytes))
    return store.digest_of(key)


@pytest.mark.parametrize(
    ("variable", "cure"),
    [
        ("MOULAGE_CACHE", "MOULAGE_CACHE moves the cache"),
        ("MOULAGE_DATA", "MOULAGE_DATA moves the records"),
        ("OTHER", "`--out` names it, where the command has that"),
    ],
)
def test_a_folder_that_cannot_be_written_is_told_with_what_moves_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, cure: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    with pytest.raises(RunError, match=rf"choose another folder \({cure}\), then run the same"):
        store.write_text(tmp_path / "file" / "inside", "text")


def test_an_empty_cache_holds_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "none"))
    assert list_holdings() == ()


def test_entries_are_summed_by_kind_and_data_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    pixels = publish("pixels", {"a": 1}, n_bytes=3_000, about={"dataset": "HAM10000"})
    publish("pixels", {"a": 2}, n_bytes=1_000, about={"dataset": "HAM10000"})
    publish("activations", {"pixels": pixels}, n_bytes=90_000, about={})
    publish("activations", {"pixels": "gone"}, n_bytes=10, about={})
    rows = {(row.kind, row.dataset): row for row in list_holdings()}
    assert set(rows) == {
        ("pixels", "HAM10000"),
        ("activations", "HAM10000"),
        ("activations", UNKNOWN),
    }
    assert rows["pixels", "HAM10000"].n_entries == 2
    assert rows["pixels", "HAM10000"].size_bytes >= 4_000
    assert list_holdings()[0].kind == "activations"
    total = sum(entry.size_bytes for entry in store.entries())
    assert sum(row.size_bytes for row in rows.values()) == total


def test_pixels_and_activations_are_traced_to_their_data_set(
    casts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    catalogue = read_dataset(casts, name="ours").take(np.arange(4))
    pixels = build_pixels(catalogue, size_px=32, resize="squash", threads=1)
    contract = InputContract(
        size_px=32, resize="squash", scaling=TORCH_SCALING, diagnoses=catalogue.codes
    )
    recipe = Recipe(
        backbone="test_efficientnet", head="pooled", hidden=(), dropout=0.0, contract=contract
    )
    classifier = build_classifier(recipe, seed=0)
    activations_at(
        classifier,
        len(classifier.stages),
        pixels=pixels.array,
        pixels_key=pixels.key,
        machine=Machine(device="cpu", precision="float32", threads=1),
    )
    assert {(row.kind, row.dataset) for row in list_holdings()} == {
        ("pixels", "ours"),
        ("activations", "ours"),
    }


def test_torn_entries_stand_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    for n in range(3):
        torn = tmp_path / "pixels" / publish("pixels", {"a": n}, about={"dataset": "HAM10000"})
    (torn / "about.json").write_bytes(b"")
    rows = {(row.kind, row.dataset): row.n_entries for row in list_holdings()}
    assert rows == {("pixels", "HAM10000"): 2, ("pixels", TORN): 1}


def test_what_was_computed_from_pixels_is_verified_with_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    for key in ({"pixels": "p"}, {"pixels": "p", "view": 1}, {"pixels": "q"}):
        publish("activations", key, n_bytes=10_000)
    for content in tmp_path.glob("*/*/content"):
        if content.parent.name != store.digest_of({"pixels": "p"}):
            content.write_bytes(bytes(9_999) + b"x")
    verify_computed("p")
    assert [store.find("activations", {"pixels": "p", "view": 1})] == [None]
    assert store.find("activations", {"pixels": "p"}) is not None
    assert store.find("activations", {"pixels": "q"}) is not None
    assert len(caplog.messages) == 1


def test_what_is_pruned_while_it_is_waited_for_is_not_found_and_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    fcntl = pytest.importorskip("fcntl")
    key: dict[str, object] = {"n": 7}
    publish("pixels", key)
    (entry,) = store.entries()
    with (entry.folder / "lock").open("a") as lock, ThreadPoolExecutor(1) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = pool.submit(store.find, "pixels", key)
        with pytest.raises(TimeoutError):
            found.result(timeout=0.2)
        entry.folder.rename(entry.folder.with_name(".gone"))
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert found.result(timeout=10) is None
    publish("pixels", key)
    assert store.find("pixels", key) == entry.folder
    assert store.prune(older_than_s=-1) == ([], store.entries()), "it is held"


def test_a_cache_without_locks_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    monkeypatch.setattr("fcntl.flock", refuse)
    publish("pixels", {"n": 9})
    assert store.find("pixels", {"n": 9}) is not None


def test_an_unfinished_folder_that_goes_while_it_is_swept_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    (tmp_path / "pixels").mkdir()
    (tmp_path / "pixels" / ".building-x").symlink_to("gone")  # listed, but there is none
    assert store.prune(keep_bytes=0) == ([], [])


def test_two_that_prune_at_once_delete_an_entry_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    publish("pixels", {"n": 8})
    (entry,) = store.entries()
    assert store._delete_unless_held(entry.folder)
    assert not store._delete_unless_held(entry.folder)
