"""Augmentation: the same lesion, photographed otherwise.

In:  images (n, 3, H, W) float32 in [0, 1] and numbers drawn for each image.
Out: images of the same shape.
Why batched: parameters are drawn an image at a time, so that a draw depends on the image and
the epoch alone; the arithmetic runs on the whole batch, mirrors borders, and is one kernel on an
accelerator (docs/decisions/augmentation.md).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_GREY = (0.2989, 0.587, 0.114)
N_DRAWS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What may differ between two photographs of one lesion.

    flips, turns: mirror images and quarter turns, each equally likely. rotation: up to so many
    degrees either way. scale: bounds of the crop's side as a share of the image's side; above 1
    the border is mirrored. shift: up to this share of the side, either way. brightness,
    contrast, saturation: factors in [1 - x, 1 + x]. hue: up to this share of the colour circle,
    either way, in [0, 0.5]. white_balance: factors of red and of blue, each in [1 - x, 1 + x].
    blur: width of a Gaussian, up to this share of the side; noise: standard deviation of a
    sensor's, up to this share of full brightness; of both, little is likelier than much. mixup,
    cutmix: the alpha of their Beta distributions; 0 is off.
    """

    flips: bool = False
    turns: bool = False
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    white_balance: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def choose_view(self, draws: NDArray[np.float64]) -> int:
        """Return the view (see `moulage.views`) that an image's draws (N_DRAWS,) pick."""
        quarter_turns = int(draws[0] * 4) if self.turns else 0
        return quarter_turns + (4 if self.flips and draws[1] < 0.5 else 0)

    @property
    def bends(self) -> bool:
        """Say whether images are resampled."""
        return self.rotation > 0 or self.shift > 0 or self.scale != (1.0, 1.0)

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """Resample, recolour and spoil images with their draws (n, N_DRAWS), uniform in [0, 1)."""
        numbers = torch.from_numpy(draws).to(images.device, torch.float32)
        if self.bends:
            images = self._resample(images, numbers)
        images = self._recolour(images, numbers)
        if self.blur:
            images = soften(images, numbers[:, 10] ** 2 * self.blur, most=self.blur)
        if self.noise:
            images = roughen(images, numbers[:, 11] ** 2 * self.noise, _seeds(draws[:, 11]))
        return images

    def _resample(self, images: Tensor, draws: Tensor) -> Tensor:
        angle = (2 * draws[:, 2] - 1) * self.rotation * torch.pi / 180
        low, high = self.scale
        side = low + (high - low) * draws[:, 3]
        shift = (2 * draws[:, 4:6] - 1) * 2 * self.shift
        cos, sin = side * angle.cos(), side * angle.sin()
        rows = torch.stack((cos, -sin, shift[:, 0], sin, cos, shift[:, 1]), dim=1)
        grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    def _recolour(self, images: Tensor, draws: Tensor) -> Tensor:
        if self.white_balance:
            images = balance(images, 1 + self.white_balance * (2 * draws[:, 12:14] - 1))
        changes = (
            (self.brightness, brighten, draws[:, 6]),
            (self.contrast, stretch, draws[:, 7]),
            (self.saturation, saturate, draws[:, 8]),
        )
        for strength, change, number in changes:
            if strength:
                images = change(images, 1 + strength * (2 * number - 1))
        if self.hue:
            images = turn_hue(images, self.hue * (2 * draws[:, 9] - 1))
        return images


def brighten(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply each image by its factor."""
    return (images * factors[:, None, None, None]).clamp_(0, 1)


def balance(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply each image's red and blue by its two factors (n, 2): another white balance."""
    red, blue = factors.unbind(1)
    gains = torch.stack((red, torch.ones_like(red), blue), dim=1)
    return (images * gains[:, :, None, None]).clamp_(0, 1)


def stretch(images: Tensor, factors: Tensor) -> Tensor:
    """Move each image away from its mean grey by its factor (contrast)."""
    mean = _grey(images).mean(dim=(2, 3), keepdim=True)
    return torch.lerp(mean, images, factors[:, None, None, None]).clamp_(0, 1)


def saturate(images: Tensor, factors: Tensor) -> Tensor:
    """Move each pixel away from its grey by its image's factor."""
    grey = _grey(images).expand_as(images)
    return torch.lerp(grey, images, factors[:, None, None, None]).clamp_(0, 1)


def turn_hue(images: Tensor, shares: Tensor) -> Tensor:
    """Turn each image's colours about the grey axis by its share of the circle.

    A rotation of RGB space: unlike the HSV hue it is linear, keeps the grey axis, and costs a
    3 × 3 product a pixel.
    """
    angle = shares * 2 * torch.pi
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    third, root = 1 / 3, (1 / 3) ** 0.5
    eye = torch.eye(3, device=images.device)
    cross = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=images.device) * root
    matrix = cos * eye + (1 - cos) * third + sin * cross
    return torch.einsum("nij,njhw->nihw", matrix, images).clamp_(0, 1)


def soften(images: Tensor, widths: Tensor, *, most: float) -> Tensor:
    """Blur each image by a Gaussian of its own width, a share of the side up to `most`.

    Borders are mirrored; the Gaussian ends at three times the greatest width.
    """
    n_images, n_channels, height, width = images.shape
    reach = min(math.ceil(3 * most * width), min(height, width) - 1)
    offsets = torch.arange(-reach, reach + 1, device=images.device)
    spreads = (widths * width).clamp_min(1e-3)[:, None]
    weights = torch.softmax(-0.5 * (offsets / spreads) ** 2, dim=1).repeat_interleave(n_channels, 0)
    maps = images.reshape(1, n_images * n_channels, height, width)
    maps = F.pad(maps, (reach, reach, reach, reach), mode="reflect")
    maps = F.conv2d(maps, weights[:, None, None, :], groups=len(weights))
    maps = F.conv2d(maps, weights[:, None, :, None], groups=len(weights))
    return maps.view(images.shape).contiguous(memory_format=torch.channels_last)


def roughen(images: Tensor, deviations: Tensor, seeds: list[int]) -> Tensor:
    """Add to each image Gaussian noise of its deviation, independent in each pixel and channel."""
    noise = torch.stack(
        [
            torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(seed))
            for seed in seeds
        ]
    ).to(images.device)
    return torch.addcmul(images, noise, deviations[:, None, None, None]).clamp_(0, 1)


def _seeds(draws: NDArray[np.float64]) -> list[int]:
    """Return a seed for each draw, of all its 53 bits."""
    seeds: list[int] = (draws * 2**53).astype(np.int64).tolist()
    return seeds


def mix(
    images: Tensor,
    targets: Tensor,
    covariates: Tensor | None = None,
    *,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Blend a batch with itself in another order: mixup [zhang2018] or cutmix [yun2019].

    Where both are asked for, each batch draws one of them. Covariates blend as targets do.
    """
    mixers: list[tuple[float, Mixer]] = []
    if augmentation.mixup:
        mixers.append((augmentation.mixup, _blend))
    if augmentation.cutmix:
        mixers.append((augmentation.cutmix, _paste))
    if not mixers:
        return images, targets, covariates
    alpha, mixer = mixers[rng.integers(len(mixers))]
    share = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    mixed, kept = mixer(images, images[order], share, rng)

    def blended(values: Tensor) -> Tensor:
        return kept * values + (1 - kept) * values[order]

    return mixed, blended(targets), None if covariates is None else blended(covariates)


Mixer = Callable[[Tensor, Tensor, float, np.random.Generator], tuple[Tensor, float]]


def _blend(
    images: Tensor, others: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    return torch.lerp(others, images, share), share


def _paste(
    images: Tensor, others: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    height, width = images.shape[-2:]
    side = (1 - share) ** 0.5
    y, x = rng.integers(height), rng.integers(width)
    half_h, half_w = round(height * side / 2), round(width * side / 2)
    top, bottom = max(y - half_h, 0), min(y + half_h, height)
    left, right = max(x - half_w, 0), min(x + half_w, width)
    pasted = images.clone(memory_format=torch.preserve_format)
    pasted[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return pasted, 1 - (bottom - top) * (right - left) / (height * width)


def _grey(images: Tensor) -> Tensor:
    weights = torch.tensor(_GREY, device=images.device)[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True)
