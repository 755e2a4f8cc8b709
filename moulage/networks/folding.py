"""Folding: what stands right behind a convolution becomes part of it, for inference.

In:  a classifier, a machine.   Out: a copy that gives the same answers in less time.
Knows nothing of images. Training never sees a folded classifier, nor does a digest.
Why: in evaluation mode a BatchNorm is a product and a sum a channel, which the convolution can
do for nothing, as it can clip its numbers before it writes them; and weights that are in the
machine's precision are not rounded at each batch (docs/decisions/engines.md).
"""

import copy
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


def fold(classifier: Classifier, machine: Machine) -> Classifier:
    """Return a folded copy, in evaluation mode; a folded classifier is returned as it is.

    The members of a committee are folded each. A network of a single stage is only rounded:
    which of its norms follows which convolution is not known.
    """
    if classifier.is_folded:
        return classifier
    copied = copy.deepcopy(classifier).eval().requires_grad_(False)
    for part in list(copied.modules()):
        if isinstance(part, Classifier):
            _fold_stages(part, machine)
    for part in copied.modules():
        if isinstance(part, _ROUNDED):
            part.to(_dtype(machine))
    return copied


def asks_onednn(machine: Machine) -> bool:
    """Whether convolutions are asked of oneDNN itself.

    Older processors compute in bfloat16, but it lays no such weights out for them.
    """
    if machine.device != "cpu" or not HAS_ONEDNN:
        return False
    return machine.precision == "float32" or bool(_onednn._is_mkldnn_bf16_supported())


def _dtype(machine: Machine) -> torch.dtype:
    return torch.bfloat16 if machine.precision == "bfloat16" else torch.float32


def _fold_stages(classifier: Classifier, machine: Machine) -> None:
    classifier.is_folded = True
    if len(classifier.stages) == 1:
        return
    network = classifier.network
    for parent in list(network.modules()):
        fold_norms(parent)
    if type(network).__name__ == "DenseNet":
        _fold_dense_parts(network.get_submodule("features"), _dtype(machine))
    if asks_onednn(machine):
        for parent in list(network.modules()):
            _fold_activations(parent)
    classifier.stages = stages_of(network)


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
