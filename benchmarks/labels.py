"""How many planted wrong labels a survey's review finds, and how many lesions it names in vain.

Draws casts with a share of lesions mislabelled, and prints precision and recall of the list, for
the starter and, where its ImageNet weights are on this machine, for MobileNetV2. Precision among
the first is that of as many as were planted. Run as `python -m benchmarks.labels`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._folders import apart
from moulage.casts.generator import make_casts
from moulage.casts.planting import EVERYDAY, WrongLabels
from moulage.data.dataset import read_dataset
from moulage.data.pixels import build_pixels
from moulage.networks.registry import backbone_named
from moulage.networks.weights import local_weights
from moulage.runs.description import SIZE_PX
from moulage.runs.review import BACKBONE, review_catalogue


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, review, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000, help="photographs")
    parser.add_argument("--share", type=float, default=0.03, help="of lesions, mislabelled")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    judges = ["starter"]
    if local_weights(backbone_named(BACKBONE)) is not None:
        judges.append(BACKBONE)
    print(
        f"{'judge':<16} {'planted':>8} {'listed':>7} {'precision':>10} {'recall':>7} {'first':>6}"
    )
    with apart() as folder:
        for judge in judges:
            _measure(folder / "casts", judge, n=chosen.n, share=chosen.share, seed=chosen.seed)


def _measure(folder: Path, judge: str, *, n: int, share: float, seed: int) -> None:
    if not folder.exists():
        plantings = [*EVERYDAY, WrongLabels(share=share)]
        make_casts(folder, n_images=n, seed=seed, plantings=plantings)
    wrong = _planted(folder)
    catalogue = read_dataset(folder)
    pixels = build_pixels(catalogue, size_px=SIZE_PX, resize="squash")
    review, why_not = review_catalogue(
        catalogue, pixels, judge=judge, progress=lambda what, done, total: None
    )
    assert review is not None, why_not
    is_right = np.array([suspect.lesion_id in wrong for suspect in review.suspects])
    print(
        f"{judge:<16} {len(wrong):>8} {len(is_right):>7} {is_right.mean():>10.2f} "
        f"{is_right.sum() / len(wrong):>7.2f} {is_right[: len(wrong)].mean():>6.2f}",
        flush=True,
    )


def _planted(folder: Path) -> set[str]:
    plantings = pd.read_csv(folder / "plantings.csv")
    images = set(plantings.loc[plantings["kind"] == "wrong_label", "image_id"])
    metadata = pd.read_csv(folder / "HAM10000_metadata.csv")
    return set(metadata.loc[metadata["image_id"].isin(images), "lesion_id"])


if __name__ == "__main__":
    main()
