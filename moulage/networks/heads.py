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
_N_WINDOWS = 2**20  # places on a tape that dropout can start from
_TAPES: dict[tuple[int, torch.dtype], Tensor] = {}  # one for all layers of a rate


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

    def seed(self, number: int) -> None:
        """Let dropout draw what it would draw from torch's own generator, seeded so.

        From a generator of this head's: what other threads draw meanwhile changes nothing.
        """
        generator = torch.Generator().manual_seed(number)
        for layer in self:
            if isinstance(layer, Dropout):
                layer.generator = generator

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
    """Drop features at a rate, as torch's own does; what is dropped is a window on a tape.

    torch draws one number a feature, on one thread: more than half of a frozen phase's step. Here
    a tape of noughts and ones is drawn once, and a call reads it from a place that a generator
    draws, torch's own until `Head.seed` gives another: one of a million. Within a call all features
    are dropped independently; two calls share a stretch of the tape, but lay it on other features.
    The rate is the nearest of 1/256 to 255/256, and the mean is kept for that.

    inplace: features that no gradient needs may be written over, as torch's own does.
    """

    def __init__(self, rate: float, *, inplace: bool = False) -> None:
        super().__init__()
        self.rate = rate
        self.inplace = inplace
        self.generator: torch.Generator | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Return the features in evaluation mode, else with some at 0 and the rest enlarged."""
        if not self.training or self.rate == 0:
            return features
        if features.device.type != "cpu":
            return nn.functional.dropout(features, self.rate)
        n_dropped = min(max(round(self.rate * 256), 1), 255)
        tape = _tape(n_dropped, features.dtype, _N_WINDOWS + features.numel())
        start = int(torch.randint(_N_WINDOWS, (), generator=self.generator))
        kept = tape[start : start + features.numel()].view(features.shape)
        factor = 256 / (256 - n_dropped)
        if self.inplace and not features.requires_grad:
            return _thin(features, kept, factor, out=features)
        return torch.as_tensor(_Thinned.apply(features, kept, factor))


def _tape(n_dropped: int, kind: torch.dtype, length: int) -> Tensor:
    """Return at least so many noughts and ones; a longer tape begins as a shorter one."""
    tape = _TAPES.get((n_dropped, kind))
    if tape is None or len(tape) < length:
        # Of the features' own kind: products with truth values are slow.
        lots = np.random.Generator(np.random.SFC64(0)).integers(0, 256, length, np.uint8)
        tape = _TAPES[n_dropped, kind] = torch.from_numpy(lots >= n_dropped).to(kind)
    return tape


def _thin(numbers: Tensor, kept: Tensor, factor: float, out: Tensor | None = None) -> Tensor:
    """Return numbers times noughts and ones and a factor, in one pass."""
    return torch.addcmul(numbers.new_zeros(()), numbers, kept, value=factor, out=out)


class _Thinned(torch.autograd.Function):
    """`_thin` with one pass back, where torch takes two."""

    @staticmethod
    def forward(ctx: Any, numbers: Tensor, kept: Tensor, factor: float) -> Tensor:
        ctx.save_for_backward(kept)
        ctx.factor = factor
        return _thin(numbers, kept, factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return _thin(gradient, kept, ctx.factor), None, None


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
    layers.append(Dropout(dropout, inplace=True))  # a step's maps are its own
    for place, n_units in enumerate(hidden):
        if place:
            layers.append(Dropout(dropout))
        layers += [_dense(n_features, n_units, generator), nn.ReLU(), nn.BatchNorm1d(n_units)]
        n_features = n_units
    last = _dense(n_features, n_classes, generator)
    return Head(*layers, last, n_covariates=n_covariates)


def _dense(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    # Born empty: torch would fill it first, from a generator that is everybody's.
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
