"""How far probabilities are from the truth, image by image.

In:  labels (N,) int64 in [0, K), logits (N, K) after temperature.   Out: losses (N,) float64.
Knows nothing of decisions: these judge the probabilities themselves.
"""

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.decisions import log_sum_exp, softmax


def log_losses(*, labels: NDArray[np.int64], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return −log of the truth's probability, from logits, so that none is infinite."""
    of_truth = logits[np.arange(len(labels)), labels]
    return np.asarray(log_sum_exp(logits)[:, 0] - of_truth, dtype=np.float64)


def brier_scores(*, labels: NDArray[np.int64], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distance to the truth, summed over diagnoses: 0 to 2 [brier1950]."""
    distance = softmax(logits)
    distance[np.arange(len(labels)), labels] -= 1
    return np.asarray((distance**2).sum(axis=1), dtype=np.float64)
