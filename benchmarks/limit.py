"""The machine's limit: our activations against the best of other engines, in turn.

Ours are computed as a run does it, impressions noted and all written to the cache, and, in a row of
their own, computed alone, which is all that the others do. Each engine has a process of its own.
Also says, for information, the share of the measured rate of large matrix products, in the
machine's own precision, that our activations reach. A processor without units for bfloat16 is not
asked for it. Run as `python -m benchmarks.limit`.
"""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from statistics import median
from typing import Any

from benchmarks._folders import apart
from benchmarks.peers.turns import Ratio, Side, Took, print_table
from moulage.networks.machine import resolve_machine

_ONNX = "ONNX Runtime, float32"
ENGINES = ("bfloat16 autocast", "pure bfloat16", "torch.compile", _ONNX)
BACKBONES = ("MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "DenseNet201")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", action="append", choices=BACKBONES)
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--images", type=int, default=512, help="of random pixels, a turn")
    parser.add_argument("--pairs", type=int, default=3)
    chosen = parser.parse_args(arguments)
    precision = resolve_machine().precision
    engines = chosen.engine or [
        name for name in ENGINES if precision == "bfloat16" or "bfloat16" not in name
    ]
    if _ONNX in engines and find_spec("onnxruntime") is None:
        print("ONNX Runtime is not installed: `make bench` does it in .venv-bench.")
        engines = [name for name in engines if name != _ONNX]
    with apart():
        for backbone in chosen.backbone or ("MobileNetV2", "DenseNet201"):
            measure(backbone, engines, precision, n_images=chosen.images, n_pairs=chosen.pairs)


def measure(
    backbone: str, engines: Sequence[str], precision: str, *, n_images: int, n_pairs: int
) -> None:
    """Print one backbone's table."""
    about: dict[str, Any] = {"backbone": backbone, "n_images": n_images}
    with ExitStack() as opened:
        ours = opened.enter_context(Side("engine_side", **about))
        others = {
            name: opened.enter_context(Side("engine_side", is_peer=True, **about))
            for name in engines
        }
        for name, side in others.items():
            side.ask("limit", engine=name)
        ours.ask("moulage")
        ours.ask("limit", engine="moulage")
        turns: list[Took] = []
        alone: list[Took] = []
        theirs: dict[str, list[Took]] = {name: [] for name in engines}
        products: list[float] = []
        for _ in range(n_pairs):
            turns.append(ours.took("moulage"))
            alone.append(ours.took("limit", engine="moulage"))
            answer = ours.ask("products", precision=precision)
            products.append(answer["gflop"] / answer["seconds"])
            for name, side in others.items():
                theirs[name].append(side.took("limit", engine=name))
        work = ours.ask("work")["gflop"]
    best = [min(turn, key=_seconds) for turn in zip(*theirs.values(), strict=True)]

    def row(
        quantity: str, own: Sequence[Took], peer: Sequence[Took], aim: float | None = None
    ) -> Ratio:
        return Ratio(
            quantity=quantity, ours=tuple(own), theirs=tuple(peer), n_images=n_images, aim=aim
        )

    print_table(
        f"{backbone}: activations of {n_images} images",
        [
            *(row(f"kept, against {name}", turns, theirs[name]) for name in engines),
            row("kept, against the best of each turn", turns, best, aim=0.95),
            row("computed alone, against the best of each turn", alone, best, aim=0.95),
        ],
    )
    share = n_images * work / median(map(_seconds, turns)) / median(products)
    print(
        f"\n{work:.2f} GFLOP an image: {100 * share:.0f} % of the rate of large {precision} "
        f"products, {median(products):,.0f} GFLOP/s"
    )


def _seconds(took: Took) -> float:
    return took.seconds


if __name__ == "__main__":
    main()
