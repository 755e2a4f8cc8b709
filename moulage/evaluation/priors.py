"""How common each diagnosis is, and logits moved from one prior to another.

In:  labels (N,) int64 in [0, K) or logits (N, K).   Out: a prior (K,) float64, sums to 1; logits.
Knows nothing of how a treatment of imbalance changed the prior that training saw.
Why: a classifier trained on a balanced set believes in a balanced world [saerens2002, eq. 4].
"""

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, ShapeError

_LEAST = 1e-9


def class_prior(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """Return the share of each diagnosis `(K,) float64`; an absent one has 0.

    >>> class_prior(np.array([0, 0, 0, 2]), 3).tolist()
    [0.75, 0.0, 0.25]
    """
    labels = np.asarray(labels)
    if not len(labels) or labels.min() < 0 or labels.max() >= n_classes:
        raise ShapeError(
            f"`labels` must hold one or more integers in [0, {n_classes}); got "
            f"{len(labels)} from {labels.min(initial=0)} to {labels.max(initial=0)}. "
            "Number the diagnoses as the catalogue does."
        )
    shares: NDArray[np.float64] = np.bincount(labels, minlength=n_classes) / len(labels)
    return shares


def move_prior(
    logits: NDArray[np.floating],
    *,
    trained: NDArray[np.float64],
    natural: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return `logits + log natural − log trained` `(N, K) float64`; neither prior need sum to 1.

    A diagnosis absent from both priors keeps its logit. One that was trained on but does not
    occur naturally counts as one in a billion, which keeps logits finite. One that occurs but
    was never trained on is refused: no logit can be put right for it.
    """
    trained = _prior(trained, n_classes=logits.shape[1])
    natural = _prior(natural, n_classes=logits.shape[1])
    untrained = (trained == 0) & (natural > 0)
    if untrained.any():
        raise ConfigError(
            "`trained` must be above 0 for each diagnosis that occurs; got 0 for "
            f"diagnosis {int(untrained.argmax())}. Train on a prior that covers every diagnosis."
        )
    # not floored: a strong adjustment of logits trains towards priors far below a billionth
    held = np.where(trained > 0, trained, _LEAST)
    shift = np.log(np.maximum(natural, _LEAST)) - np.log(held)
    return np.asarray(logits + shift, dtype=np.float64)


def _prior(prior: NDArray[np.float64], *, n_classes: int) -> NDArray[np.float64]:
    prior = np.asarray(prior, dtype=np.float64)
    is_prior = prior.shape == (n_classes,) and np.isfinite(prior).all() and (prior >= 0).all()
    if not is_prior or prior.sum() == 0:
        raise ShapeError(
            f"A prior must be {n_classes} finite numbers, none negative, not all 0; got {prior}. "
            "Make it with `class_prior`."
        )
    return np.asarray(prior / prior.sum(), dtype=np.float64)
