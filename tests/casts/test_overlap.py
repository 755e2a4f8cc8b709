"""Diagnoses can be told apart from simple features, but not perfectly."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from moulage.casts import recipes
from moulage.casts.cohort import DIAGNOSES
from moulage.casts.lesion import paint_lesion
from moulage.casts.photograph import photograph
from moulage.seeding import generator

SIZE = (64, 48)
N_LESIONS = 12


def features_of(diagnosis: str, number: int) -> NDArray[np.float64]:
    """Colours and textures in the lesion and of the whole image: means, spreads, extremes."""
    scene = paint_lesion(diagnosis=diagnosis, seed=11, number=number, size=SIZE)
    taken = photograph(scene, size=SIZE, rng=generator("overlap", diagnosis, number))
    pixels = taken.pixels.astype(np.float64)
    inside, outside = pixels[taken.mask], pixels[~taken.mask]
    relative = inside / outside.mean(axis=0)
    edges = np.abs(cv2.Laplacian(taken.pixels.mean(axis=2), cv2.CV_64F))[taken.mask]
    return np.concatenate(
        [
            relative.mean(axis=0),
            relative.std(axis=0),
            np.percentile(relative, [5, 95], axis=0).ravel(),
            [edges.mean(), edges.std(), taken.mask.mean()],
        ]
    )


def nearest_centroid_accuracy() -> float:
    """Balanced accuracy of the nearest class mean, learned on one half and tried on the other."""
    table = np.array([[features_of(dx, n) for n in range(N_LESIONS)] for dx in DIAGNOSES])
    learn, check = table[:, ::2], table[:, 1::2]
    centre, spread = learn.mean(axis=(0, 1)), learn.std(axis=(0, 1))
    centroids = ((learn - centre) / spread).mean(axis=1)
    away = np.linalg.norm(((check - centre) / spread)[:, :, None] - centroids, axis=-1)
    return float((away.argmin(axis=-1) == np.arange(len(DIAGNOSES))[:, None]).mean())


def test_simple_features_beat_chance_and_are_far_from_perfect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overlapping = nearest_centroid_accuracy()
    assert 2.5 / 7 < overlapping < 0.85
    monkeypatch.setattr(recipes, "OVERLAP", 0.0)
    assert nearest_centroid_accuracy() > overlapping + 0.05
