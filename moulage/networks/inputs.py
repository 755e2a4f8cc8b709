"""Inputs: pixels as a network takes them.

In:  pixels (n, H, W, 3) uint8.   Out: images (n, 3, H, W) float32 in [0, 1], channels last.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def pixels_to_images(pixels: NDArray[np.uint8], device: str) -> Tensor:
    """Turn (n, H, W, 3) uint8 into (n, 3, H, W) float32 in [0, 1], channels last in memory."""
    block = torch.from_numpy(np.array(pixels)).to(device)  # mapped pixels are read-only
    return block.permute(0, 3, 1, 2).float().div_(255)
