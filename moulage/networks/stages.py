"""A backbone as a chain of stages, pixels to last maps, with a boundary before each.

In:  a timm network.   Out: stages in order; calling them one after the other equals
`network.forward_features`. A boundary is an index into the chain: 0 stands before the first
stage ("all"), `len(stages)` before the head ("head").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moulage.errors import ConfigError, nearest

# By class, not by the names of its parts: GhostNet has the same ones and an activation between.
_EFFICIENT_FAMILIES = ("EfficientNet", "MobileNetV3")


@dataclass(frozen=True, slots=True)
class Stage:
    """Some modules of a network, applied one after the other, under one name.

    reads_covariates: whether they ask for these too; a committee does, for its members.
    """

    name: str
    modules: tuple[nn.Module, ...]
    reads_covariates: bool = False

    def __call__(self, maps: Tensor, covariates: Tensor | None = None) -> Tensor:
        beside = (covariates,) if self.reads_covariates else ()
        for module in self.modules:
            maps = torch.as_tensor(module(maps, *beside))
        return maps


class Whole(nn.Module):
    """Any timm network as a single stage, its features as maps (N, D, h, w)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the last maps; networks without maps (tokens) give pooled features at 1 × 1."""
        features: Tensor = self.network.forward_features(images)  # type: ignore[operator]
        if features.ndim == 4:
            is_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"
            return features.permute(0, 3, 1, 2) if is_last else features
        pooled = self.network.forward_head(features, pre_logits=True)  # type: ignore[operator]
        return torch.as_tensor(pooled)[:, :, None, None]


def stages_of(network: nn.Module) -> tuple[Stage, ...]:
    """Cut a network at its blocks; a family not known by heart is one stage, "features"."""
    family = type(network).__name__
    if family in _EFFICIENT_FAMILIES:
        return _efficient_stages(network)
    if family == "DenseNet":
        return _dense_stages(network)
    if family == "Committee":
        return (Stage("features", (network,), reads_covariates=True),)
    return (Stage("features", (Whole(network),)),)


def boundary_named(name: str, stages: Sequence[Stage]) -> int:
    """Return the index of the first stage at or above a boundary's name.

    "blocks.5" names the first block of the sixth group, "blocks.5.1" the second one.
    """
    if name == "all":
        return 0
    if name == "head":
        return len(stages)
    for index, stage in enumerate(stages):
        if stage.name == name or stage.name.startswith(f"{name}."):
            return index
    known = ["all", *(stage.name for stage in stages), "head"]
    raise ConfigError(
        f"`train_from` must be a boundary of this backbone; got {name!r}."
        f"{nearest(name, known)} It has: {', '.join(known)}."
    )


def _efficient_stages(network: nn.Module) -> tuple[Stage, ...]:
    """MobileNetV2 keeps `conv_head` below the pooling; MobileNetV3 has it above, so not here."""
    stages = [_stage("stem", network, "conv_stem", "bn1")]
    for i, group in enumerate(network.get_submodule("blocks").children()):
        stages += [Stage(f"blocks.{i}.{j}", (block,)) for j, block in enumerate(group.children())]
    if hasattr(network, "bn2"):
        stages.append(_stage("final", network, "conv_head", "bn2"))
    return tuple(stages)


def _dense_stages(network: nn.Module) -> tuple[Stage, ...]:
    features = network.get_submodule("features")
    names = [name for name, _ in features.named_children()]
    first = names.index("denseblock1")
    return (
        _stage("stem", features, *names[:first]),
        *(_stage(name, features, name) for name in names[first:-1]),
        _stage("final", features, names[-1]),
    )


def _stage(name: str, network: nn.Module, *modules: str) -> Stage:
    return Stage(name, tuple(network.get_submodule(module) for module in modules))
