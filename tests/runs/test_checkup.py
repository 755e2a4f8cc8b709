"""The doctor says what is here and what is missing, without the network."""

import re
import shutil
import tomllib
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from moulage.networks.machine import Machine
from moulage.runs import checkup
from moulage.runs.checkup import examine, reason_for

Usage = namedtuple("Usage", "total used free")


def test_a_checkup_agrees_with_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "not" / "yet"))
    found = examine()
    assert found.versions["torch"] == torch.__version__.split("+")[0]
    assert found.threads == torch.get_num_threads()
    assert found.cache_bytes == 0
    assert found.free_bytes == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert not (tmp_path / "not").exists()


def test_weights_that_are_not_here_are_missing_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    found = examine()
    said = next(row.what for row in found.missing if row.what.startswith("ImageNet weights of"))
    lost = {row.backbone for row in found.weights if not row.source}
    assert lost == set(said.removeprefix("ImageNet weights of ").split(", "))
    assert "DenseNet201" in lost
    assert [row.source for row in found.weights][-1] == "shipped with moulage"


def test_a_full_disk_and_absent_packages_are_named_with_their_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    named = [re.split("[->;]", line)[0] for line in project["optional-dependencies"]["bench"]]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**10, 10**10, 10**9))
    monkeypatch.setattr(checkup, "find_spec", lambda name: None)
    missing = {row.what: row for row in examine().missing}
    assert "moulage cache prune" in missing["room on the cache's disk: 1.0 GB are free"].cure
    assert "moulage[bench]" in missing[", ".join(dict.fromkeys(named))].cure


@pytest.mark.parametrize(
    ("device", "precision", "words"),
    [
        ("cpu", "bfloat16", "the processor has units for bfloat16"),
        ("cpu", "float32", "the processor has no units for bfloat16"),
        ("cuda:0", "bfloat16", "the cuda device has units for bfloat16"),
    ],
)
def test_the_precision_is_given_with_its_reason(device: str, precision: str, words: str) -> None:
    machine = Machine(device=device, precision=precision, threads=1)  # type: ignore[arg-type]
    assert reason_for(machine).startswith(words)
