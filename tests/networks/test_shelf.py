import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from moulage.errors import ConfigError, DataError, RunError
from moulage.networks.classifier import build_network
from moulage.networks.registry import Backbone, backbone_named
from moulage.networks.shelf import fetch_weights, verify_weights

SMALL = backbone_named("test_resnet")
FILE = "test_resnet.r160_in1k.safetensors"


@pytest.fixture(scope="module")
def content() -> bytes:
    """Return the bytes of a file that fits `SMALL`, its original classifier included."""
    tensors = dict(build_network(SMALL.name, seed=1).state_dict())
    return save({**tensors, "fc.weight": torch.zeros(3, 4), "fc.bias": torch.zeros(3)})


def fetch(folder: Path, *backbones: Backbone) -> tuple[str, ...]:
    return tuple(found.words for found in fetch_weights(backbones or (SMALL,), to=folder))


def test_a_folder_is_filled_with_files_digests_and_licences(
    tmp_path: Path, local_hub: Any, content: bytes
) -> None:
    address = local_hub.add(SMALL.hub_id, content)
    assert fetch(tmp_path / "new") == (f"fetched, {len(content):,} bytes",)
    assert (tmp_path / "new" / FILE).read_bytes() == content
    entry = json.loads((tmp_path / "new" / "digests.json").read_text())[FILE]
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert (entry["size_bytes"], entry["source"]) == (len(content), address)
    assert entry["licence"] == SMALL.licence
    licences = (tmp_path / "new" / "LICENSES.md").read_text()
    assert f"`{FILE}`: {SMALL.licence}, from <{address}>" in licences


def test_a_file_that_is_there_is_not_fetched_again(
    tmp_path: Path, local_hub: Any, content: bytes
) -> None:
    local_hub.add(SMALL.hub_id, content)
    fetch(tmp_path)
    n_asked = len(local_hub.asked)
    assert fetch(tmp_path) == ("was here already",)
    assert len(local_hub.asked) == n_asked


def test_a_file_that_changed_since_is_fetched_again(
    tmp_path: Path, local_hub: Any, content: bytes
) -> None:
    local_hub.add(SMALL.hub_id, content)
    fetch(tmp_path)
    (tmp_path / FILE).write_bytes(b"x" + content[1:])
    assert fetch(tmp_path)[0].startswith("fetched")
    assert (tmp_path / FILE).read_bytes() == content


def test_other_files_stay_in_the_list(tmp_path: Path, local_hub: Any, content: bytes) -> None:
    local_hub.add(SMALL.hub_id, content)
    (tmp_path / "digests.json").write_text(
        '{"mine.safetensors": {"sha256": "1"}, '
        '"other.safetensors": {"sha256": "0", "licence": "MIT", "source": "x", "fetched_on": "y"}}'
    )
    fetch(tmp_path)
    listed = json.loads((tmp_path / "digests.json").read_text())
    assert set(listed) == {FILE, "other.safetensors", "mine.safetensors"}
    assert "`mine.safetensors`: licence not recorded" in (tmp_path / "LICENSES.md").read_text()
    assert "MIT" in (tmp_path / "LICENSES.md").read_text()


def test_a_fetch_that_broke_off_goes_on(tmp_path: Path, local_hub: Any, content: bytes) -> None:
    local_hub.add(SMALL.hub_id, content)
    (tmp_path / f"{FILE}.part").write_bytes(content[:777])
    fetch(tmp_path)
    assert local_hub.asked[0][1] == "bytes=777-"
    assert (tmp_path / FILE).read_bytes() == content


def test_progress_names_the_file(tmp_path: Path, local_hub: Any, content: bytes) -> None:
    local_hub.add(SMALL.hub_id, content)
    seen: list[tuple[str, int, int]] = []
    fetch_weights((SMALL,), to=tmp_path, progress=lambda *told: seen.append(told))
    assert seen[-1] == (FILE, len(content), len(content))


def test_another_networks_file_is_not_kept(tmp_path: Path, local_hub: Any) -> None:
    local_hub.add(SMALL.hub_id, save({"x": torch.zeros(2)}))
    with pytest.raises(DataError, match="must hold every tensor of test_resnet"):
        fetch(tmp_path)
    assert not list(tmp_path.glob("[!.]*"))


def test_what_is_not_on_the_hub_is_named(tmp_path: Path, local_hub: Any) -> None:
    with pytest.raises(RunError, match=r"got 404 Not Found"):
        fetch(tmp_path)
    with pytest.raises(ConfigError, match="must be published on the hub"):
        fetch(tmp_path, backbone_named("coatnet_0_224"))


def test_a_forbidden_network_is_not_used(
    tmp_path: Path, local_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(RunError, match="The network must be allowed"):
        fetch(tmp_path)
    assert not local_hub.asked


def test_a_fetched_folder_passes(tmp_path: Path, local_hub: Any, content: bytes) -> None:
    local_hub.add(SMALL.hub_id, content)
    fetch(tmp_path)
    (found,) = verify_weights(tmp_path)
    assert (found.file, found.is_fault) == (FILE, False)
    assert found.words == "names, shapes and digest are right"


def test_one_turned_bit_is_found(tmp_path: Path, local_hub: Any, content: bytes) -> None:
    local_hub.add(SMALL.hub_id, content)
    fetch(tmp_path)
    (tmp_path / FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert _fault_of(tmp_path).startswith(f"`{FILE}` must have the digest that digests.json lists")


def test_a_truncated_file_is_found(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content[:-100])
    assert "must be a whole safetensors file" in _fault_of(tmp_path)


def test_a_file_under_another_backbones_name_is_found(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "resnet10t.safetensors").write_bytes(content)
    assert "must have the shapes of resnet10t" in _fault_of(tmp_path)


def test_a_file_that_no_backbone_is_called_is_found(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.safetensors").write_bytes(content)
    assert _fault_of(tmp_path) == "'mine' is not the name of a backbone"


def test_a_listed_file_that_is_gone_is_found(
    tmp_path: Path, local_hub: Any, content: bytes
) -> None:
    local_hub.add(SMALL.hub_id, content)
    fetch(tmp_path)
    (tmp_path / FILE).unlink()
    assert _fault_of(tmp_path) == "digests.json lists it, but it is not here"


def test_an_unlisted_file_passes_with_a_word(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test_resnet.safetensors").write_bytes(content)
    (found,) = verify_weights(tmp_path)
    assert not found.is_fault
    assert found.words == "names and shapes are right; digests.json lists no digest for it"


def test_pickles_and_unfinished_files_are_mentioned(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test_resnet.safetensors").write_bytes(content)
    (tmp_path / "old.pth").write_bytes(b"")
    (tmp_path / f"{FILE}.part").write_bytes(b"")
    words = {found.file: found.words for found in verify_weights(tmp_path)}
    assert words["old.pth"] == "is never read: a pickle can run code"
    assert words[f"{FILE}.part"] == "is unfinished: fetch again to go on with it"


def test_a_folder_of_pickles_alone_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"")
    findings = verify_weights(tmp_path)
    assert [(one.words, one.is_fault) for one in findings] == [
        ("is never read: a pickle can run code", False),
        ("no .safetensors file is here", True),
    ]


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    assert _fault_of(tmp_path) == "no .safetensors file is here"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be a folder of weights"):
        verify_weights(tmp_path / "gone")


def _fault_of(folder: Path) -> str:
    (words,) = (found.words for found in verify_weights(folder) if found.is_fault)
    return words
