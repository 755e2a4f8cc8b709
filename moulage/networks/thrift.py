"""Layers that torch computes wastefully while it trains, made to need less time and memory.

In:  a network, or a stage of one and a batch.   Out: the same, and in float32 the same bits, save
where a convolution takes in the norm behind it.
Knows nothing of phases or of how a machine was chosen.
Why: docs/decisions/precision.md and memory.md, which have the figures.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from types import MethodType
from typing import Any

import torch
from timm.layers import Conv2dSame, pad_same
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

CEILING = 6.0
_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)
# Of gradients that are spread at once: they stay in a processor's caches.
_SPREAD_BYTES = 4 * 2**20
# Up to so many places in a batch's maps, products of matrices are faster than convolutions.
_MOST_PLACES = 4096
# A batch of more is trained by making maps again: 64 images of 128 px in float32 are as many.
_MOST_BYTES = 12 * 2**20


def spare(network: nn.Module, *, in_order: bool) -> None:
    """Change the wasteful layers of a network in place.

    These are clipping, convolutions that train in bfloat16 and norms whose statistics are fixed.
    in_order: whether the network applies the parts of a part one after the other; else no norm is
    known to follow a convolution.
    """
    for parent in list(network.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, nn.ReLU6):
                setattr(parent, name, ClippedReLU())
        if type(parent) in _CONVOLUTIONS:
            parent.__dict__["forward"] = MethodType(_convolve_own, parent)
    for parent in network.modules() if in_order else ():
        for (_, conv), (_, norm) in convs_and_norms(parent):
            if type(conv) in _CONVOLUTIONS and norm.affine and norm.track_running_stats:
                _Joint.make(conv, norm)


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
        return _convolve(conv, maps, weight, bias)

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


def _convolve_own(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    return _convolve(conv, maps, conv.weight, conv.bias)


def _convolve(conv: nn.Conv2d, maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve as a layer does, with weights made of its own."""
    if isinstance(conv, Conv2dSame):
        maps = pad_same(maps, list(conv.kernel_size), list(conv.stride), list(conv.dilation))
    if _trains_in_bfloat16(maps):
        halves = [part if part is None else part.bfloat16() for part in (maps, weight, bias)]
        if _is_strided_depthwise(conv):
            return torch.as_tensor(_StridedDepthwise.apply(*halves, conv.stride, conv.padding))
        if _is_pointwise(conv) and maps[:, 0].numel() <= _MOST_PLACES:
            return torch.as_tensor(_Pointwise.apply(*halves))
    return torch.as_tensor(conv._conv_forward(maps, weight, bias))


def _trains_in_bfloat16(maps: Tensor) -> bool:
    is_half = maps.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    return is_half and torch.is_grad_enabled() and maps.device.type == "cpu"


def _is_strided_depthwise(conv: nn.Conv2d) -> bool:
    is_depthwise = conv.in_channels == conv.groups == conv.out_channels > 1
    return is_depthwise and max(conv.stride) > 1 == max(conv.dilation) and _pads_little(conv)


def _pads_little(conv: nn.Conv2d) -> bool:
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        return False
    return all(n < size for n, size in zip(conv.padding, conv.kernel_size, strict=True))


def _is_pointwise(conv: nn.Conv2d) -> bool:
    is_alone = {*conv.kernel_size, *conv.stride, conv.groups} == {1}
    return is_alone and not isinstance(conv.padding, str) and not any(conv.padding)


class _Pointwise(torch.autograd.Function):
    """A convolution of 1 × 1 as products of matrices, a row a place.

    What it makes is no view of them: a layer behind it may change it in place.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(maps, weight)
        convolved = _empty_maps(maps, len(weight))
        turned, rows = weight.flatten(1).t(), _rows_of(convolved)
        if bias is None:
            torch.mm(_rows_of(maps), turned, out=rows)
        else:
            torch.addmm(bias, _rows_of(maps), turned, out=rows)
        return convolved

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (maps, weight), (of_maps, of_weight, of_bias) = ctx.saved_tensors, ctx.needs_input_grad
        rows, back = _rows_of(gradient), _empty_maps(maps, maps.shape[1]) if of_maps else None
        if back is not None:
            torch.mm(rows, weight.flatten(1), out=_rows_of(back))
        told = (rows.t() @ _rows_of(maps)).view_as(weight) if of_weight else None
        return back, told, rows.sum(0) if of_bias else None


def _rows_of(maps: Tensor) -> Tensor:
    """Return maps (N, D, h, w) as (N·h·w, D), a view where they lie channels last."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def _empty_maps(like: Tensor, n_channels: int) -> Tensor:
    shape = (len(like), n_channels, *like.shape[2:])
    return torch.empty(shape, dtype=like.dtype, memory_format=torch.channels_last)


class _StridedDepthwise(torch.autograd.Function):
    """A strided depthwise convolution whose maps get their gradient by one without a stride.

    oneDNN's own took half of a whole training step in bfloat16.
    """

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.how = stride, padding
        return nn.functional.conv2d(maps, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        stride, padding = ctx.how
        of_maps, *wanted = ctx.needs_input_grad[:3]
        back = _convolve_back(gradient, weight, maps, stride, padding) if of_maps else None
        if min(maps.shape[2:]) == 1:  # there oneDNN's bfloat16 reads memory that nobody wrote
            gradient, maps, weight = gradient.float(), maps.float(), weight.float()
        groups = len(weight)
        _, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradient, maps, weight, [groups], stride, padding, (1, 1), False, (0, 0), groups,
            [False, *wanted],
        )  # fmt: skip
        return back, of_weight, of_bias, None, None


def _convolve_back(
    gradient: Tensor,
    weight: Tensor,
    maps: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Tensor:
    """Return the gradient (N, C, H, W) of a depthwise convolution's maps.

    It is the outputs' gradient, spread by the stride into noughts, convolved with the weights
    turned by half a turn; a few images at a time.
    """
    kernel = weight.shape[2:]
    height, width = (n + k - 1 for n, k in zip(maps.shape[2:], kernel, strict=True))
    n_bytes = gradient.element_size() * len(weight) * height * width
    n_images = max(min(_SPREAD_BYTES // n_bytes, len(maps)), 1)
    spread = gradient.new_zeros((n_images, height, width, len(weight))).permute(0, 3, 1, 2)
    rows, columns = (
        slice(k - 1 - p, k - p + s * (n - 1), s)
        for k, p, s, n in zip(kernel, padding, stride, gradient.shape[2:], strict=True)
    )
    turned, back = weight.flip(2, 3), _empty_maps(maps, len(weight))
    for start in range(0, len(maps), n_images):
        few = gradient[start : start + n_images]
        spread[: len(few), :, rows, columns] = few
        convolved = nn.functional.conv2d(spread[: len(few)], turned, groups=len(weight))
        back[start : start + n_images] = convolved
    return back
