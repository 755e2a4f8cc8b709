"""DenseNet's blocks for inference: one block of memory for all maps, clipping in place of norms.

In:  blocks and transitions whose convolutions are folded.   Out: modules that answer the same.
Knows nothing of classifiers.
Why: DenseNet joins all earlier maps anew before each layer, then normalises and clips them, which
takes much of a pass. A norm and ReLU before a 1 × 1 convolution are a clipping and other weights:
with f = -shift / gain, relu(gain · x + shift) = gain · (max(x, f) - f), and with min for a negative
gain; gain goes into the convolution's weights and -gain · f into its bias.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Clip(nn.Module):
    """Clip each channel of maps (N, C, h, w): to no less than `least`, or no more than `most`.

    most: None where no channel needs it, as in most networks: it is one pass more over the maps.
    """

    least: Tensor
    most: Tensor | None

    def __init__(self, least: Tensor, most: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("least", least[:, None, None])
        self.register_buffer("most", None if most is None else most[:, None, None])

    def forward(self, maps: Tensor) -> Tensor:
        """Return the clipped maps."""
        clipped = torch.maximum(maps, self.least)
        return clipped if self.most is None else torch.minimum(clipped, self.most)


class Block(nn.Module):
    """A dense block: each layer reads all maps before it and writes its own beside them."""

    def __init__(self, layers: Iterable[nn.Sequential], n_added: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.n_added = n_added

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (N, C + layers · n_added, h, w) of maps (N, C, h, w)."""
        n_images, n_filled, height, width = maps.shape
        n_channels = n_filled + len(self.layers) * self.n_added
        shape = (n_images, n_channels, height, width)
        joined = torch.empty(
            shape, dtype=maps.dtype, device=maps.device, memory_format=torch.channels_last
        )
        joined[:, :n_filled] = maps
        for layer in self.layers:
            joined[:, n_filled : n_filled + self.n_added] = layer(joined[:, :n_filled])
            n_filled += self.n_added
        return joined


def fold_block(block: nn.Module, dtype: torch.dtype) -> Block:
    """Return a dense block whose layers' second norms are folded, with the first folded too."""
    layers = []
    for layer in block.children():
        norm1, conv1, activation, conv2 = layer.children()
        assert isinstance(conv2, nn.Conv2d)
        layers.append(nn.Sequential(*fold_ahead(norm1, conv1, dtype), activation, conv2))
        n_added = conv2.out_channels
    return Block(layers, n_added=n_added)


def fold_transition(transition: nn.Module, dtype: torch.dtype) -> nn.Sequential:
    """Return a transition with its norm folded."""
    norm, conv, *pooling = transition.children()
    return nn.Sequential(*fold_ahead(norm, conv, dtype), *pooling)


def fold_ahead(norm: nn.Module, conv: nn.Module, dtype: torch.dtype) -> tuple[Clip, nn.Conv2d]:
    """Turn a norm with ReLU before a 1 × 1 convolution into a clipping and a convolution.

    dtype: of the weights to be. The bias makes up for what rounding does to them, so that what
    ReLU sets to nought still adds nothing.
    """
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(conv, nn.Conv2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * gain
    turns = gain.abs() > torch.finfo(torch.float32).tiny
    bend = torch.where(turns, -shift / torch.where(turns, gain, 1), 0).to(dtype)
    least = torch.where(turns & (gain < 0), -torch.inf, bend)
    most = torch.where(turns & (gain > 0), torch.inf, bend)
    clip = Clip(least, None if (gain > 0).all() else most)
    weight = (conv.weight * gain[:, None, None]).to(dtype).float()
    constant = torch.where(turns, 0, torch.relu(shift))
    bias = conv.weight[:, :, 0, 0] @ constant - weight[:, :, 0, 0] @ bend.float()
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, 1)
    folded.weight, folded.bias = nn.Parameter(weight), nn.Parameter(bias)
    if conv.bias is not None:
        folded.bias.data += conv.bias
    return clip, folded.eval().requires_grad_(False)
