"""What the starter's weights are worth: its frozen features against those of random weights.

In:  casts, and any labelled data set.   Out: a table of balanced accuracy (rule: balanced).
The random network is given a fair chance: its BatchNorm statistics are estimated anew on the
training images, so that its maps are as well scaled as the starter's. Network, head, split,
input scaling and seeds are the same. Run as `python -m benchmarks.starter [--data DIR]`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from benchmarks._folders import apart
from moulage.casts.generator import make_casts
from moulage.networks.classifier import Classifier, build_network
from moulage.networks.inputs import pixels_to_images
from moulage.networks.tensors import read_header
from moulage.networks.weights import starter_architecture
from moulage.runs.config import StudyConfig
from moulage.runs.experiment import build
from moulage.runs.material import Material, prepare, read_images
from moulage.runs.progress import silently
from moulage.runs.schedule import run_study
from moulage.runs.study import cells_of
from moulage.runs.studyfile import parse_study

_BATCH = 100
_MOST_IMAGES = 2_000
_N_CASTS = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Test balanced accuracies (rule: balanced) of one data set, one a seed."""

    dataset: str
    starter: tuple[float, ...]
    random: tuple[float, ...]

    @property
    def points(self) -> float:
        """The difference of the means, in points."""
        return 100 * float(np.mean(self.starter) - np.mean(self.random))


def measure_gain(
    data: Path,
    *,
    folder: Path,
    seeds: Sequence[int] = (0, 1, 2),
    size_px: int = 128,
    epochs: int = 10,
    n_threads: int = 0,
) -> Gain:
    """Train the same head on both networks' frozen maps; `folder` holds what is written."""
    folder.mkdir(exist_ok=True)
    plan: dict[str, Any] = {
        "data": data,
        "size_px": size_px,
        "epochs": epochs,
        "n_threads": n_threads,
    }
    files = [_write_random(_study(["starter"], [seed], **plan), seed, folder) for seed in seeds]
    starter = _scores(_study(["starter"] * len(seeds), seeds, **plan), folder / "starter")
    control = _scores(_study([str(file) for file in files], seeds, **plan), folder / "random")
    return Gain(dataset=data.name, starter=starter, random=control)


def estimate_statistics(classifier: Classifier, pixels: NDArray[np.uint8]) -> None:
    """Set every BatchNorm's running statistics to the mean over batches of pixels (N, H, W, 3)."""
    norms = [m for m in classifier.network.modules() if isinstance(m, nn.BatchNorm2d)]
    classifier.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the plain mean of all batches
        norm.train()
    with torch.inference_mode():
        for start in range(0, len(pixels), _BATCH):
            images = pixels_to_images(pixels[start : start + _BATCH], "cpu")
            classifier.below(images, len(classifier.stages))
    classifier.eval()


def table_of(gains: Sequence[Gain]) -> str:
    """Return the table, a line a data set."""
    lines = ["data set | starter | random, statistics anew | gain, points", "--- | --- | --- | ---"]
    for gain in gains:
        lines.append(
            f"{gain.dataset} | {_words(gain.starter)} | {_words(gain.random)} | {gain.points:+.1f}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on casts and on the given data sets, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[], help="repeatable")
    parser.add_argument("--casts", type=int, default=_N_CASTS, help="how many to draw")
    parser.add_argument("--size", type=int, default=128, help="side of the inputs, in pixels")
    parser.add_argument("--epochs", type=int, default=10)
    chosen = parser.parse_args(arguments)
    with apart() as place:
        casts = make_casts(place / "casts", n_images=chosen.casts, seed=0).folder
        gains = [
            measure_gain(
                data, folder=place / f"{number}", size_px=chosen.size, epochs=chosen.epochs
            )
            for number, data in enumerate((casts, *chosen.data))
        ]
    print("Test balanced accuracy (rule: balanced): mean (each seed)\n")
    print(table_of(gains))


def _study(
    weights: Sequence[str],
    seeds: Sequence[int],
    *,
    data: Path,
    size_px: int,
    epochs: int,
    n_threads: int,
) -> StudyConfig:
    """Return a study of the paper's frozen phase and head, an experiment a seed."""
    phase = {"name": "frozen", "train_from": "head", "epochs": epochs, "learning_rate": 1e-3}
    content = {
        "dataset": {"path": str(data)},
        "images": {"size": size_px},
        "machine": {"threads": n_threads},
        "common": {
            "backbone": starter_architecture(),
            "imbalance": "logit_adjustment",
            "phases": [phase],
        },
        "experiment": [
            {"name": f"seed{seed}", "weights": choice, "seeds": [seed]}
            for seed, choice in zip(seeds, weights, strict=True)
        ],
    }
    return parse_study(content)


def _write_random(study: StudyConfig, seed: int, folder: Path) -> Path:
    """Write random weights with statistics estimated on a starter study's training part.

    The header says of their inputs what the starter's says, so that both are scaled alike.
    """
    cell = cells_of(study)[0]
    material = prepare(cell, read_images(study, silently))
    classifier, starter = build(cell, material)
    assert starter is not None
    random = build_network(classifier.recipe.backbone, seed=seed)
    classifier.network.load_state_dict(random.state_dict())
    estimate_statistics(classifier, _training_pixels(material, seed))
    words = read_header(starter.path).words
    path = folder / f"random-seed{seed}.safetensors"
    save_file(
        {name: tensor.contiguous() for name, tensor in classifier.network.state_dict().items()},
        path,
        metadata={name: words[name] for name in ("architecture", "mean", "std")},
    )
    return path


def _training_pixels(material: Material, seed: int) -> NDArray[np.uint8]:
    rows = np.random.default_rng(seed).permutation(material.of("train"))[:_MOST_IMAGES]
    return np.asarray(material.pixels.array[np.sort(rows)])


def _scores(study: StudyConfig, out: Path) -> tuple[float, ...]:
    outcome = run_study(study, out=out, only=(), fresh=False, progress=silently)
    tests = [run.metrics()["parts"]["test"] for run in outcome.finished]
    return tuple(float(test["balanced"]["balanced_accuracy"]) for test in tests)


def _words(scores: Sequence[float]) -> str:
    return f"{np.mean(scores):.3f} ({', '.join(f'{score:.3f}' for score in scores)})"


if __name__ == "__main__":
    main()
