"""What other cameras do to finished runs: validation images seen nearer, softer, noisier, tinted.

In:  runs of one data set and split.   Out: a Markdown row a camera: accuracy (natural), balanced
accuracy (balanced) and macro AUROC of each run on its validation part.
Why validation: recipes are chosen by it, and the test part stays unseen. A simulated camera is no
other hospital; who fails here will fail there. Images are shown once, without a recipe's views,
and to runs that read nothing beside them.
Run as `python -m benchmarks.cameras --run RUN [--run RUN …]`.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional

from moulage.catalogue import read_catalogue
from moulage.data.pixels import build_pixels
from moulage.evaluation.metrics import summary
from moulage.networks.classifier import Classifier
from moulage.networks.machine import resolve_machine
from moulage.networks.saved import load_classifier
from moulage.predictions import read_predictions
from moulage.runs.folder import CATALOGUE, PREDICTIONS, SPLIT
from moulage.split import positions, read_split
from moulage.training.augmentation import soften
from moulage.training.loop import answers_of
from moulage.views import IDENTITY

_NOISE_OF_255, _BLUR_PX = 10, 1.5
Pixels = NDArray[np.uint8]
Scores = tuple[float, float, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, action="append", help="a finished run; repeatable")
    asked = parser.parse_args(arguments)
    if asked.run is None:
        print("Name finished runs: python -m benchmarks.cameras --run runs/STUDY/RUN")
        return
    runs = [scores_of(path) for path in asked.run]
    print(f"| camera | {' | '.join(path.name for path in asked.run)} |")
    print(f"| --- |{' --- |' * len(runs)}")
    for camera in CAMERAS:
        print(row_of(camera, [scores[camera] for scores in runs]))
    print(row_of("mean of the others", [mean_of_others(scores) for scores in runs]))


def scores_of(path: Path) -> dict[str, Scores]:
    """Return a run's three scores through each camera."""
    machine, classifier = resolve_machine(), load_classifier(path).classifier
    if classifier.recipe.covariates:
        raise SystemExit(f"{path} reads covariates; name runs that read images alone.")
    for part in classifier.modules():
        if isinstance(part, Classifier):
            part.recipe = replace(part.recipe, views=(IDENTITY,))
    contract = classifier.recipe.contract
    catalogue, split = read_catalogue(path / CATALOGUE), read_split(path / SPLIT)
    pixels = build_pixels(catalogue, size_px=contract.size_px, resize=contract.resize)
    rows = positions(split, catalogue.image_ids)[split.rows_of("validation")]
    kept = read_predictions(path / PREDICTIONS).of("validation")
    assert (kept.image_ids == catalogue.image_ids[rows]).all(), "predictions in the split's order"
    classifier.to(machine.device)

    def scores(camera: Callable[[Tensor], Tensor]) -> Scores:
        logits = answers_of(classifier, seen(pixels.array[rows], camera), machine=machine)
        answered = replace(kept, logits=logits)
        natural, balanced = (
            summary(answered, rule=rule).values for rule in ("natural", "balanced")
        )
        return natural["accuracy"], balanced["balanced_accuracy"], natural["macro_auroc"]

    return {name: scores(camera) for name, camera in CAMERAS.items()}


def mean_of_others(scores: dict[str, Scores]) -> Scores:
    """Return the mean scores through every camera but the run's own."""
    _, *others = scores.values()
    first, second, third = np.mean(others, axis=0).tolist()
    return first, second, third


def seen(pixels: Pixels, camera: Callable[[Tensor], Tensor]) -> Pixels:
    """Return pixels (n, H, W, 3) as a camera sees them."""
    images = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2)
    return np.ascontiguousarray(camera(images).permute(0, 2, 3, 1).numpy())


def _nearer(images: Tensor, factor: float) -> Tensor:
    side = images.shape[-1]
    middle = functional.center_crop(images, [round(side / factor)] * 2)
    return torch.as_tensor(functional.resize(middle, [side, side], antialias=True))


def _coarser(images: Tensor) -> Tensor:
    side = images.shape[-1]
    small = functional.resize(images, [side // 2, side // 2], antialias=True)
    return torch.as_tensor(functional.resize(small, [side, side], antialias=True))


def _out_of_focus(images: Tensor) -> Tensor:
    share = _BLUR_PX / images.shape[-1]
    soft = soften(images / 255, torch.full((len(images),), share), most=share)
    return (255 * soft).round_().byte()


def _tinted(images: Tensor, red: float, blue: float) -> Tensor:
    factors = torch.tensor([red, 1.0, blue])[:, None, None]
    return (images * factors).clamp_(0, 255).round_().byte()


def _noisy(images: Tensor) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + _NOISE_OF_255 * noise).clamp_(0, 255).round_().byte()


CAMERAS: dict[str, Callable[[Tensor], Tensor]] = {
    "its own": lambda images: images,
    "nearer by 1.3": lambda images: _nearer(images, 1.3),
    "nearer by 1.6": lambda images: _nearer(images, 1.6),
    "half the pixels": _coarser,
    "out of focus, 1.5 px": _out_of_focus,
    "noise of 10 in 255": _noisy,
    "warm light": lambda images: _tinted(images, 1.1, 0.85),
    "cool light": lambda images: _tinted(images, 0.85, 1.12),
    "dark, 0.7": lambda images: functional.adjust_brightness(images, 0.7),
    "bright, 1.25": lambda images: functional.adjust_brightness(images, 1.25),
    "flat, contrast 0.7": lambda images: functional.adjust_contrast(images, 0.7),
    "pale, saturation 0.6": lambda images: functional.adjust_saturation(images, 0.6),
}


def row_of(name: str, scores: Sequence[Scores]) -> str:
    """Return a row in Markdown."""
    cells = [" / ".join(f"{score:.3f}" for score in found) for found in scores]
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
