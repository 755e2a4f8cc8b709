"""What each ingredient of a recipe buys, on the validation part: every run against one of them.

Reads a finished study, `studies/ham10000-ablation.toml` as a rule, and prints a row a run. The
test part is not read. Differences are paired on lesions, with 95 % intervals; validation also
chose each run's epoch. Run as `python -m benchmarks.ablation --study runs/ham10000-ablation`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from moulage.evaluation.comparison import Contender, compare
from moulage.evaluation.decisions import Rule
from moulage.evaluation.metrics import summary
from moulage.predictions import read_predictions
from moulage.runs.folder import HISTORY, PREDICTIONS, RunFolder, find_runs
from moulage.seeding import generator

ASKED: tuple[tuple[str, Rule], ...] = (("accuracy", "natural"), ("balanced_accuracy", "balanced"))
HEAD = (
    "| run | epoch | loss | accuracy (natural) | balanced accuracy (balanced) | accuracy, "
    "less recipe’s | balanced accuracy, less recipe’s | s an epoch |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, help="a finished study's folder")
    parser.add_argument("--against", default="recipe-seed0", help="the run to hold others against")
    chosen = parser.parse_args(arguments)
    if chosen.study is None:
        print("Train studies/ham10000-ablation.toml, then name its folder: --study RUNS/NAME.")
        return
    paths = [run.path for run in find_runs(chosen.study) if has_epochs(run)]
    if chosen.against not in {path.name for path in paths}:
        parser.error(f"--against must be one of {', '.join(path.name for path in paths) or 'none'}")
    paths.sort(key=lambda path: path.name != chosen.against)
    print("\n".join((*HEAD, *(row(path, paths[0]) for path in paths))))


def has_epochs(run: RunFolder) -> bool:
    """Say whether a run is finished and was trained; an ensemble's was not."""
    return run.is_finished and len(pd.read_csv(run.path / HISTORY)) > 0


def row(path: Path, against: Path) -> str:
    """Return a run's row in Markdown."""
    history = pd.read_csv(path / HISTORY)
    monitored = "validation_calibrated_loss"
    best = int(history[monitored if monitored in history else "validation_loss"].argmin())
    scores, differences = [], []
    for metric, rule in ASKED:
        ours, theirs = (_contender(one, rule) for one in (path, against))
        (difference,) = compare(ours, theirs, rng=generator("ablation"), metrics=(metric,))
        scores.append(f"{summary(ours.runs[0], rule=rule).values[metric]:.3f}")
        found = difference.interval
        differences.append(
            f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
            if path != against
            else ""
        )
    cells = (
        path.name,
        f"{history['epoch'][best]} of {len(history)}",
        f"{history['validation_loss'][best]:.3f}",
        *scores,
        *differences,
        f"{np.median(history['seconds']):.0f}",
    )
    return f"| {' | '.join(cells)} |"


def _contender(path: Path, rule: Rule) -> Contender:
    validation = read_predictions(path / PREDICTIONS).of("validation")
    return Contender(name=path.name, runs=(validation,), rule=rule)


if __name__ == "__main__":
    main()
