"""Folding: a BatchNorm right behind a convolution becomes part of its weights, for inference.

In:  a classifier, a machine.   Out: a copy that gives the same answers in less time.
Knows nothing of images. Training never sees a folded classifier, nor does a digest.
Why: in evaluation mode a BatchNorm is a product and a sum a channel, which the convolution can
do for nothing; and weights that are in the machine's precision are not rounded at each batch
(docs/decisions/engines.md).
"""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from moulage.networks.classifier import Classifier
from moulage.networks.machine import Machine
from moulage.networks.stages import stages_of

_ROUNDED = (nn.Conv2d, nn.Linear)


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
            _fold_stages(part)
    if machine.precision == "bfloat16":
        for part in copied.modules():
            if isinstance(part, _ROUNDED):
                part.to(torch.bfloat16)
    return copied


def _fold_stages(classifier: Classifier) -> None:
    classifier.is_folded = True
    if len(classifier.stages) == 1:
        return
    for parent in list(classifier.network.modules()):
        _fold_children(parent)
    classifier.stages = stages_of(classifier.network)


def _fold_children(parent: nn.Module) -> None:
    """Fold each norm into the convolution that stands before it; timm's keep their activation."""
    children = list(parent.named_children())
    for (name, conv), (norm_name, norm) in pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(parent, name, fuse_conv_bn_eval(conv, norm))
            setattr(parent, norm_name, getattr(norm, "act", nn.Identity()))
