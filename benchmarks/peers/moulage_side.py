"""Our side: whole runs of the same study, from files or from warm caches, and steps of a phase.

The backbone's weights are random, in one file: a study's seeds share them, as they do ImageNet's.

A run ends with its predictions, metrics and classifier written, which is more than the peers do:
how long it took to the best weights, where theirs ends, is told beside it.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers.turns import N_THREADS, Stopwatch, serve
from moulage.networks.classifier import build_network
from moulage.networks.machine import resolve_machine
from moulage.networks.registry import backbone_named
from moulage.networks.tensors import write_tensors
from moulage.runs import experiment
from moulage.runs.application import classify_files
from moulage.runs.config import StudyConfig
from moulage.runs.folder import RunFolder
from moulage.runs.material import prepare, read_images
from moulage.runs.schedule import Materials, run_cells, sharing_threads
from moulage.runs.study import cells_of
from moulage.runs.studyfile import parse_study
from moulage.training.batches import Place, Sample
from moulage.training.checkpoint import State
from moulage.training.loop import prepare as prepare_step
from moulage.training.loop import train_step
from moulage.training.phases import Phase

_BATCH, _N_WARM = 128, 2


def _silent(what: str, done: int, total: int) -> None:
    pass


class Study:
    """One backbone on the given images; `place` is where caches and runs may lie."""

    def begin(self, *, folder: str, backbone: str, place: str) -> dict[str, float]:
        """Keep what every task needs."""
        self.folder, self.backbone, self.place = Path(folder), backbone, Path(place)
        os.environ["MOULAGE_DATA"] = str(self.place / "data")
        torch.set_num_threads(N_THREADS)
        self.weights = self.place / "weights.safetensors"
        self.place.mkdir(parents=True, exist_ok=True)
        network = build_network(backbone_named(backbone).name, seed=0)
        write_tensors(self.weights, network.state_dict())
        return {}

    def run(
        self,
        *,
        cache: str,
        name: str,
        train_from: str = "head",
        n_jobs: int = 1,
        **recipe: Any,
    ) -> dict[str, float]:
        """Run a study of one phase of ten epochs.

        recipe: keys of the experiment that are not the usual ones; `seeds` and `treatments`
        make it many runs, of which `n_jobs` go at once, as `moulage train --jobs` has it. What
        it took to the best weights of a single run is told as `best_seconds` and
        `best_processor`.
        """
        os.environ["MOULAGE_CACHE"] = str(self.place / cache)
        rate = 1e-3 if train_from == "head" else 1e-5
        study = self._study(name, _phase(train_from, 10, rate), recipe)
        watch = Stopwatch()
        best: dict[str, float] = {}

        def note_best(what: str, done: int, total: int) -> None:
            if what == "predicting" and not best:  # told after the first batch of what follows
                watch.note()
                best.update({f"best_{name}": value for name, value in watch.took.items()})

        with watch:
            cells = cells_of(sharing_threads(study, n_jobs))
            materials = Materials(read_images(study, _silent))
            run_cells(
                cells,
                materials,
                self.place / "runs" / name,
                n_jobs=n_jobs,
                threads=N_THREADS,
                fresh=True,
                progress=note_best,
            )
        return watch.took | best

    def train(
        self, *, cache: str, train_from: str, n_steps: int, batchnorm: str = "fixed"
    ) -> dict[str, float]:
        """Take a few steps of a full batch after two of warm-up."""
        os.environ["MOULAGE_CACHE"] = str(self.place / cache)
        study = self._study("steps", _phase(train_from, 1, 1e-5, batchnorm), {})
        (cell,) = cells_of(study)
        material = prepare(cell, read_images(study, _silent))
        machine = resolve_machine(**study.machine.model_dump())
        classifier, _ = experiment.build(cell, material)
        job = experiment.job_of(cell, material, classifier, machine, self.place, _silent)
        state = State()
        state.begin_phase(0)
        step = prepare_step(job, Phase(**cell.experiment.phases[0].model_dump()), state)
        shuffled = np.random.default_rng(0).permutation(job.train_rows)
        batches = np.resize(shuffled, (_N_WARM + n_steps, _BATCH))  # again where there are too few
        take = partial(train_step, step, state, place=Place(seed=0, phase=0, epoch=0))
        for rows in batches[:_N_WARM]:
            take(Sample.once(rows))
        with Stopwatch() as watch:
            for rows in batches[_N_WARM:]:
                take(Sample.once(rows))
        return watch.took

    def predict(self, *, run: str, folder: str) -> dict[str, float]:
        """Classify a folder's files with a finished run, after a batch of them as a warm-up."""
        (path,) = (self.place / "runs" / run).glob("[!.]*")  # beside it lies its lock
        classify_files(
            RunFolder(path=path), sorted(Path(folder).iterdir())[:_BATCH], progress=_silent
        )
        with Stopwatch() as watch:
            classify_files(RunFolder(path=path), [Path(folder)], progress=_silent)
        return watch.took

    def _study(self, name: str, phase: dict[str, Any], recipe: dict[str, Any]) -> StudyConfig:
        treatments = recipe.pop("treatments", ["none"])
        experiments = [
            {"name": f"e{n}", "backbone": self.backbone, "dropout": 0.5}
            | {"weights": str(self.weights), "imbalance": treatment, "phases": [phase], **recipe}
            for n, treatment in enumerate(treatments)
        ]
        return parse_study(
            {
                "name": name,
                "dataset": {"path": str(self.folder / "images.csv"), "kind": "table"},
                "split": {"kind": "file", "file": str(self.folder / "split.csv")},
                "machine": {"threads": N_THREADS},
                "experiment": experiments,
            }
        )


def _phase(train_from: str, epochs: int, rate: float, batchnorm: str = "fixed") -> dict[str, Any]:
    return {
        "name": "phase",
        "train_from": train_from,
        "epochs": epochs,
        "learning_rate": rate,
        "batchnorm": batchnorm,
    }


if __name__ == "__main__":
    study = Study()
    serve({"begin": study.begin, "run": study.run, "train": study.train, "predict": study.predict})
