"""How well a finished run tells strangers: its unfamiliarity on casts and on formulas' pictures.

In:  a run that was trained on photographs.   Out: AUROC of unfamiliarity and of energy against the
run's own test images, and the share of strangers that `predict` would flag.
Run as `python -m benchmarks.strangers --run RUN`; a minute or two.
Why these strangers: casts look like lesions and are none; the pictures of `tools/procedural.py`
have skin's colours and no lesion.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.casts.generator import make_casts
from moulage.data.dataset import read_dataset
from moulage.data.pixels import build_pixels
from moulage.evaluation.ranking import auroc
from moulage.evaluation.unfamiliarity import UNFAMILIAR, distances, energies, strangeness
from moulage.networks.impressions import impressions_of
from moulage.networks.machine import resolve_machine
from moulage.predictions import read_predictions
from moulage.runs.application import Opened, open_classifier
from moulage.runs.folder import PREDICTIONS, UNFAMILIARITY, open_run
from moulage.training.loop import answers_of
from tools.procedural import draw_picture


def main() -> None:
    """Print a row for each kind of stranger."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--n", type=int, default=300, help="strangers of each kind")
    asked = parser.parse_args()
    run = open_run(asked.run)
    opened = open_classifier(run)
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
