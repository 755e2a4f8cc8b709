"""A folded classifier gives the same answers: to the last bits in float32, closely in bfloat16."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from moulage.networks import folding
from moulage.networks.classifier import Classifier, Recipe, build_classifier
from moulage.networks.committee import committee_of
from moulage.networks.folding import fold
from moulage.networks.inputs import pixels_to_bytes, pixels_to_images, scaled_by_lines
from moulage.networks.machine import Machine

FLOAT = Machine(device="cpu", precision="float32", threads=1)
HALF = Machine(device="cpu", precision="bfloat16", threads=1)
Pixels = NDArray[np.uint8]
FAMILIES = ["mobilenetv2_100", "tf_mobilenetv3_small_100", "densenet121", "test_efficientnet"]


def used(name: str, recipe_of: Callable[..., Recipe]) -> Classifier:
    """Return a classifier whose norms have seen data: fresh ones fold to nothing."""
    classifier = build_classifier(recipe_of(name), seed=1)
    rng = torch.Generator().manual_seed(2)
    for part in classifier.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.1, generator=rng)
            part.running_var.uniform_(0.5, 1.5, generator=rng)
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=rng)
            nn.init.normal_(part.bias, 0, 0.1, generator=rng)
    return classifier.eval()


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the norm of the difference, relative to that of `theirs`."""
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())


def n_norms(classifier: Classifier) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in classifier.modules())


@pytest.mark.parametrize("name", FAMILIES)
def test_maps_and_answers_are_the_same_at_every_boundary(
    name: str, recipe_of: Callable[..., Recipe], pixels: Pixels
) -> None:
    classifier = used(name, recipe_of)
    folded, images = fold(classifier, FLOAT), pixels_to_images(pixels, "cpu")
    assert n_norms(folded) < n_norms(classifier) / 1.8
    with torch.inference_mode():
        for boundary in (1, len(classifier.stages) // 2, len(classifier.stages)):
            theirs, ours = (one.below(images, boundary) for one in (classifier, folded))
            assert distance(ours, theirs) < 1e-4
        assert distance(folded.answer(images), classifier.answer(images)) < 1e-4


@pytest.mark.skipif(not folding.HAS_ONEDNN, reason="torch was built without oneDNN")
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("machine", [FLOAT, HALF], ids=["float32", "bfloat16"])
def test_onednn_asked_directly_answers_as_torch_does(
    name: str,
    machine: Machine,
    recipe_of: Callable[..., Recipe],
    pixels: Pixels,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not folding.asks_onednn(machine):
        pytest.skip("this processor has no units for bfloat16")
    classifier, images = used(name, recipe_of), pixels_to_images(pixels, "cpu")
    direct = fold(classifier, machine)
    monkeypatch.setattr(folding, "HAS_ONEDNN", False)
    usual = fold(classifier, machine)
    kinds = [type(part) for part in classifier.modules()]
    assert sum(isinstance(part, folding.DirectConv) for part in direct.modules()) == kinds.count(
        nn.Conv2d
    )
    assert not any(isinstance(part, folding.DirectConv) for part in usual.modules())
    for part in direct.modules():  # torch's own, in bfloat16, rounds biases, too
        if isinstance(part, folding.DirectConv) and part.conv.bias is not None:
            part.conv.bias.data = part.conv.bias.data.to(part.conv.weight.dtype)
    with torch.inference_mode(), machine.computing():
        ours, theirs = (one.below(images, len(one.stages)) for one in (direct, usual))
    assert ours.dtype == theirs.dtype
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert distance(ours, theirs) < (1e-4 if machine is FLOAT else 2**-6)


@pytest.mark.skipif(not folding.HAS_ONEDNN, reason="torch was built without oneDNN")
def test_bfloat16_is_computed_where_onednn_knows_none(
    recipe_of: Callable[..., Recipe], pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, images = used("mobilenetv2_100", recipe_of), pixels_to_images(pixels, "cpu")
    monkeypatch.setattr(folding._onednn, "_is_mkldnn_bf16_supported", lambda: False)
    folded = fold(classifier, HALF)
    assert not any(isinstance(part, folding.DirectConv) for part in folded.modules())
    with torch.inference_mode():
        exact = classifier.answer(images)
        with HALF.computing():
            rounded, answered = (one.answer(images) for one in (classifier, folded))
    assert distance(answered, exact) < 2 * distance(rounded, exact)
    assert any(isinstance(p, folding.DirectConv) for p in fold(classifier, FLOAT).modules())


def test_bytes_are_scaled_as_images_are(recipe_of: Callable[..., Recipe], pixels: Pixels) -> None:
    classifier = used("mobilenetv2_100", recipe_of)
    images, given = pixels_to_images(pixels, "cpu"), pixels_to_bytes(pixels, "cpu")
    expected = (images - classifier.mean) / classifier.std
    mean, std = classifier.mean.flatten(), classifier.std.flatten()
    for one in (images, given, given[:, :, :40, :20], images.contiguous()):
        kept = one.clone()
        scaled = scaled_by_lines(one, mean=mean, std=std)
        height, width = one.shape[2:]
        torch.testing.assert_close(scaled, expected[:, :, :height, :width], rtol=1e-5, atol=1e-6)
        assert torch.equal(one, kept)
    folded = fold(classifier, FLOAT)
    with torch.inference_mode():
        assert distance(folded.answer(given), classifier.answer(images)) < 1e-4


def test_the_classifier_itself_keeps_every_bit(classifier: Classifier) -> None:
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    digest, n_before = classifier.digest(), n_norms(classifier)
    folded = fold(classifier, HALF)
    assert fold(folded, HALF) is folded
    assert not classifier.is_folded
    assert (classifier.digest(), n_norms(classifier)) == (digest, n_before)
    after = classifier.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_bfloat16_loses_no_more_folded_than_unfolded(
    recipe_of: Callable[..., Recipe], pixels: Pixels
) -> None:
    classifier, images = used("mobilenetv2_100", recipe_of), pixels_to_images(pixels, "cpu")
    with torch.inference_mode():
        exact = classifier.answer(images)
        with HALF.computing():
            rounded, folded = (c.answer(images) for c in (classifier, fold(classifier, HALF)))
    assert distance(folded, exact) < max(2 * distance(rounded, exact), 2**-8)


def test_the_members_of_a_committee_are_folded_each(
    recipe_of: Callable[..., Recipe], pixels: Pixels
) -> None:
    members = [used("mobilenetv2_100", recipe_of), used("tf_mobilenetv3_small_100", recipe_of)]
    committee = committee_of(members, [1.0, 2.0]).eval()
    folded, images = fold(committee, FLOAT), pixels_to_images(pixels, "cpu")
    assert n_norms(folded) == 0
    with torch.inference_mode():
        assert distance(folded.answer(images), committee.answer(images)) < 1e-4


def test_rounded_kernels_keep_their_sums() -> None:
    weights = torch.randn(64, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    weights -= weights.mean(dim=(2, 3), keepdim=True) * 0.99  # edges: large weights, small sums
    rounded = folding.round_kernels(weights, torch.bfloat16)
    assert rounded.dtype == torch.bfloat16
    assert distance(rounded, weights) < 2**-8

    def lost(kept: torch.Tensor) -> float:
        return distance(kept.double().sum(dim=(2, 3)), weights.double().sum(dim=(2, 3)))

    assert lost(rounded) < lost(weights.bfloat16()) / 5


def test_single_weights_are_rounded_to_the_nearest() -> None:
    weights = torch.randn(16, 8, 1, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(folding.round_kernels(weights, torch.bfloat16), weights.bfloat16())


def test_the_first_stages_of_mobilenet_v3_stay_in_float32(
    recipe_of: Callable[..., Recipe], pixels: Pixels
) -> None:
    classifier = used("tf_mobilenetv3_small_100", recipe_of)
    folded, exact = fold(classifier, HALF), fold(classifier, FLOAT)
    images = pixels_to_bytes(pixels, "cpu")
    with torch.inference_mode():
        theirs = exact.below(images, 3)
        with HALF.computing():
            ours = [folded.below(images, boundary) for boundary in (3, len(folded.stages))]
    assert [maps.dtype for maps in ours] == [torch.float32, torch.bfloat16]
    assert distance(ours[0], theirs) < 1e-6


@pytest.mark.parametrize("machine", [FLOAT, HALF], ids=["float32", "bfloat16"])
def test_a_folded_committee_answers_as_its_folded_members_to_the_bit(
    machine: Machine, recipe_of: Callable[..., Recipe], pixels: Pixels
) -> None:
    members = [used(name, recipe_of) for name in ("mobilenetv2_100", "tf_mobilenetv3_small_100")]
    folded, given = fold(committee_of(members, [1.0, 2.0]), machine), pixels_to_bytes(pixels, "cpu")
    with torch.inference_mode(), machine.computing():
        first, second = (fold(member, machine).answer(given) for member in members)
        logs = [torch.log_softmax(logits, dim=1) for logits in (first, second / 2.0)]
        assert torch.equal(folded.answer(given), torch.stack(logs).mean(dim=0))


def test_usual_maps_are_the_means_behind_a_norm_and_its_activation() -> None:
    norm = nn.BatchNorm2d(2)
    norm.weight.data, norm.bias.data = torch.tensor([1.0, -2.0]), torch.tensor([0.0, 5.0])
    norm.act = nn.ReLU6()
    drawn = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0))
    theirs = (drawn * norm.weight + norm.bias).clamp(0, 6).mean(dim=0)
    torch.testing.assert_close(folding.usual_maps(norm), theirs, rtol=0, atol=0.02)


def test_a_bias_makes_up_for_rounded_weights_at_the_usual_input() -> None:
    block = nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)).requires_grad_(False)
    nn.init.uniform_(block[0].bias, 2, 6, generator=torch.Generator().manual_seed(0))
    block[0].weight.data /= 100  # so that all maps are nearly the usual ones
    maps = block[0].bias.expand(1, 5, 5, 8).permute(0, 3, 1, 2)
    exact, bias = block[1](maps), block[1].bias.clone()
    folding._note_usual_inputs(block)
    folding._round(block[1], torch.bfloat16)
    conv = block[1]
    ours = nn.functional.conv2d(maps, conv.weight.float(), conv.bias)
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-5)
    plain = nn.functional.conv2d(maps, conv.weight.float(), bias)
    assert (plain - exact).abs().max() > 1e-3
