"""Decision rules: how logits become a diagnosis.

In:  logits (N, K) at the natural prior, that prior (K,), a rule's name.
Out: decisions (N,) int64 in [0, K).
Knows nothing of labels: what a decision is worth stands in `metrics`.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moulage.arrays import check_array
from moulage.errors import ConfigError, ShapeError

PlainRule = Literal["natural", "balanced"]
Rule = Literal[PlainRule, "cost"]
PLAIN_RULES: tuple[PlainRule, ...] = ("natural", "balanced")
RULES: tuple[Rule, ...] = (*PLAIN_RULES, "cost")


def decide(
    *,
    logits: NDArray[np.floating],
    prior: NDArray[np.float64],
    rule: Rule,
    costs: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """Return the decided diagnosis of each row; among equals the first in the diagnoses' order.

    `natural`: the most probable. `balanced`: the largest logit − log prior; a diagnosis of
    prior 0 is never decided. `cost`: the smallest expected cost under softmax(logits), with
    `costs (K, K)`, rows truth, columns decision; divide logits by the temperature first.
    """
    exact: NDArray[np.float64] = np.asarray(logits, dtype=np.float64)
    if exact.ndim != 2 or exact.shape[1] != len(prior):
        raise ShapeError(
            f"`logits` must have shape (N, K) with K = {len(prior)}; got {exact.shape}. "
            "Pass the prior of the same diagnoses."
        )
    if rule == "natural":
        return np.asarray(exact.argmax(axis=1), dtype=np.int64)
    if rule == "balanced":
        return _decide_balanced(exact, prior=np.asarray(prior, dtype=np.float64))
    if rule == "cost":
        return _decide_by_cost(exact, costs=costs)
    raise ConfigError(f"`rule` must be one of {', '.join(RULES)}; got {rule!r}. Choose one.")


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities `(N, K)`, rows sum to 1."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True), dtype=np.float64)


def log_sum_exp(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log Σ exp of each row `(N, 1)`; no exponent overflows."""
    top = logits.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return np.asarray(total, dtype=np.float64)


def _decide_balanced(
    logits: NDArray[np.float64], *, prior: NDArray[np.float64]
) -> NDArray[np.int64]:
    occurs = prior > 0
    if not occurs.any():
        raise ShapeError(f"`prior` must have a share above 0; got {prior}. Pass `class_prior`.")
    moved = np.full_like(logits, -np.inf)
    moved[:, occurs] = logits[:, occurs] - np.log(prior[occurs])
    return np.asarray(moved.argmax(axis=1), dtype=np.int64)


def _decide_by_cost(
    logits: NDArray[np.float64], *, costs: NDArray[np.float64] | None
) -> NDArray[np.int64]:
    n_classes = logits.shape[1]
    if costs is None or np.shape(costs) != (n_classes, n_classes):
        raise ShapeError(
            f"`costs` must have shape (K, K) = {(n_classes, n_classes)}, rows truth, columns "
            f"decision; got {None if costs is None else np.shape(costs)}. Pass the table."
        )
    table = np.asarray(costs, dtype=np.float64)
    check_array(table, "costs", kind="numbers", shape=table.shape)
    return np.asarray((softmax(logits) @ table).argmin(axis=1), dtype=np.int64)
