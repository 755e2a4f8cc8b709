import copy
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn

from moulage.networks import thrift
from moulage.networks.machine import Machine
from moulage.networks.stages import Stage, stages_of
from moulage.networks.thrift import ClippedReLU, is_large, remade, spare


def depthwise(seed: int = 0) -> nn.Sequential:
    """A strided depthwise convolution, as MobileNets have, and one that is left as it is."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False),
        nn.Conv2d(8, 4, 1, bias=False),
    )


def gradients(network: nn.Module, maps: Tensor, precision: str) -> tuple[Tensor, list[Tensor]]:
    """Return the outputs and every gradient of the mean square of the outputs."""
    machine = Machine(device="cpu", precision=precision, threads=1)  # type: ignore[arg-type]
    network.zero_grad()
    with machine.computing():
        outputs = network(maps)
    outputs.float().square().mean().backward()
    return outputs.detach(), [p.grad.clone() for p in network.parameters() if p.grad is not None]


def test_sparing_changes_no_bit_in_float32() -> None:
    plain, spared = depthwise(), depthwise()
    spare(spared, in_order=True)
    maps = torch.rand(2, 8, 16, 16, generator=torch.Generator().manual_seed(42))
    expected, expected_gradients = gradients(plain, maps, "float32")
    outputs, found = gradients(spared, maps, "float32")
    assert torch.equal(outputs, expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected_gradients, strict=True))


def test_images_in_several_chunks_have_the_gradients_of_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spared = depthwise()
    spare(spared, in_order=True)
    maps = torch.rand(37, 8, 16, 16, generator=torch.Generator().manual_seed(42)).requires_grad_()
    expected, expected_gradients = gradients(spared, maps, "bfloat16")
    expected_of_maps, maps.grad = maps.grad, None
    monkeypatch.setattr(thrift, "_SPREAD_BYTES", 16 * 2 * 18 * 18 * 8)
    outputs, found = gradients(spared, maps, "bfloat16")
    assert torch.equal(outputs, expected)
    assert torch.equal(maps.grad, expected_of_maps)
    assert all(torch.equal(a, b) for a, b in zip(found, expected_gradients, strict=True))


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (2, 3)])
@pytest.mark.parametrize("stride", [(2, 2), (3, 2)])
@pytest.mark.parametrize("size", [(7, 8), (8, 11)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_gradients_of_strided_depthwise_convolutions_are_those_of_differences(
    kernel: tuple[int, int], stride: tuple[int, int], size: tuple[int, int], has_bias: bool
) -> None:
    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn, dtype=torch.float64).requires_grad_()

    drawn = torch.Generator().manual_seed(7)
    maps, weight, bias = leaf(2, 3, *size), leaf(3, 1, *kernel), leaf(3) if has_bias else None
    for padding in ((0, 0), (1, 1), (kernel[0] - 1, 1)):
        assert torch.autograd.gradcheck(
            thrift._StridedDepthwise.apply, (maps, weight, bias, stride, padding)
        )


@pytest.mark.parametrize("has_bias", [True, False])
def test_gradients_of_pointwise_convolutions_are_those_of_differences(has_bias: bool) -> None:
    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn, dtype=torch.float64).requires_grad_()

    drawn = torch.Generator().manual_seed(7)
    maps, weight, bias = leaf(2, 3, 4, 5), leaf(6, 3, 1, 1), leaf(6) if has_bias else None
    assert torch.autograd.gradcheck(thrift._Pointwise.apply, (maps, weight, bias))
    expected = nn.functional.conv2d(maps, weight, bias)
    torch.testing.assert_close(thrift._Pointwise.apply(maps, weight, bias), expected)


@pytest.mark.parametrize(("n_channels", "kernel"), [(8, 5), (96, 3), (96, 5)])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2)])
def test_gradients_of_the_smallest_maps_are_made_of_what_was_written(
    n_channels: int, kernel: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(7)
    maps, weight = torch.randn(4, n_channels, *size), torch.randn(n_channels, 1, kernel, kernel)

    def told(kind: torch.dtype) -> Tensor:
        leaf = weight.to(kind, copy=True).requires_grad_()
        given = maps.to(kind, memory_format=torch.channels_last)
        padding = (kernel // 2, kernel // 2)
        convolved = thrift._StridedDepthwise.apply(given, leaf, None, (2, 2), padding)
        junk = [torch.full((n,), torch.nan) for n in (300, 3_000, 30_000) for _ in range(20)]
        del junk  # freed memory, which whoever reads too far finds
        convolved.sum().backward()
        assert leaf.grad is not None
        return leaf.grad.float()

    expected = told(torch.float32)
    for _ in range(20):
        torch.testing.assert_close(told(torch.bfloat16), expected, rtol=2**-5, atol=2**-4)


def test_no_images_are_convolved_to_none() -> None:
    maps = torch.empty(0, 8, 6, 6, requires_grad=True)
    for network in (depthwise(), nn.Conv2d(8, 4, 1)):
        spare(network, in_order=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            convolved = network(maps)
        convolved.float().sum().backward()
        assert len(convolved) == 0


DEPTHWISE: dict[str, Any] = {"stride": 2, "padding": 1, "groups": 8}


@pytest.mark.parametrize(
    ("kind", "shape", "how", "n_images", "way"),
    [
        (nn.Conv2d, (8, 8, 3), DEPTHWISE, 2, "StridedDepthwise"),
        (Conv2dSame, (8, 8, 3), DEPTHWISE | {"padding": 0}, 2, "StridedDepthwise"),
        (nn.Conv2d, (8, 8, 3), DEPTHWISE | {"stride": 1}, 2, "ConvolutionBackward0"),
        (nn.Conv2d, (8, 8, 3), DEPTHWISE | {"groups": 4}, 2, "ConvolutionBackward0"),
        (nn.Conv2d, (8, 8, 3), DEPTHWISE | {"padding": 4}, 2, "ConvolutionBackward0"),
        (nn.Conv2d, (8, 8, 3), DEPTHWISE | {"dilation": 2}, 2, "ConvolutionBackward0"),
        (nn.Conv2d, (8, 8, 3), DEPTHWISE | {"padding_mode": "reflect"}, 2, "ConvolutionBackward0"),
        (nn.Conv2d, (8, 4, 1), {}, 16, "Pointwise"),
        (nn.Conv2d, (8, 4, 1), {}, 17, "ConvolutionBackward0"),
        (nn.Conv2d, (8, 4, 1), {"stride": 2}, 2, "ConvolutionBackward0"),
        (nn.Conv2d, (8, 4, 1), {"padding": 1}, 2, "ConvolutionBackward0"),
        (nn.Conv2d, (8, 4, 1), {"groups": 2}, 2, "ConvolutionBackward0"),
    ],
)
def test_what_convolves_faster_another_way_takes_it_in_bfloat16(
    kind: type[nn.Conv2d], shape: tuple[int, int, int], how: dict[str, Any], n_images: int, way: str
) -> None:
    torch.manual_seed(7)
    plain = kind(*shape, **how)
    conv, maps = copy.deepcopy(plain), torch.rand(n_images, 8, 16, 16)
    spare(conv, in_order=True)
    assert torch.equal(conv(maps), plain(maps))
    assert conv(maps).grad_fn.name() == "ConvolutionBackward0"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        convolved = conv(maps)
        assert convolved.grad_fn.name().removesuffix("Backward").removeprefix("_") == way
        torch.testing.assert_close(convolved, plain(maps), rtol=2**-6, atol=2**-7)
        with torch.no_grad():
            assert torch.equal(conv(maps), plain(maps))


def test_what_a_product_made_may_be_changed_in_place() -> None:
    conv = nn.Conv2d(8, 4, 1)
    network = nn.Sequential(conv, ClippedReLU())
    spare(network, in_order=True)
    maps = torch.rand(2, 8, 4, 4, generator=torch.Generator().manual_seed(42))
    _, found = gradients(network, maps, "bfloat16")
    _, expected = gradients(nn.Sequential(copy.deepcopy(conv), nn.ReLU6()), maps, "float32")
    for gradient, reference in zip(found, expected, strict=True):
        assert float((gradient - reference).norm()) < 2**-6 * float(reference.norm())


def test_spared_gradients_agree_with_float32_up_to_bfloat16() -> None:
    plain, spared = depthwise(), depthwise()
    spare(spared, in_order=True)
    maps = torch.rand(2, 8, 16, 16, generator=torch.Generator().manual_seed(42))
    _, expected = gradients(plain, maps, "float32")
    _, found = gradients(spared, maps, "bfloat16")
    for gradient, reference in zip(found, expected, strict=True):
        error = (gradient - reference).norm() / reference.norm()
        assert float(error) < 2**-7  # bfloat16 keeps 8 bits


def test_spared_layers_hand_on_the_precision_around_them() -> None:
    spared = depthwise()
    spare(spared, in_order=True)
    maps = torch.rand(2, 8, 16, 16, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert spared[0](maps).dtype == torch.bfloat16


def test_a_copy_of_spared_layers_is_independent() -> None:
    original = depthwise()
    spare(original, in_order=True)
    copied = copy.deepcopy(original)
    maps = torch.rand(1, 8, 8, 8, generator=torch.Generator().manual_seed(42))
    with torch.no_grad():
        copied[0].weight.zero_()
    assert not copied(maps).any()
    assert original(maps).any()
    gradients(copied, maps, "bfloat16")
    assert original[0].weight.grad is None


def numbers(*shape: int) -> Tensor:
    """Numbers on both sides of both ends of ReLU6, and some that are the ends."""
    drawn = 5 * torch.randn(*shape, generator=torch.Generator().manual_seed(42))
    drawn.flatten()[:3] = torch.tensor([0.0, 6.0, -0.0])
    return drawn


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_clipping_gives_the_bits_of_relu6_and_of_its_gradient(kind: torch.dtype) -> None:
    def told(clip: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        leaf = numbers(4, 8, 6, 6).to(kind).requires_grad_()
        clipped = clip(leaf * 1)
        (clipped * numbers(4, 8, 6, 6).to(kind)).sum().backward()
        assert leaf.grad is not None
        return clipped.detach(), leaf.grad

    for found, expected in zip(told(ClippedReLU()), told(nn.ReLU6()), strict=True):
        assert torch.equal(found, expected)


def test_clipping_keeps_no_copy_for_the_gradient() -> None:
    def places(clip: nn.Module) -> set[int]:
        kept: set[int] = set()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: kept.add(tensor.data_ptr()) or tensor, lambda tensor: tensor
        ):
            clipped = clip(numbers(4, 8).requires_grad_() * 1)
        return kept - {clipped.data_ptr()}

    assert len(places(nn.ReLU6(inplace=True))) == 1
    assert places(ClippedReLU()) == set()


def test_every_clipping_layer_of_a_network_is_spared() -> None:
    network = timm.create_model("mobilenetv2_050", num_classes=0)
    expected = network.eval()(torch.ones(1, 3, 32, 32))
    n_clipping = sum(isinstance(part, nn.ReLU6) for part in network.modules())
    spare(network, in_order=False)
    kinds = [type(part) for part in network.modules()]
    assert kinds.count(ClippedReLU) == n_clipping > 30
    assert nn.ReLU6 not in kinds
    assert torch.equal(network(torch.ones(1, 3, 32, 32)), expected)


NAMES = ["mobilenetv2_050", "mobilenetv3_small_050", "tf_mobilenetv3_small_075", "densenet121"]


def trained(name: str, *, spared: bool, is_fixed: bool) -> nn.Module:
    """A network in float64 as it is trained, its norms' statistics not those of their beginning."""
    torch.manual_seed(7)
    network = timm.create_model(name, num_classes=0).double().train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.train(not is_fixed)
            norm.running_mean.normal_().mul_(0.1)
            norm.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)
    if spared:
        spare(network, in_order=True)
    return network


def told_by(network: nn.Module) -> tuple[Tensor, list[Tensor]]:
    """Return last maps and every gradient."""
    maps = network.forward_features(numbers(3, 3, 64, 64).double())  # type: ignore[operator]
    maps.square().mean().backward()
    return maps.detach(), [p.grad for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_fixed", [True, False])
def test_a_norm_within_its_convolution_has_the_same_maps_and_gradients(
    name: str, is_fixed: bool
) -> None:
    expected, expected_gradients = told_by(trained(name, spared=False, is_fixed=is_fixed))
    maps, gradients = told_by(trained(name, spared=True, is_fixed=is_fixed))
    assert len(gradients) == len(expected_gradients) > 100
    for found, reference in zip((maps, *gradients), (expected, *expected_gradients), strict=True):
        assert float((found - reference).norm()) <= 1e-9 * float(reference.norm())
        assert is_fixed or torch.equal(found, reference)


@pytest.mark.parametrize("name", NAMES[1:])
def test_rounding_costs_a_joint_no_more_than_its_parts(name: str) -> None:
    def gradient(precision: str, *, spared: bool) -> Tensor:
        network = trained(name, spared=spared, is_fixed=True).float()
        machine = Machine(device="cpu", precision=precision, threads=1)  # type: ignore[arg-type]
        with machine.computing():
            maps = network.forward_features(numbers(4, 3, 64, 64) / 5)  # type: ignore[operator]
        maps.float().square().mean().backward()
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    exact = gradient("float32", spared=False)
    apart, joint = (
        float((gradient("bfloat16", spared=spared) - exact).norm() / exact.norm())
        for spared in (False, True)
    )
    assert joint < 1.25 * apart < 0.1


def joined(seed: int = 0) -> nn.Sequential:
    """A convolution with a bias, and a norm of fixed statistics behind it."""
    torch.manual_seed(seed)
    pair = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)).eval()
    pair[1].running_mean.normal_()
    spare(pair, in_order=True)
    return pair


def test_no_map_is_kept_between_a_convolution_and_its_norm() -> None:
    def n_kept(pair: nn.Module) -> int:
        kept: list[Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor
        ):
            made = pair(torch.ones(2, 3, 8, 8))
        return sum(tensor.shape == made.shape for tensor in kept)

    assert n_kept(joined()) == 0
    assert n_kept(joined().train()) == 1


def test_what_is_not_trained_is_computed_apart() -> None:
    maps = numbers(2, 3, 8, 8)
    pair = joined()
    plain = copy.deepcopy(pair)
    for part in plain:
        del part.__dict__["forward"]
    with torch.no_grad():
        assert torch.equal(pair(maps), plain(maps))
    torch.testing.assert_close(pair(maps), plain(maps), rtol=1e-5, atol=1e-5)
    pair.requires_grad_(False)
    assert torch.equal(pair(maps), plain(maps))


@pytest.mark.parametrize(
    ("policy", "n_images", "precision", "expected"),
    [
        ("update", 64, "float32", False),
        ("update", 65, "float32", True),
        ("update", 128, "bfloat16", False),
        ("update", 129, "bfloat16", True),
        ("fixed", 128, "float32", False),
        ("fixed", 129, "float32", True),
        ("fixed", 256, "bfloat16", False),
        ("fixed", 257, "bfloat16", True),
    ],
)
def test_maps_of_large_batches_alone_are_made_again(
    policy: str, n_images: int, precision: str, expected: bool
) -> None:
    images, network = torch.empty(n_images, 3, 128, 128), joined().train(policy == "update")
    with Machine(device="cpu", precision=precision, threads=1).computing():  # type: ignore[arg-type]
        assert is_large(images, network) is expected
    with torch.no_grad():
        assert is_large(images, network) is False


def stepped(is_remade: bool, policy: str) -> tuple[list[Tensor], dict[str, Tensor]]:
    """One step's gradients and the state after it, of a network that drops and normalises."""
    torch.manual_seed(7)
    network = timm.create_model("mobilenetv2_050", num_classes=0, drop_path_rate=0.5)
    spare(network, in_order=True)
    network.train()
    if policy == "fixed":
        network.get_submodule("blocks.1").eval()

    def apply(stage: Stage, maps: Tensor) -> Tensor:
        return remade(stage, stage.modules, maps) if is_remade else stage(maps)

    maps = numbers(4, 3, 64, 64)
    for stage in stages_of(network):
        maps = apply(stage, maps)
    maps.square().mean().backward()
    found = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return found, network.state_dict()


@pytest.mark.parametrize("policy", ["update", "fixed"])
def test_making_maps_again_changes_no_bit_of_gradients_or_statistics(policy: str) -> None:
    expected, state = stepped(False, policy)
    found, state_found = stepped(True, policy)
    assert len(found) == len(expected) > 100
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert all(torch.equal(state_found[name], state[name]) for name in state)
    assert int(state_found["bn1.num_batches_tracked"]) == 1


def test_norms_follow_the_data_again_after_the_gradient() -> None:
    norm = nn.BatchNorm2d(3, momentum=0.3)
    remade(norm, (norm,), numbers(4, 3, 8, 8).requires_grad_()).sum().backward()
    assert norm.momentum == 0.3
    assert int(norm.num_batches_tracked) == 1
    norm(numbers(4, 3, 8, 8))
    assert int(norm.num_batches_tracked) == 2
