"""Heads: the new layers on a backbone's last maps.

In:  maps (N, D, h, w), covariates (N, C) where it reads some.   Out: logits (N, K) float32.
The paper's head flattens the maps; the pooled one averages them first. Both go on with
[dropout, dense, ReLU, BatchNorm] for each hidden layer and end in a dense layer. Covariates
stand beside the features from the first dense layer on.
"""

from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from moulage.errors import ConfigError

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


class Head(nn.Sequential):
    """The layers in their order: the first makes features of maps, the others read them."""

    def __init__(self, *layers: nn.Module, n_covariates: int = 0) -> None:
        super().__init__(*layers)
        self.n_covariates = n_covariates

    def features(self, maps: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Return what the dense layers read (N, D + C); covariates nobody reads are ignored."""
        features: Tensor = self[0](maps)
        if not self.n_covariates:
            return features
        if covariates is None:
            raise ConfigError(
                f"A classifier that reads covariates must be told them; got none where it reads "
                f"{self.n_covariates} numbers beside each image. Pass what is known of each."
            )
        return torch.cat([features, covariates.to(features.dtype)], dim=1)

    def forward(self, maps: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Return scores (N, K)."""
        features = self.features(maps, covariates)
        for layer in islice(self, 1, None):  # a slice of a Sequential would be built anew
            features = layer(features)
        return features


class Dropout(nn.Module):
    """Drop features at a rate, as torch's own does; eight lots are drawn at a time.

    torch draws one number a feature, on one thread: more than half of a frozen phase's step. A
    lot has 8 bits: the rate is the nearest of 1/256 to 255/256, and the mean is kept for that.
    numpy draws them faster than torch, from a seed that torch draws.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, features: Tensor) -> Tensor:
        """Return the features in evaluation mode, else with some at 0 and the rest enlarged."""
        if not self.training or self.rate == 0:
            return features
        if features.device.type != "cpu":
            return nn.functional.dropout(features, self.rate)
        rng = np.random.Generator(np.random.SFC64(int(torch.randint(2**63 - 1, ()))))
        lots = rng.integers(-(2**63), 2**63, -(-features.numel() // 8), dtype=np.int64)
        drawn = torch.from_numpy(lots).view(torch.int8)[: features.numel()].view(features.shape)
        n_dropped = min(max(round(self.rate * 256), 1), 255)
        # Noughts and ones of the features' own kind: products with truth values are slow.
        kept = torch.empty(features.shape, dtype=features.dtype)
        torch.ge(drawn, n_dropped - 128, out=kept)
        return torch.as_tensor(_Thinned.apply(features, kept, 256 / (256 - n_dropped)))


class _Thinned(torch.autograd.Function):
    """Numbers times noughts and ones and a factor, one pass each way where torch takes two back."""

    @staticmethod
    def forward(ctx: Any, numbers: Tensor, kept: Tensor, factor: float) -> Tensor:
        ctx.save_for_backward(kept)
        ctx.factor = factor
        return torch.addcmul(numbers.new_zeros(()), numbers, kept, value=factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return torch.addcmul(gradient.new_zeros(()), gradient, kept, value=ctx.factor), None, None


def build_head(
    *,
    kind: HeadKind,
    maps_shape: tuple[int, int, int],
    hidden: tuple[int, ...],
    dropout: float,
    n_classes: int,
    generator: torch.Generator,
    n_covariates: int = 0,
) -> Head:
    """Build a head for maps of shape (D, h, w); `hidden=(512, 128)` has two hidden layers.

    Dense layers start as in Keras: uniform weights [glorot2010], zero biases.
    """
    n_channels, height, width = maps_shape
    n_features = n_channels * height * width if kind == "flatten" else n_channels
    n_features += n_covariates
    layers: list[nn.Module] = [Flatten() if kind == "flatten" else Pool()]
    for n_units in hidden:
        dense = _dense(n_features, n_units, generator)
        layers += [Dropout(dropout), dense, nn.ReLU(), nn.BatchNorm1d(n_units)]
        n_features = n_units
    if not hidden:
        layers.append(Dropout(dropout))
    last = _dense(n_features, n_classes, generator)
    return Head(*layers, last, n_covariates=n_covariates)


def _dense(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    # Born empty: torch would fill it first, from a generator that is everybody's.
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
