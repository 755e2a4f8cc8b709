"""A CUDA device: the same answers as the processor's, a run gone on with, a run applied."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

import moulage
from moulage.casts.generator import make_casts
from moulage.networks.activations import activations_at
from moulage.networks.classifier import InputContract, Recipe, build_classifier
from moulage.networks.machine import resolve_machine
from moulage.networks.registry import backbone_named
from moulage.predictions import read_predictions
from moulage.training import loop

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here"),
]
STUDY = """
name = "there"
[images]
size = 64
[[experiment]]
name = "net"
backbone = "mobilenetv2_050"
weights = "starter"
head = "pooled"
hidden = []
views = 8
imbalance = "logit_adjustment"
[experiment.augmentation]
flips = true
turns = true
rotation = 20.0
scale = [0.8, 1.1]
brightness = 0.2
hue = 0.02
blur = 0.01
noise = 0.02
mixup = 0.2
[[experiment.phases]]
name = "frozen"
train_from = "head"
epochs = 4
batch = 32
learning_rate = 3e-3
[[experiment.phases]]
name = "fine-tuned"
train_from = "all"
epochs = 6
batch = 32
optimizer = "adamw"
learning_rate = 1e-3
schedule = "one_cycle"
average = 0.9
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder with casts and a study, where caches lie, too."""
    home = tmp_path_factory.mktemp("gpu")
    make_casts(home / "casts", n_images=500, seed=1, size=(100, 75))
    (home / "study.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MOULAGE_CACHE", str(home / "cache"))
        patched.setenv("MOULAGE_DATA", str(home / "data"))
        yield home


def trained(home: Path, out: str, **machine: str) -> Path:
    changes = [f"machine.{name}={value}" for name, value in machine.items()]
    moulage.train(home / "study.toml", data=home / "casts", out=home / out, changes=changes)
    return home / out / "there" / "net-seed0"


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    """Return the run that the device trained."""
    return trained(home, "runs", device="cuda")


@pytest.mark.parametrize("backbone", ["MobileNetV2", "DenseNet201", "MobileNetV3Small"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.01), ("bfloat16", 0.05)])
def test_activations_are_the_processors(
    home: Path, backbone: str, precision: str, tolerance: float
) -> None:
    scaling = backbone_named(backbone).scaling
    contract = InputContract(size_px=64, resize="crop", scaling=scaling, diagnoses=("mel", "nv"))
    recipe = Recipe(backbone=backbone, head="pooled", hidden=(), dropout=0.0, contract=contract)
    pixels = np.random.default_rng(0).integers(0, 256, (80, 64, 64, 3), dtype=np.uint8)

    def maps(device: str, precision: str) -> NDArray[np.float32]:
        machine = resolve_machine(device=device, precision=precision)
        classifier = build_classifier(recipe, seed=0).to(machine.device)
        top = len(classifier.stages)
        found = activations_at(classifier, top, pixels=pixels, pixels_key="noise", machine=machine)
        return np.asarray(found.read(np.arange(80)).float().numpy())

    ours, theirs = maps("cuda", precision), maps("cpu", "float32")
    assert np.abs(ours - theirs).mean() < tolerance * np.abs(theirs).mean()


def test_a_study_learns_there_what_it_learns_here(home: Path, run: Path) -> None:
    ours = read_predictions(run / "predictions.parquet").of("test")
    here = read_predictions(trained(home, "here", device="cpu") / "predictions.parquet")
    theirs = here.of("test")
    right = [(one.logits.argmax(1) == one.labels).mean() for one in (ours, theirs)]
    assert min(right) > 0.6
    assert abs(right[0] - right[1]) < 0.12


def test_a_run_interrupted_there_goes_on(
    home: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[tuple[int, int]] = []

    def noted(*given: Any) -> None:
        *_, place = given
        places.append((place.phase, place.epoch))
        if len(places) == 60:
            raise KeyboardInterrupt
        step(*given)

    step = loop.train_step
    monkeypatch.setattr(loop, "train_step", noted)
    with pytest.raises(KeyboardInterrupt):
        trained(home, "torn", device="cuda")
    again = trained(home, "torn", device="cuda")
    torn_at, goes_on_at = places[59], places[60]
    assert torn_at == goes_on_at > (0, 0)
    history = pd.read_csv(again / "history.csv")
    assert len(history) == len(pd.read_csv(run / "history.csv"))
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[4]


def test_predict_and_explain_answer_as_the_run_did(home: Path, run: Path, tmp_path: Path) -> None:
    kept = read_predictions(run / "predictions.parquet").of("test")
    images = sorted((home / "casts").rglob("*.jpg"))
    named = {path.stem: path for path in images}
    chosen = [named[image_id] for image_id in kept.image_ids[:20]]
    answers = moulage.predict(run, chosen).table
    columns = [f"probability_{code}" for code in kept.diagnoses]
    apart = np.abs(answers[columns].to_numpy() - kept.probabilities()[:20])
    assert apart.max() < 0.1
    assert apart.mean() < 0.01
    casebook = moulage.explain(run, chosen[:2], out=tmp_path)
    assert len(casebook.cases) == 2
    assert (tmp_path / "explanations.html").is_file()
