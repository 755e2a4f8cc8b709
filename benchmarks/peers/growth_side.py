"""One step on one data set, in a process of its own: its seconds, and the most memory it had."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.turns import N_THREADS, serve
from moulage.networks.machine import private_memory_mib, resolve_machine
from moulage.runs import experiment
from moulage.runs.config import StudyConfig
from moulage.runs.material import prepare, read_images
from moulage.runs.study import cells_of
from moulage.runs.studyfile import parse_study
from moulage.runs.survey import survey_dataset

_EVERY_S = 0.02


def _silent(what: str, done: int, total: int) -> None:
    pass


@contextmanager
def _measured() -> Iterator[dict[str, float]]:
    """Yield what is filled in at the end: seconds, processor seconds, MiB at the start and most."""
    found = {"before": private_memory_mib(), "most": 0.0}
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_EVERY_S):
            found["most"] = max(found["most"], private_memory_mib())

    watcher = threading.Thread(target=watch)
    started, busy = time.perf_counter(), time.process_time()
    watcher.start()
    try:
        yield found
    finally:
        is_over.set()
        watcher.join()
        found["seconds"] = time.perf_counter() - started
        found["processor"] = time.process_time() - busy


class Steps:
    """A data set, and a folder for caches and runs."""

    def begin(self, *, data: str, place: str) -> dict[str, float]:
        """Keep where things are."""
        self.data, self.place = data, Path(place)
        os.environ["MOULAGE_CACHE"] = str(self.place / "cache")
        os.environ["MOULAGE_DATA"] = str(self.place / "data")
        return {}

    def decode(self) -> dict[str, float]:
        """Decode every image into the cache."""
        with _measured() as found:
            read_images(self._study(), _silent)
        return found

    def activations(self) -> dict[str, float]:
        """Compute activations at the head of every image."""
        job = self._job()
        with _measured() as found:
            job.source_at(len(job.classifier.stages))
        return found

    def frozen(self) -> dict[str, float]:
        """Run a frozen phase of one epoch, to predictions and metrics."""
        (cell,) = cells_of(self._study())
        material = prepare(cell, read_images(cell.study, _silent))
        path = self.place / "run"
        with _measured() as found:
            experiment.run_cell(cell, material, path, fresh=True, progress=_silent)
        return found

    def survey(self) -> dict[str, float]:
        """Survey the data set."""
        with _measured() as found:
            survey_dataset(Path(self.data), progress=_silent)
        return found

    def _job(self) -> Any:
        (cell,) = cells_of(self._study())
        material = prepare(cell, read_images(cell.study, _silent))
        machine = resolve_machine(**cell.study.machine.model_dump())
        classifier, _ = experiment.build(cell, material)
        return experiment.job_of(cell, material, classifier, machine, self.place, _silent)

    def _study(self) -> StudyConfig:
        phase = {"name": "frozen", "train_from": "head", "epochs": 1}
        recipe = {"name": "growth", "backbone": "MobileNetV2", "weights": "random"}
        return parse_study(
            {
                "name": "growth",
                "dataset": {"path": self.data},
                "machine": {"threads": N_THREADS},
                "experiment": [recipe | {"phases": [phase]}],
            }
        )


if __name__ == "__main__":
    steps = Steps()
    named: dict[str, Callable[..., dict[str, float]]] = {
        name: getattr(steps, name)
        for name in ("begin", "decode", "activations", "frozen", "survey")
    }
    serve(named)
