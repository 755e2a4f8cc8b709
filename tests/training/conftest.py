"""A training in miniature: 22 random squares, a network of a few thousand weights, one thread."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from moulage.networks.activations import activations_at
from moulage.networks.classifier import Classifier, InputContract, Recipe, build_classifier
from moulage.networks.machine import Machine
from moulage.networks.registry import backbone_named
from moulage.predictions import Predictions, write_predictions
from moulage.training.augmentation import Augmentation
from moulage.training.batches import ActivationSource, PixelSource, Source, views_of
from moulage.training.imbalance import Treatment
from moulage.training.loop import Job, logits_of
from moulage.training.phases import Phase

N_IMAGES, N_TRAIN, SIZE_PX, N_CLASSES = 22, 14, 32, 3
DIAGNOSES = ("nv", "mel", "bcc")
ONE_THREAD = Machine(device="cpu", precision="float32", threads=1)
RECIPE = Recipe(
    backbone="test_efficientnet",
    head="flatten",
    hidden=(8,),
    dropout=0.5,
    contract=InputContract(
        size_px=SIZE_PX,
        resize="squash",
        scaling=backbone_named("test_efficientnet").scaling,
        diagnoses=DIAGNOSES,
    ),
)


@dataclass
class Studio:
    """Makes jobs that differ in what a test says; notes what the loop asked for.

    boundaries: of every source made. ends: (phase's name, classifier's digest) of every phase end.
    """

    folder: Path
    boundaries: list[int] = field(default_factory=list)
    ends: list[tuple[str, str]] = field(default_factory=list)

    def job(self, **changes: Any) -> Job:
        """Return a job on fresh weights; predictions are written at each phase's end."""
        classifier = build_classifier(RECIPE, seed=0)
        pixels, labels = _images()
        augmentation = changes.pop("augmentation", Augmentation())

        def source_at(boundary: int) -> Source:
            self.boundaries.append(boundary)
            return _source(classifier, boundary, pixels, augmentation)

        def on_phase_end(phase: Phase, source: Source) -> None:
            boundary = classifier.boundary(phase.train_from)
            rows = np.arange(N_IMAGES)
            logits = logits_of(classifier, source, boundary, rows, machine=ONE_THREAD)
            write_predictions(_predictions(labels, logits), self.folder / f"{phase.name}.parquet")
            self.ends.append((phase.name, classifier.digest()))

        self.folder.mkdir(parents=True, exist_ok=True)
        job = Job(
            classifier=classifier,
            labels=labels,
            train_rows=np.arange(N_TRAIN),
            validation_rows=np.arange(N_TRAIN, N_IMAGES),
            counts=np.bincount(labels[:N_TRAIN], minlength=N_CLASSES),
            treatment=Treatment(),
            augmentation=augmentation,
            seed=5,
            machine=ONE_THREAD,
            folder=self.folder,
            source_at=source_at,
            on_phase_end=on_phase_end,
            progress=lambda what, done, total: None,
        )
        return replace(job, **changes)


def _images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rng = np.random.default_rng(42)
    labels = np.arange(N_IMAGES, dtype=np.int64) % N_CLASSES
    noise = rng.integers(0, 120, (N_IMAGES, SIZE_PX, SIZE_PX, 3))
    return (noise + 50 * labels[:, None, None, None]).astype(np.uint8), labels


def _source(
    classifier: Classifier, boundary: int, pixels: NDArray[np.uint8], augmentation: Augmentation
) -> Source:
    image_ids = np.array([f"image{row}" for row in range(N_IMAGES)])
    if boundary == 0:
        return PixelSource(
            pixels=pixels, image_ids=image_ids, augmentation=augmentation, device="cpu"
        )
    views = {
        view: activations_at(
            classifier, boundary, pixels=pixels, pixels_key="p", machine=ONE_THREAD, view=view
        )
        for view in views_of(augmentation)
    }
    return ActivationSource(
        views=views, image_ids=image_ids, augmentation=augmentation, device="cpu"
    )


def _predictions(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> Predictions:
    names = np.array([f"image{row}" for row in range(N_IMAGES)])
    return Predictions(
        image_ids=names,
        lesion_ids=names,
        parts=np.full(N_IMAGES, "test"),
        labels=labels,
        logits=logits,
        diagnoses=DIAGNOSES,
        prior=np.full(N_CLASSES, 1 / N_CLASSES),
    )


@pytest.fixture
def studio_in() -> Callable[[Path], Studio]:
    """Return a function that opens a studio in a folder."""
    return Studio


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """Return a studio in this test's folder."""
    return Studio(tmp_path / "run")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's caches."""
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread: small images gain nothing from two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
