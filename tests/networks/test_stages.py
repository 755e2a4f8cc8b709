import pytest
import torch
from torch import Tensor, nn

from moulage.errors import ConfigError
from moulage.networks.classifier import build_network
from moulage.networks.registry import BACKBONES
from moulage.networks.stages import boundary_named, stages_of

# name, side in pixels, stages: the paper's four, then other families of timm
NETWORKS = [
    ("mobilenetv2_100", 64, 19),
    ("tf_mobilenetv3_large_100", 64, 17),
    ("tf_mobilenetv3_small_100", 64, 13),
    ("densenet201", 64, 9),
    ("densenetblur121d", 64, 9),
    ("test_efficientnet", 64, 7),
    ("resnet10t", 64, 1),
    ("ghostnet_050", 64, 1),
    ("test_mambaout", 64, 1),
]


def images_of(size_px: int, n_images: int = 2) -> Tensor:
    return torch.rand((n_images, 3, size_px, size_px), generator=torch.Generator().manual_seed(42))


def run(network: nn.Module, images: Tensor) -> Tensor:
    for stage in stages_of(network):
        images = stage(images)
    return images


@pytest.fixture(scope="module")
def mobile() -> nn.Module:
    return build_network("mobilenetv2_100", seed=0).eval()


@pytest.mark.parametrize(("name", "size_px", "n_stages"), NETWORKS)
def test_the_chain_equals_forward_features_bit_for_bit(
    name: str, size_px: int, n_stages: int
) -> None:
    network = build_network(name, seed=42).eval()
    with torch.inference_mode():
        maps = run(network, images_of(size_px))
        expected = network.forward_features(images_of(size_px))  # type: ignore[operator]
    if getattr(network, "output_fmt", "NCHW") == "NHWC":
        expected = expected.permute(0, 3, 1, 2)
    assert len(stages_of(network)) == n_stages
    assert maps.shape[1] == network.num_features
    assert torch.equal(maps, expected)


@pytest.mark.parametrize("name", ["test_vit", "test_vit_relpos"])
def test_tokens_become_one_pooled_map(name: str) -> None:
    network = build_network(name, seed=42).eval()
    with torch.inference_mode():
        maps = run(network, images_of(160))
        tokens = network.forward_features(images_of(160))  # type: ignore[operator]
        pooled = network.forward_head(tokens, pre_logits=True)  # type: ignore[operator]
    assert maps.shape == (2, network.num_features, 1, 1)
    assert torch.equal(maps[:, :, 0, 0], pooled)


@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_parameter_lies_in_exactly_one_stage(name: str) -> None:
    network = build_network(name, seed=0)
    modules = [module for stage in stages_of(network) for module in stage.modules]
    in_stages = [id(parameter) for module in modules for parameter in module.parameters()]
    assert sorted(in_stages) == sorted(id(parameter) for parameter in network.parameters())


@pytest.mark.parametrize("name", list(BACKBONES))
def test_names_are_distinct_and_each_is_its_own_boundary(name: str) -> None:
    stages = stages_of(build_network(name, seed=0))
    names = [stage.name for stage in stages]
    assert len(set(names)) == len(names)
    assert [boundary_named(name, stages) for name in names] == list(range(len(stages)))
    assert (names[0], boundary_named("all", stages)) == ("stem", 0)
    assert boundary_named("head", stages) == len(stages)


def test_a_group_names_its_first_block(mobile: nn.Module) -> None:
    stages = stages_of(mobile)
    names = [stage.name for stage in stages]
    assert names[boundary_named("blocks.5", stages)] == "blocks.5.0"
    assert names[boundary_named("blocks.5.1", stages)] == "blocks.5.1"
    assert names[boundary_named("blocks", stages)] == "blocks.0.0"
    assert names[-1] == "final"


def test_half_a_word_is_no_boundary() -> None:
    stages = stages_of(build_network("densenet201", seed=0))
    names = [stage.name for stage in stages]
    assert names == [
        "stem",
        *(f"{part}{i}" for i in (1, 2, 3) for part in ("denseblock", "transition")),
        "denseblock4",
        "final",
    ]
    with pytest.raises(ConfigError, match="must be a boundary"):
        boundary_named("denseblock", stages)


def test_an_unknown_boundary_lists_the_known_ones(mobile: nn.Module) -> None:
    with pytest.raises(ConfigError, match=r"got 'block\.5'\. Did you mean .* It has: all, stem, "):
        boundary_named("block.5", stages_of(mobile))


def test_other_families_offer_head_and_all_alone() -> None:
    stages = stages_of(build_network("resnet10t", seed=0))
    assert (boundary_named("all", stages), boundary_named("head", stages)) == (0, 1)
