"""Growth: do time and memory an image hold from 2,500 images to 40,000?

Draws casts of each number, small ones: drawing is what takes longest here. Each step of each
number runs in a process of its own: decoding to 128 px, activations of MobileNetV2 (random
weights), a frozen phase of one epoch with all that follows it, the survey. Prints milliseconds
an image, wall and processor, and the most private memory above what the process began with, of
all images and of each; the last columns are an image's, relative to the smallest number. Run as
`python -m benchmarks.growth`.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.turns import Side
from moulage.casts.generator import METADATA_FILE, make_casts

SIZES = (2_500, 10_000, 40_000)
CAST_SIZE = (96, 72)
STEPS = ("decode", "activations", "frozen", "survey")
HEAD = (
    "| step | images | ms an image | processor, ms an image | memory, MiB | memory, KiB an image | "
    "times the time | times the processor's | times the memory |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, action="append", help="repeatable")
    parser.add_argument("--step", action="append", choices=STEPS)
    parser.add_argument("--casts", type=Path, help="where casts are kept, and found again")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[tuple[str, int], dict[str, float]] = {}
        sizes, steps = sorted(chosen.images or SIZES), in_order(chosen.step or STEPS)
        for n_images in sizes:
            data = drawn(chosen.casts or folder, n_images)
            for step in steps:
                place = folder / f"place{n_images}"
                with Side("growth_side", data=str(data), place=str(place)) as side:
                    found[step, n_images] = side.ask(step)
    print("\n".join(HEAD))
    for step in steps:
        for n_images in sizes:
            print(row_of(step, n_images, found[step, n_images], sizes[0], found[step, sizes[0]]))


def in_order(asked: Sequence[str]) -> list[str]:
    """Return the steps asked for, each with the one before it that fills the cache it reads."""
    needed = {"activations"} if "frozen" in asked else set()
    return [step for step in STEPS if step in needed.union(asked)]


def drawn(folder: Path, n_images: int) -> Path:
    """Return a folder of so many casts, drawn unless it is there already."""
    data = folder / f"casts{n_images}"
    if not (data / METADATA_FILE).is_file():
        make_casts(data, n_images=n_images, seed=0, size=CAST_SIZE)
    return data


def row_of(
    step: str, n_images: int, found: dict[str, float], n_first: int, first: dict[str, float]
) -> str:
    """Return a row in Markdown."""
    wall, busy = (1000 * found[name] / n_images for name in ("seconds", "processor"))
    wall_first, busy_first = (1000 * first[name] / n_first for name in ("seconds", "processor"))
    memory = found["most"] - found["before"]
    each, each_first = memory / n_images, (first["most"] - first["before"]) / n_first
    return (
        f"| {step} | {n_images:,} | {wall:.2f} | {busy:.2f} | {memory:,.0f} | "
        f"{1024 * each:.1f} | {wall / wall_first:.2f} | {busy / busy_first:.2f} | "
        f"{each / each_first:.2f} |"
    )


if __name__ == "__main__":
    main()
