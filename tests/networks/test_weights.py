import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from moulage.errors import ConfigError, DataError, MissingWeightsError
from moulage.networks import weights
from moulage.networks.classifier import build_network
from moulage.networks.hub import digest_of_file
from moulage.networks.registry import BACKBONES, Backbone, Scaling, backbone_named
from moulage.networks.weights import WeightsFile, find_weights, load_weights, local_weights

MOBILE = BACKBONES["mobilenetv2_100"]
SMALL = "test_resnet"


def write(path: Path, **said: str) -> Path:
    """Write a tiny safetensors file that says something of itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"x": torch.zeros(2)}, path, metadata=said or None)
    return path


def weights_of(name: str, seed: int = 1) -> dict[str, Tensor]:
    return dict(build_network(name, seed=seed).state_dict())


def file_at(path: Path) -> WeightsFile:
    return WeightsFile(
        path=path, source="here", scaling=None, licence="", digest=digest_of_file(path)
    )


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that MOULAGE_WEIGHTS names; the network is forbidden."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("MOULAGE_WEIGHTS", str(folder))
    monkeypatch.setenv("MOULAGE_OFFLINE", "1")
    return folder


def test_random_weights_need_no_file() -> None:
    assert find_weights(MOBILE, "random") is None


def test_the_tagged_name_comes_before_the_plain_one(shelf: Path) -> None:
    plain = write(shelf / "mobilenetv2_100.safetensors")
    assert local_weights(MOBILE) == find_weights(MOBILE, "imagenet")
    assert _path(MOBILE) == plain
    tagged = write(shelf / "mobilenetv2_100.ra_in1k.safetensors")
    assert _path(MOBILE) == tagged


def test_a_name_with_a_tag_asks_for_that_tag(shelf: Path) -> None:
    write(shelf / "resnet10t.c3_in1k.safetensors")
    assert weights.file_names(backbone_named("resnet10t")) == (
        "resnet10t.c3_in1k.safetensors",
        "resnet10t.safetensors",
    )
    assert _path(backbone_named("resnet10t.c3_in1k")).name == "resnet10t.c3_in1k.safetensors"


def test_the_named_folder_comes_before_the_caches(shelf: Path, tmp_path: Path) -> None:
    in_hub = _write_hub_cache(tmp_path / "hub", MOBILE)
    assert _found(MOBILE).source == "timm's cache of the hub"
    assert _path(MOBILE) == in_hub
    fetched = write(tmp_path / "cache" / "weights" / "mobilenetv2_100.ra_in1k.safetensors")
    assert _path(MOBILE) == fetched
    named = write(shelf / "mobilenetv2_100.safetensors")
    assert _path(MOBILE) == named


def test_nothing_here_and_no_network_is_one_sentence_with_the_cure(shelf: Path) -> None:
    with pytest.raises(MissingWeightsError) as caught:
        find_weights(MOBILE, "imagenet")
    said = str(caught.value)
    assert "MobileNetV2" in said
    assert "`moulage weights fetch --to DIR`" in said
    assert "set MOULAGE_WEIGHTS" in said
    assert 'weights = "starter" or "random"' in said
    assert "\n" not in said


def test_a_hub_out_of_reach_is_one_sentence_with_the_cure(
    monkeypatch: pytest.MonkeyPatch, local_hub: Any
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MissingWeightsError, match=r"must be reachable.*weights fetch --to DIR"):
        find_weights(MOBILE, "imagenet")


def test_the_hub_is_asked_once(local_hub: Any, tmp_path: Path) -> None:
    local_hub.add(MOBILE.hub_id, save({"x": torch.zeros(2)}))
    assert _found(MOBILE).source == "the hub"
    n_asked = len(local_hub.asked)
    assert _found(MOBILE).source == "fetched from the hub before"
    assert len(local_hub.asked) == n_asked
    assert _path(MOBILE).is_relative_to(tmp_path / "cache")


def test_a_page_in_place_of_weights_is_not_kept(local_hub: Any, tmp_path: Path) -> None:
    local_hub.add(MOBILE.hub_id, b"<html>Please log in to the hotel's network</html>")
    with pytest.raises(DataError, match="must be a whole safetensors file"):
        find_weights(MOBILE, "imagenet")
    assert not list((tmp_path / "cache").rglob("[!.]*safetensors*"))


def test_a_network_that_nobody_published_is_named(shelf: Path) -> None:
    with pytest.raises(MissingWeightsError, match="got none published"):
        find_weights(backbone_named("coatnet_0_224"), "imagenet")


def test_a_folder_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOULAGE_WEIGHTS", str(tmp_path / "typo"))
    with pytest.raises(
        MissingWeightsError, match=r"MOULAGE_WEIGHTS must name a folder; got .*typo"
    ):
        find_weights(MOBILE, "imagenet")


def test_a_path_is_taken_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "mine" / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    found = find_weights(MOBILE, "mine/w.safetensors")
    assert found is not None
    assert (found.source, found.digest) == ("a file of your own", digest_of_file(path))


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "w.safetensors")
    found = find_weights(MOBILE, "~/w.safetensors")
    assert found is not None
    assert found.path == tmp_path / "w.safetensors"


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".h5", ".PTH"])
def test_other_formats_are_refused_and_why(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ConfigError, match=r"a pickle can run code.*save_file"):
        find_weights(MOBILE, str(tmp_path / f"model{suffix}"))


def test_a_pickle_under_another_name_is_recognised_and_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return sys.modules["pathlib"].Path.touch, (str(tmp_path / "ran"),)

    (tmp_path / "trap.safetensors").write_bytes(pickle.dumps(Trap()))
    torch.save({"x": torch.zeros(1)}, tmp_path / "zip.safetensors")
    for name in ("trap", "zip"):
        with pytest.raises(DataError, match="got a pickle"):
            find_weights(MOBILE, str(tmp_path / f"{name}.safetensors"))
    assert not (tmp_path / "ran").exists()


def test_a_misspelt_choice_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'imagenet'"):
        find_weights(MOBILE, "imagnet")


def test_a_path_to_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=r"must name a file that exists; got .*gone"):
        find_weights(MOBILE, str(tmp_path / "gone.safetensors"))


def test_what_a_file_says_of_itself_is_kept(shelf: Path) -> None:
    write(
        shelf / "mobilenetv2_100.safetensors",
        mean="0.1,0.2,0.3",
        std="0.4,0.5,0.6",
        license="CC-BY-4.0",
        architecture="mobilenetv2_100",
    )
    found = _found(MOBILE)
    assert found.scaling == Scaling(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert found.licence == "CC-BY-4.0"


def test_a_file_that_says_nothing_leaves_the_backbones_scaling(shelf: Path) -> None:
    write(shelf / "mobilenetv2_100.safetensors")
    assert _found(MOBILE).scaling is None
    assert _found(MOBILE).licence == "Apache-2.0"


@pytest.mark.parametrize(
    "said",
    [
        {"mean": "0.5,0.5,0.5"},
        {"mean": "0.5,0.5", "std": "1,1,1"},
        {"mean": "0.5,0.5,0.5", "std": "1,0,1"},
        {"mean": "a,b,c", "std": "1,1,1"},
    ],
)
def test_half_a_scaling_is_refused(shelf: Path, said: dict[str, str]) -> None:
    write(shelf / "mobilenetv2_100.safetensors", **said)
    with pytest.raises(DataError, match="three numbers each, std above zero"):
        find_weights(MOBILE, "imagenet")


def test_weights_of_another_architecture_are_refused(shelf: Path) -> None:
    write(shelf / "mobilenetv2_100.safetensors", architecture="densenet201")
    with pytest.raises(ConfigError, match="made for mobilenetv2_100; got weights of densenet201"):
        find_weights(MOBILE, "imagenet")


def test_the_starter_fits_its_own_architecture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "STARTER", tmp_path)
    write(tmp_path / "starter.safetensors", architecture=SMALL, mean="0,0,0", std="1,1,1")
    assert weights.starter_architecture() == SMALL
    found = find_weights(backbone_named(SMALL), "starter")
    assert found is not None
    assert found.source == "shipped with moulage"
    with pytest.raises(ConfigError, match=f'must go with backbone = "{SMALL}"; got'):
        find_weights(MOBILE, "starter")


def test_a_package_without_its_starter_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "STARTER", tmp_path)
    with pytest.raises(MissingWeightsError, match="Install moulage again"):
        find_weights(backbone_named(SMALL), "starter")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_weights_are_loaded_bit_for_bit_and_cast(tmp_path: Path, dtype: torch.dtype) -> None:
    given = {name: _cast(tensor, dtype) for name, tensor in weights_of(SMALL).items()}
    save_file(given, tmp_path / "w.safetensors")
    network = build_network(SMALL, seed=2)
    load_weights(network, file_at(tmp_path / "w.safetensors"))
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.int64 or tensor.dtype == torch.float32
        assert torch.equal(tensor, given[name].to(tensor.dtype))


def test_step_counters_may_be_missing(tmp_path: Path) -> None:
    given = {n: t for n, t in weights_of(SMALL).items() if "num_batches" not in n}
    save_file(given, tmp_path / "w.safetensors")
    network = build_network(SMALL, seed=2)
    load_weights(network, file_at(tmp_path / "w.safetensors"))
    assert torch.equal(network.state_dict()["conv1.0.weight"], given["conv1.0.weight"])


def test_the_original_classifier_is_allowed_and_ignored(tmp_path: Path) -> None:
    given = weights_of(SMALL)
    extra = {"fc.weight": torch.zeros(1000, 96), "fc.bias": torch.zeros(1000)}
    save_file(given | extra, tmp_path / "w.safetensors")
    network = build_network(SMALL, seed=2)
    load_weights(network, file_at(tmp_path / "w.safetensors"))
    assert _same(network, given)


def test_layers_above_the_pooling_of_mobilenetv3_are_allowed(tmp_path: Path) -> None:
    name = "tf_mobilenetv3_small_100"
    given = weights_of(name)
    above = {
        "conv_head.weight": torch.zeros(1024, 576, 1, 1),
        "conv_head.bias": torch.zeros(1024),
        "classifier.weight": torch.zeros(1000, 1024),
        "classifier.bias": torch.zeros(1000),
    }
    save_file(given | above, tmp_path / "w.safetensors")
    network = build_network(name, seed=2)
    load_weights(network, file_at(tmp_path / "w.safetensors"))
    assert _same(network, given)


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    given = weights_of(SMALL)
    lost = [name for name in given if name.startswith("layer1") and name.endswith("weight")]
    for name in lost:
        del given[name]
    with pytest.raises(DataError, match=rf"hold every tensor of {SMALL}; got no {lost[0]}, "):
        _load(given, tmp_path)


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    given = weights_of(SMALL)
    given["conv1.0.weight"] = given["conv1.0.weight"][:, :1].contiguous()
    with pytest.raises(DataError, match=r"conv1\.0\.weight \(\d+, 1, 3, 3\) instead of"):
        _load(given, tmp_path)


def test_tensors_of_a_larger_network_are_refused(tmp_path: Path) -> None:
    given = weights_of(SMALL) | {"layer9.0.conv1.weight": torch.zeros(1)}
    with pytest.raises(DataError, match=r"got also layer9\.0\.conv1\.weight"):
        _load(given, tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(tmp_path: Path, value: float) -> None:
    given = weights_of(SMALL)
    given["conv1.0.weight"][0, 0, 0, 0] = value
    with pytest.raises(DataError, match=r"`conv1\.0\.weight` must hold finite"):
        _load(given, tmp_path)


def test_quantised_numbers_are_refused(tmp_path: Path) -> None:
    given = weights_of(SMALL)
    given["conv1.0.weight"] = given["conv1.0.weight"].to(torch.int8)
    with pytest.raises(DataError, match=r"got numbers of type torch\.int8"):
        _load(given, tmp_path)


def test_a_refused_file_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    given = weights_of(SMALL)
    given["layer1.0.bn1.weight"][0] = float("nan")
    save_file(given, tmp_path / "w.safetensors")
    network = build_network(SMALL, seed=2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(DataError, match="finite"):
        load_weights(network, file_at(tmp_path / "w.safetensors"))
    assert _same(network, before)


@pytest.mark.parametrize("n_bytes", [0, 4, 100, -1])
def test_a_truncated_file_is_one_sentence(tmp_path: Path, n_bytes: int) -> None:
    content = save(weights_of(SMALL))
    path = tmp_path / "w.safetensors"
    path.write_bytes(content[:n_bytes])
    with pytest.raises(
        DataError, match=r"must be a whole safetensors file.*Copy or fetch it again"
    ):
        find_weights(backbone_named(SMALL), str(path))
    with pytest.raises(DataError, match="must be a whole safetensors file"):
        load_weights(build_network(SMALL, seed=2), file_at(path))


def test_a_digest_beside_the_file_is_held_against_it(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(weights_of(SMALL), path)
    network = build_network(SMALL, seed=2)
    _list(tmp_path, {"w.safetensors": {"sha256": digest_of_file(path)}})
    load_weights(network, file_at(path))
    _list(tmp_path, {"other.safetensors": {"sha256": "0" * 64}})
    load_weights(network, file_at(path))
    _list(tmp_path, {"w.safetensors": {"sha256": "0" * 64}})
    with pytest.raises(DataError, match=r"must have the digest that digests\.json lists, 0000"):
        load_weights(network, file_at(path))


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}'])
def test_a_torn_list_of_digests_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "digests.json").write_text(text)
    with pytest.raises(DataError, match="must be a JSON table of files"):
        weights.digests_of(tmp_path)


def _found(backbone: Backbone) -> WeightsFile:
    found = find_weights(backbone, "imagenet")
    assert found is not None
    return found


def _path(backbone: Backbone) -> Path:
    return _found(backbone).path


def _write_hub_cache(root: Path, backbone: Backbone) -> Path:
    folder = root / f"models--{backbone.hub_id.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    return write(folder / "snapshots" / "abc" / "model.safetensors")


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _load(tensors: dict[str, Tensor], folder: Path) -> None:
    save_file(tensors, folder / "w.safetensors")
    load_weights(build_network(SMALL, seed=2), file_at(folder / "w.safetensors"))


def _list(folder: Path, listed: dict[str, Any]) -> None:
    (folder / "digests.json").write_text(json.dumps(listed))


def _same(network: nn.Module, given: dict[str, Tensor]) -> bool:
    state = network.state_dict()
    return all(torch.equal(tensor, given[name]) for name, tensor in state.items())
