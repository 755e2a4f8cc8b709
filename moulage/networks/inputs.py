"""Inputs: pixels as a network takes them.

In:  pixels (n, H, W, 3) uint8.   Out: (n, 3, H, W), channels last in memory: bytes as they are for
a folded classifier, or float32 images in [0, 1]; either scaled as a backbone's weights expect.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def pixels_to_bytes(pixels: NDArray[np.uint8], device: str) -> Tensor:
    """Lay (n, H, W, 3) uint8 out as (n, 3, H, W) uint8, channels last in memory."""
    own = np.require(pixels, requirements=("C", "W"))  # mapped pixels are read-only
    return torch.from_numpy(own).to(device).permute(0, 3, 1, 2)


def pixels_to_images(pixels: NDArray[np.uint8], device: str) -> Tensor:
    """Turn (n, H, W, 3) uint8 into (n, 3, H, W) float32 in [0, 1], channels last in memory."""
    return pixels_to_bytes(pixels, device).float().div_(255)


def scaled_by_lines(images: Tensor, *, mean: Tensor, std: Tensor) -> Tensor:
    """Return (images - mean) / std of images (n, C, H, W) in [0, 1], or of bytes in [0, 255].

    Whole lines of pixels are computed at once: the few channels of one fill no register.
    """
    n_images, n_channels, height, width = images.shape
    is_bytes = images.dtype == torch.uint8
    lines = images.permute(0, 2, 3, 1).reshape(n_images * height, width * n_channels).float()
    scale, shift = 1 / (255 * std if is_bytes else std), -mean / std
    scaled = torch.addcmul(
        shift.repeat(width), lines, scale.repeat(width), out=lines if is_bytes else None
    )
    return scaled.view(n_images, height, width, n_channels).permute(0, 3, 1, 2)
