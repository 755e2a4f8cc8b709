from collections.abc import Callable

import numpy as np
import pytest

from moulage.predictions import Predictions

Maker = Callable[..., Predictions]


@pytest.fixture
def make_predictions() -> Maker:
    """Predictions from labels and logits; each image its own lesion unless told otherwise."""

    def make(
        *,
        labels: object,
        logits: object,
        lesion_ids: object = None,
        part: str = "test",
        prior: object = None,
        temperature: float = 1.0,
    ) -> Predictions:
        scores = np.asarray(logits, dtype=np.float32)
        n_images, n_classes = scores.shape
        ids = np.array([f"I{number:05d}" for number in range(n_images)])
        return Predictions(
            image_ids=ids,
            lesion_ids=ids if lesion_ids is None else np.asarray(lesion_ids, dtype=str),
            parts=np.full(n_images, part),
            labels=np.asarray(labels, dtype=np.int64),
            logits=scores,
            diagnoses=tuple("abcdefghij"[:n_classes]),
            prior=np.full(n_classes, 1 / n_classes) if prior is None else np.asarray(prior),
            temperature=temperature,
        )

    return make


@pytest.fixture
def random_case(make_predictions: Maker) -> Callable[[int], Predictions]:
    """Case number 0 … 199: few images, absent diagnoses, ties, one lesion, one decision."""

    def make(number: int) -> Predictions:
        rng = np.random.default_rng(number)
        n_classes = int(rng.integers(2, 9))
        n_images = int(rng.integers(1, 8) if number % 5 == 0 else rng.integers(8, 80))
        present = rng.choice(n_classes, size=int(rng.integers(1, n_classes + 1)), replace=False)
        labels = rng.choice(present, size=n_images)
        logits = rng.normal(size=(n_images, n_classes)) * 2
        logits[np.arange(n_images), labels] += rng.uniform(0, 3)
        if number % 3 == 0:
            logits = np.round(logits)
        if number % 7 == 0:
            logits[:] = logits[0]
        n_lesions = 1 if number % 11 == 0 else max(1, n_images // 2)
        return make_predictions(
            labels=labels,
            logits=logits,
            lesion_ids=rng.integers(0, n_lesions, n_images),
            prior=rng.dirichlet(np.ones(n_classes)),
            temperature=float(rng.uniform(0.5, 2)),
        )

    return make
