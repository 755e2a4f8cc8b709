"""Three classifiers that look at nothing, at the patient's record, or at pooled activations.

In:  labels (N,) int64 in [0, K) and parts (N,) str; a table or features (N, D), a row each.
Out: logits (N, K) float32 for all rows, at the natural prior of the training part.
Knows nothing of networks: activations come as an array.
Why: a network that does not beat the record (age, sex, site) has learned nothing from pixels.
`dx_type` is never read: how a diagnosis was confirmed gives it away.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.covariates import NAMES, encode_covariates, fit_covariates, has_values
from moulage.errors import DataError, ShapeError
from moulage.evaluation.decisions import log_sum_exp
from moulage.evaluation.losses import log_losses
from moulage.evaluation.priors import class_prior

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # scikit-learn's C: the smaller, the flatter
_LEAST = 1e-9  # the share of a diagnosis that training never saw
_MAX_ITERATIONS = 500
_SMALL = 1000  # weights up to which Newton's steps, exact in a few, are cheaper than gradients

Features = NDArray[np.float32] | NDArray[np.float64]


def majority(
    *, labels: NDArray[np.int64], parts: NDArray[np.str_], n_classes: int
) -> NDArray[np.float32]:
    """Return the training part's log prior in every row: always the most common diagnosis.

    Under the `balanced` rule nothing is left to decide by but rounding.
    """
    prior = class_prior(labels[_rows(parts, "train")], n_classes)
    row = np.log(np.maximum(prior, _LEAST)).astype(np.float32)
    return np.tile(row, (len(labels), 1))


def metadata_regression(
    *,
    table: pd.DataFrame,
    labels: NDArray[np.int64],
    parts: NDArray[np.str_],
    n_classes: int,
) -> NDArray[np.float32]:
    """Return a logistic regression on age, sex and localization.

    They become numbers as they do for a head that reads covariates; one without any value in the
    training part is left out.
    """
    design = metadata_design(table, is_train=parts == "train")
    return feature_regression(features=design, labels=labels, parts=parts, n_classes=n_classes)


def feature_regression(
    *,
    features: Features,
    labels: NDArray[np.int64],
    parts: NDArray[np.str_],
    n_classes: int,
    strengths: Sequence[float] = STRENGTHS,
) -> NDArray[np.float32]:
    """Return a logistic regression on `features (N, D)`, standardised by the training part.

    Penalties are tried from the strongest on, until the log loss on validation rises.
    """
    if features.ndim != 2 or not len(features) == len(labels) == len(parts):
        raise ShapeError(
            f"`features` must have shape (N, D) with N = {len(labels)}; got {features.shape}. "
            "Pass a row a label."
        )
    train, validation = _rows(parts, "train"), _rows(parts, "validation")
    if len(np.unique(labels[train])) == 1:
        return majority(labels=labels, parts=parts, n_classes=n_classes)
    standard = _standardised(features, train=train)
    best, least = np.zeros((0, n_classes)), np.inf
    for logits in _path(
        standard, labels=labels, train=train, n_classes=n_classes, strengths=strengths
    ):
        loss = log_losses(labels=labels[validation], logits=logits[validation]).mean()
        if loss > least:  # weaker penalties only overfit more, and take the most iterations
            break
        best, least = logits, loss
    return best.astype(np.float32)


def metadata_design(table: pd.DataFrame, *, is_train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what training rows know of age, sex and localization as numbers `(N, D)`."""
    training = table[is_train]
    names = [name for name in NAMES if has_values(training, name)]
    design = encode_covariates(fit_covariates(training, names), table)
    return np.zeros((len(table), 1)) if design is None else design.astype(np.float64)


def _path(
    standard: Features,
    *,
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    n_classes: int,
    strengths: Sequence[float],
) -> Iterator[NDArray[np.float64]]:
    """Yield the logits of each strength; each fit starts where the last one ended."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    is_small = standard.shape[1] * n_classes <= _SMALL
    solver = "newton-cholesky" if is_small else "lbfgs"  # one-vs-rest before scikit-learn 1.6
    model = LogisticRegression(max_iter=_MAX_ITERATIONS, solver=solver, warm_start=True)
    for strength in sorted(strengths):
        model.set_params(C=strength)
        with warnings.catch_warnings():
            # A fit cut short is one penalised a little more: validation judges it all the same.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(standard[train], labels[train])
        yield _logits(model.decision_function(standard), model.classes_, n_classes)


def _logits(
    scores: NDArray[np.float64], classes: NDArray[np.int64], n_classes: int
) -> NDArray[np.float64]:
    """Return log probabilities `(N, K)` of a fit that may lack some diagnoses."""
    if scores.ndim == 1:
        scores = np.stack([np.zeros_like(scores), scores], axis=1)
    exact = scores.astype(np.float64)
    logits = np.full((len(exact), n_classes), np.log(_LEAST))
    logits[:, classes] = exact - log_sum_exp(exact)
    return logits


def _standardised(features: Features, *, train: NDArray[np.int64]) -> Features:
    """Return features of mean 0 and deviation 1 in training; constant ones become 0."""
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
    return np.where(deviation > 0, (features - mean) / np.where(deviation > 0, deviation, 1), 0)


def _rows(parts: NDArray[np.str_], part: str) -> NDArray[np.int64]:
    rows = np.flatnonzero(parts == part)
    if not len(rows):
        raise DataError(
            f"A baseline must have {part} images; got none. Make a split with a {part} part."
        )
    return rows
