"""Optimizers and schedules of the learning rate.

Out: a torch optimizer over what is trainable; a learning rate for each step, a pure function.
"""

import math
from typing import Literal

import torch
from torch import nn

OptimizerKind = Literal["adam", "adamw"]
ScheduleKind = Literal["constant", "cosine", "one_cycle", "ramp"]
_START, _END = 1 / 25, 1 / 250_000
RAMP = 1e-6


def build_optimizer(
    module: nn.Module, *, kind: OptimizerKind, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Build an optimizer over trainable parameters; norms and biases are never decayed."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [p for p in trainable if p.ndim > 1]
    others = [p for p in trainable if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if not weight_decay:  # in the same order: checkpoints number them
        groups = [{"params": matrices + others, "weight_decay": 0.0}]  # each group costs a step
    maker = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
    return maker([group for group in groups if group["params"]], lr=learning_rate, fused=True)


def scheduled_rate(
    step: int, n_steps: int, *, kind: ScheduleKind, peak: float, warmup: float
) -> float:
    """Return the learning rate of a step in [0, n_steps).

    warmup: share of the steps over which the rate climbs, linearly for `constant` and
    `cosine`; `one_cycle` climbs from peak/25 along a half cosine and ends at peak/250,000, as
    torch's OneCycleLR does [smith2018]; `ramp` grows from peak · RAMP to the peak by the same
    factor a step, for the range test.
    """
    n_warm = warmup * n_steps
    if kind == "ramp":
        return float(peak * RAMP ** (1 - step / max(n_steps - 1, 1)))
    if kind == "one_cycle":
        return _one_cycle(step, n_steps, peak, n_warm)
    if step < n_warm:
        return peak * (step + 1) / (math.floor(n_warm) + 1)
    if kind == "constant":
        return peak
    return peak * _fall((step - n_warm) / max(n_steps - n_warm, 1))


def _one_cycle(step: int, n_steps: int, peak: float, n_warm: float) -> float:
    top = max(n_warm - 1, 0)
    if step < top:
        return peak * (1 + (_START - 1) * _fall(step / top))
    return peak * (_END + (1 - _END) * _fall((step - top) / max(n_steps - 1 - top, 1)))


def _fall(share: float) -> float:
    """Return a half cosine from 1 at 0 to 0 at 1."""
    return (1 + math.cos(math.pi * min(share, 1.0))) / 2
