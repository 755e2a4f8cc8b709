"""What the caches are worth: a frozen phase from image files, and again with caches warm.

Prints seconds of each and their ratio, and how long a second experiment on the same backbone
takes from its start to its first step. Run as `python -m benchmarks.caches [--data DIR]`; without
a data set it draws casts.
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks._folders import apart
from moulage.casts.generator import make_casts
from moulage.runs.schedule import run_study
from moulage.runs.studyfile import parse_study

N_PAIRS = 3
N_CASTS = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a data set; casts are drawn without one")
    parser.add_argument("--backbone", default="mobilenetv2_050")
    parser.add_argument("--weights", default="starter")
    chosen = parser.parse_args(arguments)
    with apart() as place:
        data = chosen.data or make_casts(place / "casts", n_images=N_CASTS, seed=0).folder
        print(f"{'pair':>4} {'cold, s':>9} {'warm, s':>9} {'ratio':>7} {'first step, s':>14}")
        for pair in range(N_PAIRS):
            os.environ["MOULAGE_CACHE"] = str(place / f"cache{pair}")
            times = [
                _time(chosen, data, place / f"runs{pair}", name) for name in ("first", "second")
            ]
            (cold, _), (warm, first_step) = times
            print(f"{pair:>4} {cold:>9.1f} {warm:>9.1f} {cold / warm:>7.1f} {first_step:>14.2f}")


def _time(chosen: argparse.Namespace, data: Path, out: Path, name: str) -> tuple[float, float]:
    """Return the seconds of a whole study of one frozen phase, and those to its first step."""
    phase = {"name": "frozen", "train_from": "head", "epochs": 10}
    experiment = {
        "name": name,
        "backbone": chosen.backbone,
        "weights": chosen.weights,
        "dropout": 0.5 if name == "first" else 0.3,
        "phases": [phase],
    }
    study = parse_study({"dataset": {"path": str(data)}, "experiment": [experiment]})
    started = time.perf_counter()
    steps: list[float] = []

    def note(what: str, done: int, total: int) -> None:
        if what.startswith("frozen"):
            steps.append(time.perf_counter() - started)

    run_study(study, out=out, only=(), fresh=False, progress=note)
    return time.perf_counter() - started, steps[0]


if __name__ == "__main__":
    main()
