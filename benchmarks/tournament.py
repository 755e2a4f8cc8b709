"""What the statistics of a study cost: seven experiments, three seeds, 2,000 images each.

Prints processor seconds of all intervals of one run, of all intervals of the study under both
rules, and of the tests of all pairs. Run as `python -m benchmarks.tournament`.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from moulage.evaluation.intervals import intervals
from moulage.evaluation.tournament import Tournament
from moulage.predictions import Predictions

N_EXPERIMENTS, N_SEEDS, N_IMAGES, N_LESIONS = 7, 3, 2000, 1494
SHARES = (0.67, 0.11, 0.11, 0.05, 0.03, 0.02, 0.01)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    entries = {
        f"e{number}": {f"seed {seed}": _predictions([number, seed]) for seed in range(N_SEEDS)}
        for number in range(N_EXPERIMENTS)
    }
    one = entries["e0"]["seed 0"]
    print(f"intervals of one run: {_cost(lambda: _ask_run(one)):.2f} s")
    tournament = Tournament(entries, rng=np.random.default_rng(0))
    print(f"intervals of {N_EXPERIMENTS} × {N_SEEDS} runs: {_cost(lambda: _ask(tournament)):.1f} s")
    print(f"tests of all pairs: {_cost(lambda: _test(tournament)):.1f} s")


def _ask_run(run: Predictions) -> None:
    intervals(run, rng=np.random.default_rng(0))


def _ask(tournament: Tournament) -> None:
    for number in range(N_EXPERIMENTS):
        tournament.spread(f"e{number}", "natural")
        tournament.spread(f"e{number}", "balanced")


def _test(tournament: Tournament) -> None:
    for one, other in combinations(range(N_EXPERIMENTS), 2):
        first, second = f"e{one}", f"e{other}"
        tournament.difference((first, "natural"), (second, "natural"), "accuracy")
        tournament.difference((first, "balanced"), (second, "balanced"), "balanced_accuracy")


def _predictions(seed: Sequence[int]) -> Predictions:
    """Draw a classifier on the lesions that all of them share."""
    lesions = np.random.default_rng(42)
    labels = lesions.choice(len(SHARES), size=N_LESIONS, p=SHARES)
    of_image = lesions.integers(0, N_LESIONS, N_IMAGES)
    labels = labels[of_image]
    logits = np.random.default_rng(seed).normal(size=(N_IMAGES, len(SHARES)))
    logits[np.arange(N_IMAGES), labels] += 2
    return Predictions(
        image_ids=np.arange(N_IMAGES).astype(str),
        lesion_ids=of_image.astype(str),
        parts=np.full(N_IMAGES, "test"),
        labels=labels,
        logits=logits.astype(np.float32),
        diagnoses=tuple("abcdefg"),
        prior=np.array(SHARES),
    )


def _cost(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
