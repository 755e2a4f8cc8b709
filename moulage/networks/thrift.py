"""Layers that torch computes wastefully while it trains, made to need less time and memory.

In:  a network, or a stage of one and a batch.   Out: the same, and in float32 the same bits.
Knows nothing of phases or of how a machine was chosen.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
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


def spare(network: nn.Module) -> None:
    """Change the wasteful layers of a network in place: clipping, strided depthwise convolutions.

    oneDNN's bfloat16 gradient of the latter is five times slower than its float32 one and took
    half of a whole training step (docs/decisions/precision.md).
    """
    for parent in list(network.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, nn.ReLU6):
                setattr(parent, name, ClippedReLU())
        if isinstance(parent, nn.Conv2d) and parent.groups > 1 and parent.stride[0] > 1:
            parent.__dict__["forward"] = MethodType(_forward_in_float32, parent)


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


def is_large(images: Tensor) -> bool:
    """Whether the maps of a batch of images are better made again than kept for the gradient.

    Only on a processor: it costs a forward pass more and spares memory (docs/decisions/memory.md).
    """
    if not torch.is_grad_enabled() or images.device.type != "cpu":
        return False
    size = 2 if torch.is_autocast_enabled("cpu") else images.element_size()
    return images.numel() * size > _MOST_BYTES


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


def _forward_in_float32(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    is_float32 = maps.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if is_float32 or not torch.is_grad_enabled() or maps.device.type != "cpu":
        return type(conv).forward(conv, maps)
    n_images = max(_CHUNK_BYTES // (4 * maps[0].numel()), 1)
    if n_images >= len(maps):
        return _compute_in_float32(conv, maps)
    computed: list[Tensor] = [
        checkpoint(_compute_in_float32, conv, few, use_reentrant=False, preserve_rng_state=False)
        for few in torch.split(maps, n_images)
    ]
    return torch.cat(computed)


def _compute_in_float32(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return type(conv).forward(conv, maps.float()).to(maps.dtype)
