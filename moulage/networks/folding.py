"""Folding: what stands right behind a convolution becomes part of it, for inference.

In:  a classifier, a machine.   Out: a copy that gives the same answers in less time.
Knows nothing of images. Training never sees a folded classifier, nor does a digest.
Why: in evaluation mode a BatchNorm is a product and a sum a channel, which the convolution can
do for nothing, as it can clip its numbers before it writes them; and weights that are in the
machine's precision are not rounded at each batch (docs/decisions/engines.md).
"""

import copy
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from moulage.networks.classifier import Classifier
from moulage.networks.dense import fold_block, fold_transition
from moulage.networks.machine import Machine
from moulage.networks.stages import stages_of
from moulage.networks.thrift import CEILING, ClippedReLU, convs_and_norms

_ROUNDED = (nn.Conv2d, nn.Linear)
_USUAL, _N_QUANTILES = "usual_input", 256
# First stages that stay in float32, by class of network: rounding wide, smooth maps loses what
# the next kernels look for, edges (docs/decisions/precision.md).
_EXACT = {"MobileNetV3": 3}
# What oneDNN computes on the way out of a convolution: its name and its numbers.
_ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.Identity: ("none", []),
    nn.ReLU: ("relu", []),
    ClippedReLU: ("hardtanh", [0.0, CEILING]),
    nn.Hardswish: ("hardswish", []),
}
# Not public: it is what torch.compile calls.
_onednn = torch.ops.mkldnn
HAS_ONEDNN = torch._C._has_mkldnn and hasattr(_onednn, "_convolution_pointwise")


class DirectConv(nn.Module):
    """A convolution and the activation behind it, asked of oneDNN at once and without gradient.

    Weights are laid out once for maps of one shape; torch's own does so at each batch.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.name, self.numbers = _ACTIVATIONS[type(activation)]
        self._laid_out: tuple[torch.Size, Tensor] | None = None

    def forward(self, maps: Tensor) -> Tensor:
        """Return the activated maps, in the weights' precision."""
        conv = self.conv
        how = (conv.padding, conv.stride, conv.dilation, conv.groups)
        shape, weight = self._laid_out or (None, None)
        if shape != maps.shape:
            weight = _onednn._reorder_convolution_weight.default(conv.weight, *how, maps.shape)
            self._laid_out = (maps.shape, weight)
        maps = maps.to(conv.weight.dtype)
        activated: Tensor = _onednn._convolution_pointwise.default(
            maps, weight, conv.bias, *how, self.name, self.numbers, ""
        )
        return activated


class Exact(nn.Module):
    """Modules that compute in float32 where all around them is mixed."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, maps: Tensor) -> Tensor:
        """Return float32 maps."""
        with torch.autocast(maps.device.type, enabled=False):
            return torch.as_tensor(self.parts(maps.float()))


def fold(classifier: Classifier, machine: Machine) -> Classifier:
    """Return a folded copy, in evaluation mode; a folded classifier is returned as it is.

    The members of a committee are folded each. A network of a single stage is only rounded:
    which of its norms follows which convolution is not known.
    """
    if classifier.is_folded:
        return classifier
    copied = copy.deepcopy(classifier).eval().requires_grad_(False)
    exact: set[nn.Module] = set()
    for part in list(copied.modules()):
        if isinstance(part, Classifier):
            exact.update(_fold_stages(part, machine))
    for part in copied.modules():
        if isinstance(part, _ROUNDED) and part not in exact:
            _round(part, _dtype(machine))
    return copied


def _round(layer: nn.Conv2d | nn.Linear, dtype: torch.dtype) -> None:
    """Round a layer's weights; a convolution's bias is left exact, and makes up for them.

    What rounding adds to a 1 × 1 convolution's answer to its usual input is taken off again, so
    that the mean of its maps stays [nagel2019].
    """
    if isinstance(layer, nn.Linear) or dtype == layer.weight.dtype:
        layer.to(dtype)
        return
    rounded = round_kernels(layer.weight.data, dtype)
    usual = getattr(layer, _USUAL, None)
    if usual is not None and layer.bias is not None:
        lost = layer.weight.data.double() - rounded.double()
        layer.bias.data += (lost.flatten(1) @ usual.double()).float()
    layer.weight.data = rounded


def _note_usual_inputs(parent: nn.Module) -> None:
    """Note what a 1 × 1 convolution right behind a norm and its activation usually reads."""
    parts = [part for part in parent.children() if type(part) is not nn.Identity]
    for norm, conv in pairwise(parts):
        if not isinstance(norm, nn.BatchNorm2d) or not isinstance(conv, nn.Conv2d):
            continue
        if conv.kernel_size == (1, 1) and conv.groups == 1:
            setattr(conv, _USUAL, usual_maps(norm))


def usual_maps(norm: nn.BatchNorm2d) -> Tensor:
    """Return the mean (C,) of the maps behind a norm and its activation, if they are normal."""
    normal = torch.special.ndtri((torch.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES)
    maps = norm.bias + norm.weight.abs() * normal[:, None]
    activation = getattr(norm, "act", nn.Identity())
    return torch.as_tensor(activation(maps)).mean(dim=0)


def round_kernels(weights: Tensor, dtype: torch.dtype) -> Tensor:
    """Round weights (O, I, h, w) so that each kernel h × w keeps its sum.

    Skin is smooth: a kernel's sum is its answer to nearly all of an image, and small against its
    weights where it looks for edges. Each weight, the largest first, takes on what rounding the
    ones before has lost.
    """
    kernels = weights.flatten(2).double()
    order = kernels.abs().argsort(dim=2, descending=True)
    rounded, lost = torch.empty_like(kernels), torch.zeros_like(kernels[..., :1])
    for turn in range(order.shape[2]):
        place = order[..., turn : turn + 1]
        wanted = kernels.gather(2, place) + lost
        nearest = wanted.to(dtype).double()
        rounded.scatter_(2, place, nearest)
        lost = wanted - nearest
    return rounded.view_as(weights).to(dtype)


def asks_onednn(machine: Machine) -> bool:
    """Whether convolutions are asked of oneDNN itself.

    Older processors compute in bfloat16, but it lays no such weights out for them.
    """
    if machine.device != "cpu" or not HAS_ONEDNN:
        return False
    return machine.precision == "float32" or bool(_onednn._is_mkldnn_bf16_supported())


def _dtype(machine: Machine) -> torch.dtype:
    return torch.bfloat16 if machine.precision == "bfloat16" else torch.float32


def _fold_stages(classifier: Classifier, machine: Machine) -> list[nn.Module]:
    """Fold a network in its place; return the modules whose weights stay in float32."""
    classifier.is_folded = True
    if len(classifier.stages) == 1:
        return []
    network = classifier.network
    family = type(network).__name__
    for parent in list(network.modules()):
        _note_usual_inputs(parent)
        fold_norms(parent)
    if family == "DenseNet":
        _fold_dense_parts(network.get_submodule("features"), _dtype(machine))
    if asks_onednn(machine):
        for parent in list(network.modules()):
            _fold_activations(parent)
    stages = stages_of(network)
    n_exact = 0 if machine.precision == "float32" else _EXACT.get(family, 0)
    exact = [Exact(*stage.modules) for stage in stages[:n_exact]]
    first = [replace(stage, modules=(part,)) for stage, part in zip(stages, exact, strict=False)]
    classifier.stages = (*first, *stages[n_exact:])
    return [inner for part in exact for inner in part.modules()]


def _fold_dense_parts(features: nn.Module, dtype: torch.dtype) -> None:
    for name, part in list(features.named_children()):
        if name.startswith("denseblock"):
            setattr(features, name, fold_block(part, dtype))
        if name.startswith("transition"):
            setattr(features, name, fold_transition(part, dtype))


def fold_norms(parent: nn.Module) -> None:
    """Fold each norm into the convolution that stands before it; timm's keep their activation."""
    for (name, conv), (norm_name, norm) in convs_and_norms(parent):
        setattr(parent, name, fuse_conv_bn_eval(conv, norm))
        setattr(parent, norm_name, getattr(norm, "act", nn.Identity()))


def _fold_activations(parent: nn.Module) -> None:
    """Ask oneDNN for each convolution, with the activation behind it; subclasses pad themselves."""
    children = [*parent.named_children(), ("", nn.Identity())]
    for (name, conv), (next_name, behind) in pairwise(children):
        if type(conv) is not nn.Conv2d:
            continue
        is_folded = type(behind) in _ACTIVATIONS
        setattr(parent, name, DirectConv(conv, behind if is_folded else nn.Identity()))
        if is_folded and next_name:
            setattr(parent, next_name, nn.Identity())
