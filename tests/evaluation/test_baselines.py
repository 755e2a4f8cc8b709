import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from moulage.errors import DataError, ShapeError
from moulage.evaluation.baselines import (
    STRENGTHS,
    feature_regression,
    majority,
    metadata_design,
    metadata_regression,
)
from moulage.evaluation.decisions import softmax
from moulage.evaluation.losses import log_losses

PARTS = np.array(["train"] * 200 + ["validation"] * 60 + ["test"] * 60)


def patients(seed: int = 42) -> tuple[pd.DataFrame, np.ndarray]:
    """Melanoma (1) is of old backs; sex is noise; some entries are missing."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(320) < 0.3).astype(np.int64)
    table = pd.DataFrame(
        {
            "age": np.where(labels == 1, 70.0, 35.0) + 8 * rng.normal(size=320),
            "sex": rng.choice(["male", "female"], size=320),
            "localization": np.where(labels == 1, "back", rng.choice(["back", "foot"], size=320)),
            "dx_type": "histo",
        }
    )
    table.loc[::17, "age"] = np.nan
    table.loc[::13, "sex"] = None
    return table, labels


def test_the_majority_is_the_training_prior_in_every_row() -> None:
    labels = np.array([0, 0, 1, 2])
    parts = np.array(["train", "train", "train", "test"])
    logits = majority(labels=labels, parts=parts, n_classes=3)
    np.testing.assert_allclose(softmax(logits.astype(float))[3], [2 / 3, 1 / 3, 0], atol=1e-8)
    assert np.isfinite(logits).all()
    assert logits.argmax(axis=1).tolist() == [0] * 4


def test_the_record_is_learned_from_training_only() -> None:
    table, labels = patients()
    logits = metadata_regression(table=table, labels=labels, parts=PARTS, n_classes=2)
    tested = PARTS == "test"
    assert (logits.argmax(axis=1) == labels)[tested].mean() > 0.9
    elsewhere = np.where(tested, 1 - labels, labels)
    again = metadata_regression(table=table, labels=elsewhere, parts=PARTS, n_classes=2)
    assert logits.tolist() == again.tolist()


def test_how_a_diagnosis_was_confirmed_is_never_read() -> None:
    table, labels = patients()
    telling = table.assign(dx_type=np.where(labels == 1, "histo", "follow_up"))
    one, other = (
        metadata_regression(table=each, labels=labels, parts=PARTS, n_classes=2)
        for each in (table, telling)
    )
    assert one.tolist() == other.tolist()


def test_missing_entries_are_levels_of_their_own() -> None:
    table = pd.DataFrame(
        {
            "age": [20.0, np.nan, 40.0, 90.0],
            "sex": ["male", None, "female", "unknown"],
            "localization": ["back", "back", None, "toe"],
        }
    )
    is_train = np.array([True, True, True, False])
    design = metadata_design(table, is_train=is_train)
    levels = ["female", "male", "missing", "back", "missing"]
    assert design.shape == (4, 2 + len(levels))
    np.testing.assert_allclose(design[is_train].mean(axis=0), 0, atol=1e-7)
    np.testing.assert_allclose(design[:, 0], [-1, 0, 1, 6], rtol=1e-6)  # tens of years about 30
    assert (design[3, 2:] > 0).tolist() == [False, False, True, False, True]  # toe: as unknown
    assert metadata_design(table.assign(age=np.nan), is_train=is_train).shape == (4, len(levels))


def test_the_penalty_is_the_one_of_least_loss_on_validation() -> None:
    rng = np.random.default_rng(42)
    labels = rng.integers(0, 3, 320)
    noise = rng.normal(size=(320, 60))
    fits = [
        feature_regression(
            features=noise, labels=labels, parts=PARTS, n_classes=3, strengths=(strength,)
        )
        for strength in STRENGTHS
    ]
    judged = PARTS == "validation"
    losses = [log_losses(labels=labels[judged], logits=fit[judged].astype(float)) for fit in fits]
    best = int(np.argmin([loss.mean() for loss in losses]))
    chosen = feature_regression(features=noise, labels=labels, parts=PARTS, n_classes=3)
    np.testing.assert_allclose(chosen, fits[best], atol=1e-3)
    assert np.ptp(fits[-1]) > np.ptp(fits[0])


@pytest.mark.parametrize("n_features", [5, 400])
def test_features_are_learned_whatever_their_scale(n_features: int) -> None:
    rng = np.random.default_rng(42)
    labels = rng.integers(0, 3, 320)
    features = rng.normal(size=(320, n_features)) * 100 + 7
    features[:, :3] += 1000 * np.eye(3)[labels]
    features[:, -1] = 5.0  # constant: nothing to divide by
    logits = feature_regression(features=features, labels=labels, parts=PARTS, n_classes=4)
    assert (logits.argmax(axis=1) == labels)[PARTS == "test"].mean() > 0.8
    assert np.isfinite(logits).all()
    assert (softmax(logits.astype(float))[:, 3] < 1e-6).all()
    np.testing.assert_allclose(np.exp(logits.astype(float)).sum(axis=1), 1, atol=1e-4)


def test_one_diagnosis_in_training_is_the_majority() -> None:
    labels = np.where(PARTS == "train", 1, 0)
    logits = feature_regression(features=np.ones((320, 2)), labels=labels, parts=PARTS, n_classes=2)
    assert logits.argmax(axis=1).tolist() == [1] * 320


def test_what_cannot_be_fitted_is_refused() -> None:
    labels = np.arange(320) % 2
    with pytest.raises(DataError, match="must have validation images; got none"):
        feature_regression(
            features=np.ones((320, 2)),
            labels=labels,
            parts=np.where(PARTS == "validation", "test", PARTS),
            n_classes=2,
        )
    with pytest.raises(ShapeError, match=r"N = 320; got \(4, 2\)"):
        feature_regression(features=np.ones((4, 2)), labels=labels, parts=PARTS, n_classes=2)


def test_weaker_penalties_are_left_once_validation_likes_one_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, len(PARTS))
    features = rng.normal(size=(len(PARTS), 80))
    features[:, 0] += labels
    tried: list[float] = []
    fit = LogisticRegression.fit

    def noted(model: LogisticRegression, *given: object) -> object:
        tried.append(model.C)
        return fit(model, *given)

    monkeypatch.setattr(LogisticRegression, "fit", noted)
    chosen = feature_regression(features=features, labels=labels, parts=PARTS, n_classes=2)
    assert tried == [1e-4, 1e-3, 1e-2, 1e-1]
    alone = feature_regression(
        features=features, labels=labels, parts=PARTS, n_classes=2, strengths=(1e-2,)
    )
    np.testing.assert_allclose(softmax(chosen), softmax(alone), atol=1e-3)


def test_few_weights_are_fitted_to_all_diagnoses_at_once() -> None:
    """By scipy: the penalised multinomial loss, which one diagnosis against the rest has not."""
    rng = np.random.default_rng(42)
    features = rng.normal(size=(320, 2))
    labels = (features @ rng.normal(size=(2, 3)) + rng.gumbel(size=(320, 3))).argmax(axis=1)
    ours = feature_regression(
        features=features, labels=labels, parts=PARTS, n_classes=3, strengths=(0.1,)
    )
    train = features[PARTS == "train"]
    standard = (features - train.mean(axis=0)) / train.std(axis=0)

    def logits_of(weights: np.ndarray) -> np.ndarray:
        return standard @ weights[:6].reshape(2, 3) + weights[6:]

    def loss(weights: np.ndarray) -> float:
        logits, rows = logits_of(weights)[:200], np.arange(200)
        misfit = (logsumexp(logits, axis=1) - logits[rows, labels[:200]]).sum()
        return float(0.1 * misfit + (weights[:6] ** 2).sum() / 2)

    theirs = softmax(logits_of(minimize(loss, np.zeros(9), tol=1e-10).x))
    np.testing.assert_allclose(softmax(ours.astype(float)), theirs, atol=1e-4)


def test_the_oldest_scikit_learn_allowed_fits_all_diagnoses_at_once() -> None:
    """Up to 1.5 `newton-cholesky` fits each diagnosis against the rest: other probabilities."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (floor,) = [name for name in project["dependencies"] if name.startswith("scikit-learn")]
    assert tuple(map(int, re.findall(r"\d+", floor))) >= (1, 6)
