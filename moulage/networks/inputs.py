"""Inputs: pixels as a network takes them.

In:  pixels (n, H, W, 3) uint8.   Out: (n, 3, H, W), channels last in memory: bytes as they are for
a folded classifier, or float32 images in [0, 1].
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
