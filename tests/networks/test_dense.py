"""DenseNet's norms become clippings and other weights, and its blocks one block of memory."""

import copy

import pytest
import timm
import torch
from torch import Tensor, nn

from moulage.networks.dense import Block, fold_ahead, fold_block, fold_transition
from moulage.networks.folding import fold_norms

RNG = torch.Generator()


def layers(gains: Tensor, *, bias: bool) -> tuple[nn.BatchNorm2d, nn.Conv2d]:
    """Return a norm with these gains that has seen data, and a 1 × 1 convolution behind it."""
    RNG.manual_seed(3)
    norm, conv = nn.BatchNorm2d(len(gains)), nn.Conv2d(len(gains), 7, 1, bias=bias)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.normal_(0, 1, generator=RNG)
    norm.running_var.uniform_(0.5, 1.5, generator=RNG)
    nn.init.normal_(norm.bias, 0, 1, generator=RNG)
    norm.weight.data = gains.clone()
    return norm.eval().requires_grad_(False), conv.requires_grad_(False)


def expected(norm: nn.BatchNorm2d, conv: nn.Conv2d, maps: Tensor) -> Tensor:
    """Return what norm, ReLU and convolution make of maps, in float64."""
    norm, conv = copy.deepcopy(norm).double(), copy.deepcopy(conv).double()
    answer: Tensor = conv(torch.relu(norm(maps.double())))
    return answer


def error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.double() - theirs).norm() / theirs.norm())


ONES = torch.ones(40)
MIXED = torch.linspace(-1.5, 1.5, 41)  # with a nought in the middle
TINY = torch.tensor([1e-30, -1e-30, 1e-6, -1e-6, 0.0, 1e-45, 1.0, -1.0])


@pytest.mark.parametrize("gains", [ONES, MIXED, TINY], ids=["ones", "mixed", "tiny"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_norm_ahead_of_a_convolution_is_a_clipping(gains: Tensor, bias: bool) -> None:
    norm, conv = layers(gains, bias=bias)
    maps = torch.randn(3, len(gains), 5, 4, generator=RNG) * 3
    clip, folded = fold_ahead(norm, conv, torch.float32)
    assert (clip.most is None) == (gains > 0).all()
    answer = folded(clip(maps))
    assert answer.isfinite().all()
    assert error(answer, expected(norm, conv, maps)) < 1e-5


@pytest.mark.parametrize("gains", [ONES, MIXED], ids=["ones", "mixed"])
def test_in_bfloat16_it_loses_no_more_than_twice_what_rounding_loses(gains: Tensor) -> None:
    norm, conv = layers(gains, bias=False)
    maps = (torch.randn(30, len(gains), 5, 4, generator=RNG) * 3).bfloat16()
    clip, folded = fold_ahead(norm, conv, torch.bfloat16)
    exact = expected(norm, conv, maps)
    rounded = copy.deepcopy(conv).bfloat16()(torch.relu(norm(maps)))
    assert error(folded.bfloat16()(clip(maps)), exact) < 2 * error(rounded, exact)


def test_what_relu_sets_to_nought_adds_nothing_in_bfloat16_either() -> None:
    norm, conv = layers(MIXED[MIXED != 0], bias=False)
    clip, folded = fold_ahead(norm, conv, torch.bfloat16)
    assert norm.running_mean is not None
    far = torch.where(norm.weight > 0, -1e4, 1e4)[None, :, None, None].bfloat16()
    assert folded(clip(far).float()).abs().max() < 1e-4


def test_a_block_and_a_transition_answer_as_timms() -> None:
    network = timm.create_model("densenet121").eval().requires_grad_(False)
    RNG.manual_seed(5)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 0.5, 0.5, generator=RNG)
            nn.init.normal_(part.bias, 0, 0.5, generator=RNG)
    block, transition = network.features.denseblock2, network.features.transition2
    maps = torch.randn(2, 128, 6, 6, generator=RNG)
    theirs = block(maps), transition(block(maps))
    for part in list(block.modules()):
        fold_norms(part)
    folded = fold_block(block, torch.float32)
    assert isinstance(folded, Block)
    ours = folded(maps), fold_transition(transition, torch.float32)(folded(maps))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        assert error(mine, other.double()) < 1e-5
    assert torch.equal(ours[0][:, :128], maps)
