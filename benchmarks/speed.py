"""Against Keras 3 on TensorFlow: the study's two phases, predictions, treatments, in turn.

Keras is slow, so it is given a fraction: `--steps` full batches of each kind after a first one.
Its whole is the decoding of every file, measured, and epochs · (images an epoch at the pace of
`fit` + validation images at that of `evaluate` + a copy of all weights, to keep the best), scaled.
Ours runs whole: it counts to the best weights, where Keras' ends, and in rows of their own to the
last file written, and beside a Keras whose maps below the head are computed once, as its users may
do by hand. Processes are apart and stay; their starts count on neither side. Weights are random.
Run as `python -m benchmarks.speed [--data DIR] [--images N]`; without a data set it draws casts.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.material import LEAST, Given, enlarge, give
from benchmarks.peers.turns import N_THREADS, Ratio, Side, Took, print_table, took_of
from moulage.training.batches import Place
from moulage.training.imbalance import Treatment

EPOCHS, BATCH, N_SEEDS, N_NEW = 10, 128, 3, 2048
POLICIES = ("float32", "mixed_bfloat16")
Pairs = tuple[tuple[Took, Took], ...]
LAST_THIRD = {"MobileNetV2": "blocks.5", "DenseNet201": "denseblock4"}
TREATMENTS: tuple[dict[str, Any], ...] = (
    {"kind": "none"},
    {"kind": "class_weight"},
    {"kind": "class_weight", "scheme": "effective"},
    {"kind": "oversample"},
    {"kind": "augment"},
    {"kind": "focal"},
    {"kind": "logit_adjustment"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Both sides of one backbone on the same images; new: a folder of files to predict."""

    given: Given
    ours: Side
    keras: Side
    backbone: str
    n_steps: int
    new: Path

    def keras_whole(self, train_from: str, treatments: Sequence[dict[str, Any]] = ({},)) -> Took:
        """Return what Keras takes from files to each treatment's last epoch, scaled."""
        return self.keras.took("decode") + self.keras_epochs(train_from, treatments)

    def keras_epochs(self, train_from: str, treatments: Sequence[dict[str, Any]] = ({},)) -> Took:
        """Return what Keras takes for each treatment's epochs, scaled."""
        words: dict[str, Any] = {"train_from": train_from, "n_steps": self.n_steps}
        n_validation = int((self.given.table["part"] == "validation").sum())
        n_trained = sum(images_an_epoch(self.given, treatment) for treatment in treatments)
        epoch = self.keras.took("train", **words) * (n_trained / self.n_timed)
        epoch += self.keras.took("evaluate", **words) * (
            len(treatments) * n_validation / self.n_timed
        )
        epoch += self.keras.took("remember", train_from=train_from) * len(treatments)
        return epoch * EPOCHS

    def keras_keeping(self, treatments: Sequence[dict[str, Any]] = ({},)) -> Took:
        """Return the same of a frozen Keras whose user keeps each image's maps by hand.

        Maps of turned copies, which a treatment may show, cost it nothing.
        """
        keep = self.keras.took("keep", n_steps=self.n_steps) * (self.given.n_images / self.n_timed)
        return self.keras.took("decode") + keep + self.keras_epochs("kept", treatments)

    @property
    def n_timed(self) -> int:
        """Images that Keras is timed on."""
        return self.n_steps * BATCH

    def to_best_and_end(self, train_from: str, *, is_warm: bool = False, **words: Any) -> Pairs:
        """Return (ours, Keras') twice: ours to the best weights, and to the last file.

        is_warm: Keras has its images in memory and decodes none.
        """
        answer = self.ours.ask("run", train_from=train_from, **words)
        peer = self.keras_epochs if is_warm else self.keras_whole
        keras = peer(train_from)
        return (took_of(answer, "best_"), keras), (took_of(answer), keras)

    def frozen(self, pair: int) -> Pairs:
        """Return (ours, Keras') from files; last, beside a Keras that keeps maps as we do."""
        pairs = self.to_best_and_end("head", cache=f"cache{pair}", name=f"cold{pair}")
        return (*pairs, (pairs[0][0], self.keras_keeping()))

    def frozen_again(self, pair: int) -> Pairs:
        """Return (ours, Keras'), with another dropout; our caches are warm by now.

        Keras has its images in memory; last, one whose maps are there.
        """
        ours = {"cache": f"cache{pair}", "name": f"warm{pair}", "dropout": 0.3}
        pairs = self.to_best_and_end("head", is_warm=True, **ours)
        return (*pairs, (pairs[0][0], self.keras_epochs("kept")))

    def all(self, pair: int) -> Pairs:
        """Return (ours, Keras'), a few batches with everything open."""
        words: dict[str, Any] = {"train_from": "all", "n_steps": self.n_steps}
        ours = self.ours.took("train", cache=f"cache{pair}", **words)
        return ((ours, self.keras.took("train", **words)),)

    def last_third(self, pair: int) -> Pairs:
        """Return (ours, Keras'), the whole phase, activations below it included."""
        block = LAST_THIRD[self.backbone]
        return self.to_best_and_end(block, cache=f"third{pair}", name=f"third{pair}")

    def predictions(self, pair: int) -> Pairs:
        """Return (ours, Keras'), from files."""
        ours = self.ours.took("predict", run=f"cold{pair}", folder=str(self.new))
        return ((ours, self.keras.took("predict", folder=str(self.new))),)

    def treatments(self, pair: int) -> Pairs:
        """Return (ours, Keras'), every treatment with every seed; our caches are cold.

        Two of our runs go at once, on a thread each. Last, beside a Keras that keeps maps.
        """
        asked: dict[str, Any] = {"treatments": TREATMENTS, "seeds": list(range(N_SEEDS))}
        asked["n_jobs"] = N_THREADS
        ours = self.ours.took("run", cache=f"many{pair}", name=f"many{pair}", **asked)
        runs = TREATMENTS * N_SEEDS
        return (ours, self.keras_whole("head", runs)), (ours, self.keras_keeping(runs))


_END, _KEPT = "… to last file", "… to best head, beside a Keras that keeps maps"
_ALL_KEPT = "… beside a Keras that keeps maps"
# quantities, what measures them, whether in batches or in new files or whole, the first at least
ROWS: dict[str, tuple[tuple[str, ...], Callable[[Match, int], Pairs], str, float]] = {
    "cold": (("frozen, files to best head", _END, _KEPT), Match.frozen, "whole", 10),
    "warm": (
        ("frozen again, caches warm, to best head", _END, _KEPT),
        Match.frozen_again,
        "whole",
        40,
    ),
    "all": (("fine-tuning everything",), Match.all, "batches", 2),
    "third": (
        ("fine-tuning the last third, files to best weights", _END),
        Match.last_third,
        "whole",
        5,
    ),
    "predict": (("predictions of new 600×450 files",), Match.predictions, "files", 2.5),
    "treatments": (("seven treatments × three seeds", _ALL_KEPT), Match.treatments, "whole", 40),
}
AFTER_COLD = {"warm", "predict"}  # these begin from what the cold run left


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a data set; casts are drawn without one")
    parser.add_argument("--images", type=int, default=1_000, help="so many of them; 0: all")
    parser.add_argument("--backbone", action="append", choices=sorted(LAST_THIRD))
    parser.add_argument("--rows", action="append", choices=list(ROWS), help="repeatable")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2, help="batches that Keras is timed on")
    parser.add_argument("--policy", choices=POLICIES, default=POLICIES[0], help="Keras' types")
    chosen = parser.parse_args(arguments)
    if 0 < chosen.images < LEAST:
        parser.error(f"--images must be 0 or at least {LEAST}; got {chosen.images}")
    if find_spec("tensorflow") is None:
        print("Keras and TensorFlow are not installed: `make bench` does it in .venv-bench.")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = give(folder, data=chosen.data, n_images=chosen.images)
        new = enlarge(given, N_NEW)
        for backbone in chosen.backbone or LAST_THIRD:
            about: dict[str, Any] = {"folder": str(given.folder), "backbone": backbone}
            with (
                Side("moulage_side", **about, place=str(folder / backbone)) as ours,
                Side("keras_side", is_peer=True, **about, policy=chosen.policy) as keras,
            ):
                match = Match(
                    given=given,
                    ours=ours,
                    keras=keras,
                    backbone=backbone,
                    n_steps=chosen.steps,
                    new=new,
                )
                rows = measure(match, chosen.pairs, in_order(chosen.rows or ROWS))
            print_table(
                f"{backbone}, {given.n_images:,} images, {chosen.pairs} pairs; Keras scaled from "
                f"{chosen.steps} batches",
                rows,
            )


def measure(match: Match, n_pairs: int, names: Sequence[str]) -> list[Ratio]:
    """Return the rows of one backbone's table, and print each as it is done."""
    rows = []
    n_new = min(N_NEW, match.given.n_images)
    counts = {"whole": 0, "batches": match.n_steps * BATCH, "files": n_new}
    for name in names:
        quantities, take, kind, least = ROWS[name]
        pairs = [take(match, pair) for pair in range(n_pairs)]
        for place, quantity in enumerate(quantities):
            ours, theirs = zip(*(pair[place] for pair in pairs), strict=True)
            aim = None if place else least
            rows.append(
                Ratio(quantity=quantity, ours=ours, theirs=theirs, n_images=counts[kind], aim=aim)
            )
            print(rows[-1].row(), flush=True)
    return rows


def in_order(asked: Iterable[str]) -> list[str]:
    """Return the rows asked for in the table's order, with the cold run where others need it."""
    names = set(asked)
    if names & AFTER_COLD:
        names.add("cold")
    return [name for name in ROWS if name in names]


def images_an_epoch(given: Given, treatment: dict[str, Any]) -> int:
    """Return how many images a treatment shows in an epoch."""
    table = given.table
    diagnoses = table.loc[table["part"] == "train", "diagnosis"]
    labels = np.unique(diagnoses, return_inverse=True)[1]
    place = Place(seed=0, phase=0, epoch=0)
    return len(Treatment(**treatment).epoch(np.arange(len(labels)), labels, place))


if __name__ == "__main__":
    main()
