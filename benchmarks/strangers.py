"""How well a finished run tells strangers: its unfamiliarity on casts and on formulas' pictures.

In:  a run that was trained on photographs.   Out: AUROC of unfamiliarity and of energy against the
run's own test images, and the share of strangers that `predict` would flag.
Run as `python -m benchmarks.strangers --run RUN`; a minute or two. With `--stages` it fits the
distance at each stage of the backbone instead, which is how the two stages were chosen.
Why these strangers: casts look like lesions and are none; the pictures of `tools/procedural.py`
have skin's colours and no lesion.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from moulage.casts.generator import make_casts
from moulage.catalogue import read_catalogue
from moulage.data.dataset import read_dataset
from moulage.data.pixels import build_pixels
from moulage.evaluation.ranking import auroc
from moulage.evaluation.unfamiliarity import (
    UNFAMILIAR,
    distances,
    energies,
    fit_familiarity,
    strangeness,
)
from moulage.networks.classifier import Classifier
from moulage.networks.impressions import impressions_of, places_of
from moulage.networks.inputs import pixels_to_images
from moulage.networks.machine import resolve_machine
from moulage.predictions import read_predictions
from moulage.runs.application import Opened, open_classifier
from moulage.runs.folder import (
    CATALOGUE,
    PREDICTIONS,
    SPLIT,
    UNFAMILIARITY,
    RunFolder,
    open_run,
)
from moulage.split import Part, positions, read_split
from moulage.training.loop import answers_of
from tools.procedural import draw_picture


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each kind of stranger."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run's folder")
    parser.add_argument("--n", type=int, default=300, help="strangers of each kind")
    parser.add_argument("--stages", action="store_true", help="compare the backbone's stages")
    asked = parser.parse_args(arguments)
    if asked.run is None:
        print("Name a finished run: python -m benchmarks.strangers --run runs/STUDY/RUN")
        return
    run = open_run(asked.run)
    opened = open_classifier(run)
    if asked.stages:
        compare_stages(run, opened, asked.n)
        return
    assert opened.familiarity is not None, "the run is older than the measure"
    table = pd.read_csv(run.path / UNFAMILIARITY)
    test = read_predictions(run.path / PREDICTIONS).of("test")
    known = {
        "distance": table["distance"].to_numpy(dtype=np.float64),
        "energy": energies(test.logits, temperature=test.temperature),
    }
    contract = opened.saved.classifier.recipe.contract
    for kind, pixels in strangers(asked.n, contract.size_px).items():
        impressions, scores = _measured(opened, pixels)
        for name, strange in scores.items():
            area = _area(known[name], strange)
            print(f"{kind}: AUROC of {name} {area:.4f} against {len(known[name]):,} test images")
        flagged = strangeness(opened.familiarity, impressions) >= UNFAMILIAR
        print(f"{kind}: {flagged.mean():.1%} of {len(pixels)} flagged as unfamiliar")
    share = float((table["unfamiliarity"] >= UNFAMILIAR).mean())
    print(f"the run's own test part: {share:.1%} flagged as unfamiliar")


def compare_stages(run: RunFolder, opened: Opened, n: int) -> None:
    """Print the AUROC of the distance fitted at each stage alone, and at the two that are used."""
    classifier = opened.saved.classifier
    contract = classifier.recipe.contract
    catalogue, split = read_catalogue(run.path / CATALOGUE), read_split(run.path / SPLIT)
    pixels = build_pixels(catalogue, size_px=contract.size_px, resize=contract.resize).array
    rows = positions(split, catalogue.image_ids)
    rng = np.random.default_rng(0)
    most: dict[Part, int] = {"train": 2000, "test": 800}
    shown: dict[str, NDArray[np.uint8]] = {
        part: pixels[np.sort(rng.choice(rows[split.rows_of(part)], n_most, replace=False))]
        for part, n_most in most.items()
    }
    shown |= strangers(n, contract.size_px)
    pooled = {name: pooled_by_stage(classifier, some) for name, some in shown.items()}
    names = [stage.name for stage in classifier.stages]
    used = places_of(len(names))
    chosen = {name: (place,) for place, name in enumerate(names)}
    for title, places in {**chosen, " and ".join(names[i] for i in used): used}.items():
        at = {
            name: np.concatenate([stages[place] for place in places], axis=1)
            for name, stages in pooled.items()
        }
        fitted = fit_familiarity(at.pop("train"))
        away = {name: distances(fitted, features) for name, features in at.items()}
        areas = {name: _area(away["test"], away[name]) for name in ("casts", "pictures")}
        print(f"{title}: AUROC {areas['casts']:.3f} casts, {areas['pictures']:.3f} pictures")


def pooled_by_stage(classifier: Classifier, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return each stage's pooled maps (N, D), first to last."""
    classifier.eval()
    found: list[list[NDArray[np.float32]]] = [[] for _ in classifier.stages]
    for start in range(0, len(pixels), 128):
        images = pixels_to_images(pixels[start : start + 128], "cpu")
        with torch.inference_mode():
            maps = (images - classifier.mean) / classifier.std
            for blocks, stage in zip(found, classifier.stages, strict=True):
                maps = stage(maps)
                blocks.append(maps.float().mean(dim=(2, 3)).numpy())
    return [np.concatenate(blocks) for blocks in found]


def strangers(n: int, size_px: int) -> dict[str, NDArray[np.uint8]]:
    """Draw casts, and pictures without any lesion."""
    with tempfile.TemporaryDirectory() as folder:
        casts = Path(folder) / "casts"
        make_casts(casts, n_images=n, seed=7, size=(200, 150))
        drawn = np.array(build_pixels(read_dataset(casts), size_px=size_px, resize="squash").array)
    pictures = [draw_picture(np.random.default_rng([9, i]), size_px).pixels for i in range(n)]
    return {"casts": drawn, "pictures": np.stack(pictures)}


def _measured(
    opened: Opened, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float64]]]:
    machine, saved = resolve_machine(), opened.saved
    assert opened.familiarity is not None
    impressions = impressions_of(saved.classifier, pixels, machine=machine)
    logits = answers_of(saved.classifier, pixels, machine=machine)
    return impressions, {
        "distance": distances(opened.familiarity, impressions),
        "energy": energies(logits, temperature=saved.temperature),
    }


def _area(known: NDArray[np.float64], strange: NDArray[np.float64]) -> float:
    positives = np.repeat([False, True], [len(known), len(strange)])
    return auroc(positives=positives, scores=np.concatenate([known, strange]))


if __name__ == "__main__":
    main()
