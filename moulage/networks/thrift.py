"""Layers that torch computes wastefully while it trains, made to need less time and memory.

In:  a network, or a stage of one and a batch.   Out: the same, and in float32 the same bits, save
where a convolution takes in the norm behind it.
Knows nothing of phases or of how a machine was chosen.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

# Of float32 copies that are alive at once: 16 images of the widest maps at 128 px.
_CHUNK_BYTES = 24 * 2**20
CEILING = 6.0
# A batch of more is trained by making maps again: 64 images of 128 px in float32 are as many.
_MOST_BYTES = 12 * 2**20


def spare(network: nn.Module, *, in_order: bool) -> None:
    """Change the wasteful layers of a network in place.

    These are clipping, strided depthwise convolutions and norms whose statistics are fixed.
    in_order: whether the network applies the parts of a part one after the other; else no norm is
    known to follow a convolution. oneDNN's bfloat16 gradient of strided depthwise convolutions is
    five times slower than its float32 one and took half of a whole training step
    (docs/decisions/precision.md).
    """
    for parent in list(network.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, nn.ReLU6):
                setattr(parent, name, ClippedReLU())
        if isinstance(parent, nn.Conv2d) and _is_strided_depthwise(parent):
            parent.__dict__["forward"] = MethodType(_forward_in_float32, parent)
    for parent in network.modules() if in_order else ():
        for (_, conv), (_, norm) in convs_and_norms(parent):
            if type(conv) is nn.Conv2d and norm.affine and norm.track_running_stats:
                _Joint.make(conv, norm)  # subclasses pad their maps themselves


def convs_and_norms(
    parent: nn.Module,
) -> list[tuple[tuple[str, nn.Conv2d], tuple[str, nn.BatchNorm2d]]]:
    """Return each convolution among the children that a norm follows, and the norm, by name."""
    return [
        ((name, conv), (norm_name, norm))
        for (name, conv), (norm_name, norm) in pairwise(list(parent.named_children()))
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    ]


class _Joint:
    """A convolution and the norm behind it, which are one product while statistics are fixed.

    Such a norm is a factor and a sum a channel. The product's weights are made of both parts'
    parameters, which gradients reach through them, and no map is kept between the two
    (docs/decisions/memory.md).
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        self._conv, self._norm = conv, norm

    @classmethod
    def make(cls, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        """Let both parts ask a joint; their parameters stay where they are."""
        joint = cls(conv, norm)
        conv.__dict__["forward"], norm.__dict__["forward"] = joint.convolve, joint.normalise

    @property
    def is_one(self) -> bool:
        """Whether the convolution does the norm's work."""
        is_trained = torch.is_grad_enabled() and self._conv.weight.requires_grad
        return is_trained and not self._norm.training

    def convolve(self, maps: Tensor) -> Tensor:
        """Return what the convolution makes of maps, normalised if it is one with its norm."""
        conv, norm = self._conv, self._norm
        weight, bias = conv.weight, conv.bias
        if self.is_one:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            mean = norm.running_mean if bias is None else norm.running_mean - bias
            weight, bias = weight * factor[:, None, None, None], norm.bias - mean * factor

        def compute(maps: Tensor) -> Tensor:
            return torch.as_tensor(conv._conv_forward(maps, weight, bias))

        return _in_float32(compute, maps) if _is_strided_depthwise(conv) else compute(maps)

    def normalise(self, maps: Tensor) -> Tensor:
        """Return normalised maps; timm's norms drop and activate them, too."""
        norm = self._norm
        if not self.is_one:
            normalised: Tensor = type(norm).forward(norm, maps)
            return normalised
        for part in norm.children():
            maps = torch.as_tensor(part(maps))
        return maps


class ClippedReLU(nn.Module):
    """ReLU6 in place, without the copy of its input that torch's keeps for the gradient.

    The output tells as well as the input which numbers were clipped, and the next convolution
    keeps it anyway.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return the same tensor, clipped to [0, 6]."""
        if not (torch.is_grad_enabled() and maps.requires_grad):
            return nn.functional.relu6(maps, inplace=True)
        clipped: Tensor = _Clip.apply(maps)
        return clipped


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        nn.functional.relu6(maps, inplace=True)
        ctx.mark_dirty(maps)
        ctx.save_for_backward(maps)
        return maps

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (clipped,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, clipped, 0.0, CEILING)
        return passed


def is_large(images: Tensor, network: nn.Module) -> bool:
    """Whether the maps of a batch of images are better made again than kept for the gradient.

    Only on a processor: it costs a forward pass more and spares memory (docs/decisions/memory.md).
    Where every norm is one with a convolution, twice as many images are kept.
    """
    if not torch.is_grad_enabled() or images.device.type != "cpu":
        return False
    size = 2 if torch.is_autocast_enabled("cpu") else images.element_size()
    n_bytes = images.numel() * size
    return n_bytes > 2 * _MOST_BYTES or (n_bytes > _MOST_BYTES and _keeps_norms(network))


def _keeps_norms(network: nn.Module) -> bool:
    """Whether some norm is no part of a convolution, and keeps maps of its own."""
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    joints = [getattr(norm.forward, "__self__", None) for norm in norms]
    return not all(isinstance(joint, _Joint) and joint.is_one for joint in joints)


def remade(stage: Callable[..., Tensor], modules: Sequence[nn.Module], *inputs: Any) -> Tensor:
    """Apply a stage, keep nothing of it but its inputs, and apply it again for the gradient.

    modules: those of the stage. No bit of gradients or of running statistics differs.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(modules)

    maps: Tensor = checkpoint(stage, *inputs, use_reentrant=False, context_fn=contexts)
    return maps


@contextmanager
def _statistics_kept(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Let BatchNorms see a batch for the second time and learn nothing from it."""
    norms = [
        part
        for module in modules
        for part in module.modules()
        if isinstance(part, nn.BatchNorm2d) and part.training
    ]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm, (_, count) in zip(norms, kept, strict=True):
        norm.momentum, norm.num_batches_tracked = 0.0, None if count is None else count.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def _is_strided_depthwise(conv: nn.Conv2d) -> bool:
    return conv.groups > 1 and conv.stride[0] > 1


def _forward_in_float32(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    return _in_float32(partial(type(conv).forward, conv), maps)


def _in_float32(compute: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
    """Convolve in float32, some images at a time, what is trained in bfloat16."""
    is_half = maps.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    if not is_half or not torch.is_grad_enabled() or maps.device.type != "cpu":
        return compute(maps)
    n_images = max(_CHUNK_BYTES // (4 * maps[0].numel()), 1)
    if n_images >= len(maps):
        return _converted(compute, maps)
    computed: list[Tensor] = [
        checkpoint(_converted, compute, few, use_reentrant=False, preserve_rng_state=False)
        for few in torch.split(maps, n_images)
    ]
    return torch.cat(computed)


def _converted(compute: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return compute(maps.float()).to(maps.dtype)
