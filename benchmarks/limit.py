"""The machine's limit: our activations against the best of other engines, in turn.

Ours are computed as a run does it, written to the cache included; the others only compute. Each
engine has a process of its own. Also says, for information, the share of the measured rate of
large bfloat16 matrix products that our activations reach. Run as `python -m benchmarks.limit`.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

from benchmarks.peers.turns import Ratio, Side, Took, print_table

ENGINES = ("bfloat16 autocast", "pure bfloat16", "torch.compile", "ONNX Runtime, float32")
BACKBONES = ("MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "DenseNet201")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", action="append", choices=BACKBONES)
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--images", type=int, default=512, help="of random pixels, a turn")
    parser.add_argument("--pairs", type=int, default=3)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MOULAGE_CACHE"] = folder
        for backbone in chosen.backbone or ("MobileNetV2", "DenseNet201"):
            engines = chosen.engine or ENGINES
            measure(backbone, engines, n_images=chosen.images, n_pairs=chosen.pairs)


def measure(backbone: str, engines: Sequence[str], *, n_images: int, n_pairs: int) -> None:
    """Print one backbone's table."""
    about = {"backbone": backbone, "n_images": n_images}
    with ExitStack() as opened:
        ours = opened.enter_context(Side("engine_side", **about))
        others = {name: opened.enter_context(Side("engine_side", **about)) for name in engines}
        for name, side in others.items():
            side.ask("limit", engine=name)
        ours.ask("moulage")
        turns: list[Took] = []
        theirs: dict[str, list[Took]] = {name: [] for name in engines}
        products: list[float] = []
        for _ in range(n_pairs):
            turns.append(ours.took("moulage"))
            answer = ours.ask("products", precision="bfloat16")
            products.append(answer["gflop"] / answer["seconds"])
            for name, side in others.items():
                theirs[name].append(side.took("limit", engine=name))
        work = ours.ask("work")["gflop"]
    best = [min(turn, key=_seconds) for turn in zip(*theirs.values(), strict=True)]

    def row(quantity: str, peer: Sequence[Took], aim: float | None = None) -> Ratio:
        return Ratio(
            quantity=quantity, ours=tuple(turns), theirs=tuple(peer), n_images=n_images, aim=aim
        )

    rows = [row(f"against {name}", theirs[name]) for name in engines]
    print_table(
        f"{backbone}: activations of {n_images} images",
        [*rows, row("against the best of each turn", best, aim=0.95)],
    )
    share = n_images * work / median(map(_seconds, turns)) / median(products)
    print(
        f"\n{work:.2f} GFLOP an image: {100 * share:.0f} % of the rate of large bfloat16 products, "
        f"{median(products):,.0f} GFLOP/s"
    )


def _seconds(took: Took) -> float:
    return took.seconds


if __name__ == "__main__":
    main()
