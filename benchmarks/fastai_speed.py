"""Against fastai's `vision_learner`: images a second with everything open, and frozen, in turn.

fastai reads, decodes and crops each file anew every epoch, by two workers, and computes in
float32; that is its usual way and part of its time. Ours takes steps on pixels that were decoded
before, and frozen on activations, which are computed before the clock starts; what those cost is
part of `benchmarks.speed`. With everything open the statistics of norms follow the images on both
sides. Run as
`python -m benchmarks.fastai_speed [--data DIR]`; without a data set it draws casts.
"""

import argparse
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.peers.material import LEAST, give
from benchmarks.peers.turns import Ratio, Side, Took, print_table

BACKBONES, BATCH = ("MobileNetV2", "DenseNet201"), 128
ROWS = {"all": ("fine-tuning everything (`unfreeze`)", 2.0), "head": ("frozen (`freeze`)", None)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a data set; casts are drawn without one")
    parser.add_argument("--images", type=int, default=1_000, help="so many of them; 0: all")
    parser.add_argument("--backbone", action="append", choices=BACKBONES)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2, help="batches a turn")
    chosen = parser.parse_args(arguments)
    if 0 < chosen.images < LEAST:
        parser.error(f"--images must be 0 or at least {LEAST}; got {chosen.images}")
    if find_spec("fastai") is None:
        print("fastai is not installed: `make bench` does it in .venv-bench.")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = give(folder, data=chosen.data, n_images=chosen.images)
        for backbone in chosen.backbone or BACKBONES:
            about: dict[str, Any] = {"folder": str(given.folder), "backbone": backbone}
            with (
                Side("moulage_side", **about, place=str(folder / backbone)) as ours,
                Side("fastai_side", is_peer=True, **about) as fastai,
            ):
                rows = measure(ours, fastai, n_pairs=chosen.pairs, n_steps=chosen.steps)
            print_table(f"{backbone}, {given.n_images:,} images", rows)


def measure(ours: Side, fastai: Side, *, n_pairs: int, n_steps: int) -> list[Ratio]:
    """Return both rows of one backbone."""
    rows = []
    for train_from, (quantity, aim) in ROWS.items():
        pairs: list[tuple[Took, Took]] = []
        for _ in range(n_pairs):
            words = {"train_from": train_from, "n_steps": n_steps}
            mine = ours.took("train", cache="cache", batchnorm="update", **words)
            pairs.append((mine, fastai.took("train", **words)))
        first, second = zip(*pairs, strict=True)
        rows.append(
            Ratio(quantity=quantity, ours=first, theirs=second, n_images=n_steps * BATCH, aim=aim)
        )
    return rows


if __name__ == "__main__":
    main()
