"""What the cache holds is told by kind and data set."""

from pathlib import Path

import numpy as np
import pytest

from moulage import store
from moulage.data.dataset import read_dataset
from moulage.data.pixels import build_pixels
from moulage.networks.activations import activations_at
from moulage.networks.classifier import InputContract, Recipe, build_classifier
from moulage.networks.machine import Machine
from moulage.networks.registry import TORCH_SCALING
from moulage.runs.holdings import TORN, UNKNOWN, list_holdings, verify_computed
from moulage.seal import digest_of


def publish(
    kind: str, key: dict[str, object], *, n_bytes: int = 1, about: dict[str, str] | None = None
) -> str:
    with store.publish(kind, key, about=about) as folder:
        (folder / "content").write_bytes(bytes(n_bytes))
    return digest_of(key)


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
        if content.parent.name != digest_of({"pixels": "p"}):
            content.write_bytes(bytes(9_999) + b"x")
    verify_computed("p")
    assert [store.find("activations", {"pixels": "p", "view": 1})] == [None]
    assert store.find("activations", {"pixels": "p"}) is not None
    assert store.find("activations", {"pixels": "q"}) is not None
    assert len(caplog.messages) == 1
