"""Treatments of class imbalance: how the training part's loss is told that classes are rare.

In:  the natural prior (K,) of the training part.
Out: the loss to train with, and the prior that this loss trains towards, so that the natural
prior can be put back before anybody reads a probability.
Knows nothing of images, and never touches validation or test.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ABSENT = 1e-9

TreatmentKind = Literal["none", "class_weight", "logit_adjustment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """One treatment.

    `class_weight` weighs each image by 1 / (K · prior of its class). `logit_adjustment` adds
    `tau · log prior` to the scores in training only [menon2021, eq. 10].
    """

    kind: TreatmentKind = "none"
    tau: float = 1.0

    def trained_prior(self, prior: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the prior (K,) that the scores lean to once trained."""
        if self.kind == "class_weight":
            return np.full_like(prior, 1 / len(prior))
        if self.kind == "logit_adjustment":
            moved = np.maximum(prior, _ABSENT) ** (1 - self.tau)
            return np.asarray(moved / moved.sum(), dtype=np.float64)
        return prior

    def loss(self, scores: Tensor, targets: Tensor, prior: Tensor) -> Tensor:
        """Return the mean loss () of scores (n, K) against targets (n, K), rows sum to 1."""
        if self.kind == "logit_adjustment":
            scores = scores + self.tau * prior.clamp(min=_ABSENT).log()
        terms = -targets * torch.log_softmax(scores, dim=1)
        if self.kind == "class_weight":
            terms = terms * torch.where(prior > _ABSENT, 1 / (len(prior) * prior), 0.0)
        return terms.sum(dim=1).mean()
