from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from moulage.training.augmentation import (
    N_DRAWS,
    Augmentation,
    balance,
    brighten,
    mix,
    roughen,
    saturate,
    soften,
    stretch,
    turn_hue,
)
from moulage.views import N_VIEWS

FACTORS = torch.tensor([0.3, 0.8, 1.0, 1.4, 1.9])


@pytest.fixture
def images() -> Tensor:
    return torch.rand(5, 3, 12, 10, generator=torch.Generator().manual_seed(42))


def draws_of(n_images: int, **numbers: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Draws in the middle of their range, save the columns named `c3=0.9`."""
    draws = np.full((n_images, N_DRAWS), 0.5)
    for column, number in numbers.items():
        draws[:, int(column[1:])] = number
    return draws


@pytest.mark.parametrize(
    ("change", "theirs"),
    [
        (brighten, reference.adjust_brightness),
        (stretch, reference.adjust_contrast),
        (saturate, reference.adjust_saturation),
    ],
)
def test_colour_changes_equal_torchvisions_image_by_image(
    images: Tensor, change: Any, theirs: Any
) -> None:
    changed = change(images.clone(), FACTORS)
    expected = torch.stack(
        [theirs(image, factor.item()) for image, factor in zip(images, FACTORS, strict=True)]
    )
    torch.testing.assert_close(changed, expected, rtol=1e-4, atol=2e-4)  # grey weights of 4 digits


def test_colour_changes_leave_the_batch_they_were_given(images: Tensor) -> None:
    before = images.clone()
    for change in (brighten, stretch, saturate, turn_hue):
        change(images, FACTORS)
        assert torch.equal(images, before)


def test_a_factor_of_one_changes_nothing(images: Tensor) -> None:
    ones = torch.ones(5)
    for change in (brighten, stretch, saturate):
        torch.testing.assert_close(change(images, ones), images, rtol=0, atol=1e-6)
    torch.testing.assert_close(turn_hue(images, torch.zeros(5)), images, rtol=0, atol=1e-6)


def test_a_third_of_the_colour_circle_moves_each_channel_to_the_next(images: Tensor) -> None:
    turned = turn_hue(images, torch.full((5,), 1 / 3))
    torch.testing.assert_close(turned, images.roll(1, dims=1), rtol=0, atol=1e-5)


def test_turning_the_hue_keeps_greys(images: Tensor) -> None:
    grey = images[:, :1].expand(-1, 3, -1, -1)
    turned = turn_hue(grey, torch.linspace(-0.5, 0.5, 5))
    torch.testing.assert_close(turned, grey, rtol=0, atol=1e-5)


def test_white_balance_multiplies_red_and_blue_image_by_image(images: Tensor) -> None:
    factors = torch.stack((FACTORS, FACTORS.flip(0)), dim=1)
    before = images.clone()
    balanced = balance(images, factors)
    assert torch.equal(images, before)
    for ours, image, (red, blue) in zip(balanced, images, factors, strict=True):
        assert torch.equal(ours[0], (image[0] * red).clamp(0, 1))
        assert torch.equal(ours[1], image[1])
        assert torch.equal(ours[2], (image[2] * blue).clamp(0, 1))


def test_middling_draws_move_nothing(images: Tensor) -> None:
    augmentation = Augmentation(
        rotation=30,
        scale=(0.8, 1.2),
        shift=0.2,
        brightness=0.5,
        contrast=0.5,
        saturation=0.5,
        white_balance=0.5,
    )
    moved = augmentation.apply(images, draws_of(5))
    torch.testing.assert_close(moved, images, rtol=0, atol=1e-5)


def test_nothing_switched_on_returns_every_bit(images: Tensor) -> None:
    draws = np.random.default_rng(42).random((5, N_DRAWS))
    assert torch.equal(Augmentation().apply(images, draws), images)


@pytest.mark.parametrize(("draw", "n_turns"), [(1.0, 1), (0.0, -1)])
def test_rotating_by_ninety_degrees_is_a_quarter_turn(draw: float, n_turns: int) -> None:
    squares = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(42))
    rotated = Augmentation(rotation=90).apply(squares, draws_of(2, c2=draw))
    expected = torch.rot90(squares, k=n_turns, dims=(2, 3))
    torch.testing.assert_close(rotated, expected, rtol=0, atol=1e-5)


def test_a_shift_moves_by_its_share_of_the_side() -> None:
    squares = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(42))
    moved = Augmentation(shift=0.25).apply(squares, draws_of(1, c4=1.0))
    torch.testing.assert_close(moved[..., :6], squares[..., 2:], rtol=0, atol=1e-5)


def test_a_scale_below_one_shows_the_middle_larger() -> None:
    squares = torch.zeros(1, 1, 8, 8)
    squares[..., 2:6, 2:6] = 1.0
    nearer = Augmentation(scale=(0.5, 0.5)).apply(squares, draws_of(1))
    assert nearer[..., 1:-1, 1:-1].min() == 1.0
    farther = Augmentation(scale=(2.0, 2.0)).apply(squares, draws_of(1))
    assert farther.mean() == pytest.approx(squares.mean().item(), abs=0.05), "the border mirrors"


def test_blur_equals_torchvisions_image_by_image() -> None:
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(42))
    widths = torch.tensor([0.0, 0.01, 0.03, 0.05])
    softened = soften(images, widths, most=0.05)
    assert softened.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(softened[0], images[0])
    for image, ours, width in zip(images[1:], softened[1:], widths[1:], strict=True):
        theirs = reference.gaussian_blur(image, [11, 11], [32 * width.item()] * 2)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_blur_reaches_no_further_than_a_small_image() -> None:
    images = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(42))
    softened = soften(images, torch.tensor([0.1]), most=10.0)
    assert softened.isfinite().all()
    assert softened.std() < images.std()


def test_noise_has_its_deviation_and_is_a_function_of_the_draw() -> None:
    grey, deviations = torch.full((3, 3, 64, 64), 0.5), torch.tensor([0.0, 0.02, 0.05])
    rough = roughen(grey, deviations, [1, 2, 2])
    assert torch.equal(rough[0], grey[0])
    for image, deviation in zip(rough[1:], deviations[1:], strict=True):
        n = image.numel()
        assert abs(image.mean().item() - 0.5) < 5 * deviation / n**0.5
        assert abs(image.std().item() / deviation - 1) < 5 / (2 * n) ** 0.5
    torch.testing.assert_close((rough[1] - 0.5) / 0.02, (rough[2] - 0.5) / 0.05, rtol=0, atol=1e-4)
    assert not torch.equal(rough[1], roughen(grey, deviations, [1, 3, 2])[1])


@pytest.mark.parametrize(("draw", "share"), [(0.0, 0.0), (0.5, 0.25), (1.0, 1.0)])
def test_little_blur_and_noise_are_likelier_than_much(draw: float, share: float) -> None:
    grey = torch.full((1, 3, 64, 64), 0.5)
    rough = Augmentation(noise=0.08).apply(grey, draws_of(1, c11=draw))
    assert rough.std().item() == pytest.approx(0.08 * share, rel=0.05)
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(42))
    softened = Augmentation(blur=0.05).apply(images, draws_of(1, c10=draw))
    expected = soften(images, torch.tensor([0.05 * share]), most=0.05)
    torch.testing.assert_close(softened, expected)


def test_white_balance_draws_red_and_blue_apart(images: Tensor) -> None:
    dim = images / 2
    moved = Augmentation(white_balance=0.5).apply(dim, draws_of(5, c12=1.0, c13=0.0))
    factors = torch.tensor([1.5, 1.0, 0.5])[:, None, None]
    torch.testing.assert_close(moved, dim * factors)


def test_an_image_is_changed_by_its_own_draws_alone(images: Tensor) -> None:
    augmentation = Augmentation(
        rotation=20,
        scale=(0.8, 1.1),
        brightness=0.2,
        hue=0.1,
        white_balance=0.2,
        blur=0.1,
        noise=0.1,
    )
    draws = np.random.default_rng(42).random((5, N_DRAWS))
    whole = augmentation.apply(images, draws)
    alone = augmentation.apply(images[3:4], draws[3:4])
    torch.testing.assert_close(alone, whole[3:4], rtol=1e-5, atol=1e-6)


def test_flips_and_turns_draw_the_eight_views_equally() -> None:
    draws = np.random.default_rng(42).random((16_000, N_DRAWS))
    augmentation = Augmentation(flips=True, turns=True)
    drawn = Counter(augmentation.choose_view(row) for row in draws)
    assert sorted(drawn) == list(range(N_VIEWS))
    assert all(abs(count - 2000) < 5 * np.sqrt(2000) for count in drawn.values())  # 5 sigma
    flips = {Augmentation(flips=True).choose_view(row) for row in draws[:50]}
    turns = {Augmentation(turns=True).choose_view(row) for row in draws[:50]}
    assert (flips, turns) == ({0, 4}, {0, 1, 2, 3})
    assert {Augmentation().choose_view(row) for row in draws[:50]} == {0}


def targets_of(n_images: int) -> Tensor:
    return torch.eye(n_images)


def mixed(augmentation: Augmentation, seed: int) -> tuple[Tensor, Tensor]:
    """Mix six flat images, each of its own brightness."""
    images = torch.arange(6.0)[:, None, None, None].expand(6, 3, 8, 8) / 6
    rng = np.random.default_rng(seed)
    mixed, targets, _ = mix(images.clone(), targets_of(6), augmentation=augmentation, rng=rng)
    return mixed, targets


def test_mixed_targets_sum_to_one() -> None:
    for seed in range(20):
        _, targets = mixed(Augmentation(mixup=0.4, cutmix=1.0), seed)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(6))
        assert targets.min() >= 0


def test_covariates_blend_as_targets_do() -> None:
    rng = np.random.default_rng(42)
    images, told = torch.rand(6, 3, 8, 8), torch.eye(6)
    augmentation = Augmentation(mixup=0.4, cutmix=1.0)
    _, targets, covariates = mix(images, targets_of(6), told, augmentation=augmentation, rng=rng)
    assert covariates is not None
    assert torch.equal(covariates, targets)
    assert not torch.equal(covariates, told)


def test_mixup_blends_images_as_it_blends_targets() -> None:
    for seed in range(20):
        images, targets = mixed(Augmentation(mixup=1.0), seed)
        expected = targets @ (torch.arange(6.0) / 6)
        torch.testing.assert_close(images.mean(dim=(1, 2, 3)), expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(images.amin(dim=(1, 2, 3)), images.amax(dim=(1, 2, 3)))


def test_cutmix_targets_are_shares_of_the_pasted_area() -> None:
    shares = []
    for seed in range(20):
        images, targets = mixed(Augmentation(cutmix=1.0), seed)
        for image, target in zip(images, targets, strict=True):
            colours = (image[0] * 6).round().long().flatten()
            counted = torch.bincount(colours, minlength=6) / colours.numel()
            torch.testing.assert_close(target, counted, rtol=0, atol=1e-6)
        shares.append(targets.diagonal().min().item())
    assert min(shares) < 0.5 < max(shares)


def test_nothing_to_mix_returns_what_came() -> None:
    images, targets = mixed(Augmentation(), 0)
    assert torch.equal(targets, targets_of(6))
    assert torch.equal(images[:, 0, 0, 0], torch.arange(6.0) / 6)


def test_both_mixers_are_drawn() -> None:
    flat = [
        torch.equal(images.amin(dim=(1, 2, 3)), images.amax(dim=(1, 2, 3)))
        for images, _ in (mixed(Augmentation(mixup=1.0, cutmix=1.0), seed) for seed in range(30))
    ]
    assert 5 < sum(flat) < 25
