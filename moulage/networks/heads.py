"""Heads: the new layers on a backbone's last maps.

In:  maps (N, D, h, w).   Out: logits (N, K) float32.
The paper's head flattens the maps; the pooled one averages them first. Both go on with
[dropout, dense, ReLU, BatchNorm] for each hidden layer and end in a dense layer.
"""

from typing import Literal

import torch
from torch import Tensor, nn

HeadKind = Literal["flatten", "pooled"]


class Flatten(nn.Module):
    """Lay the maps out as Keras does, (h, w, D): free for channels-last memory."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, h·w·D)."""
        return maps.permute(0, 2, 3, 1).flatten(1)


class Pool(nn.Module):
    """Average each map."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, D)."""
        return maps.mean(dim=(2, 3))


def build_head(
    *,
    kind: HeadKind,
    maps_shape: tuple[int, int, int],
    hidden: tuple[int, ...],
    dropout: float,
    n_classes: int,
    generator: torch.Generator,
) -> nn.Sequential:
    """Build a head for maps of shape (D, h, w); `hidden=(512, 128)` has two hidden layers.

    Dense layers start as in Keras: uniform weights [glorot2010], zero biases.
    """
    n_channels, height, width = maps_shape
    n_features = n_channels * height * width if kind == "flatten" else n_channels
    layers: list[nn.Module] = [Flatten() if kind == "flatten" else Pool()]
    for n_units in hidden:
        dense = _dense(n_features, n_units, generator)
        layers += [nn.Dropout(dropout), dense, nn.ReLU(), nn.BatchNorm1d(n_units)]
        n_features = n_units
    if not hidden:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, _dense(n_features, n_classes, generator))


def _dense(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    # Born empty: torch would fill it first, from a generator that is everybody's.
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
