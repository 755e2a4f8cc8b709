"""Phases as data: from which stage upward weights are trained, and how.

Knows nothing of images. The paper's protocol is two rows of this table; a third is a new row,
not a new branch in the loop.
"""

from dataclasses import dataclass

from moulage.networks.classifier import BatchNormPolicy
from moulage.training.optimizers import OptimizerKind, ScheduleKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase.

    train_from: "head", "all" or a stage's name; what lies below is computed once and read from
    disk. warmup: share of the steps. clip_norm: bound on the gradient's norm, 0 is off.
    average: decay of the weights' moving average a step, 0 is off. patience: epochs without a
    better validation loss before the phase ends, 0 is off.
    """

    name: str
    train_from: str
    epochs: int
    batch: int = 128
    optimizer: OptimizerKind = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: ScheduleKind = "constant"
    warmup: float = 0.0
    batchnorm: BatchNormPolicy = "update"
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    average: float = 0.0
    patience: int = 0
