"""A run held against itself: that its files are there, whole, and those that it states.

In:  a run folder.   Out: nothing, or a RunError that names the first file at fault.
Knows nothing of recipes and versions (`folder` compares those).
Why: what is torn must be told before hours of training, and `--fresh` must know what to clear.
"""

import logging
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from moulage.catalogue import write_catalogue
from moulage.errors import RunError
from moulage.networks.saved import check_saved, load_classifier
from moulage.runs.familiarity import read_familiarity
from moulage.runs.folder import CATALOGUE, SPLIT, RunFolder
from moulage.runs.material import Material
from moulage.runs.trust import read_trust
from moulage.split import write_split
from moulage.training.checkpoint import CHECKPOINT, read_state

logger = logging.getLogger(__name__)


def clear_torn(
    run: RunFolder,
    phases: Sequence[str] = (),
    *,
    fresh: bool,
    before: Callable[[], None] = lambda: None,
) -> bool:
    """Delete a run that is torn where it is to start over, and say whether it was.

    phases: names. before: called ahead of a deletion; what it raises keeps the run as it is.
    Raises RunError for a torn run that is not `fresh`.
    """
    try:
        if not run.is_finished:
            refuse_unready(run, phases)
            return False
        refuse_torn(run)
        if fresh:
            refuse_torn_within(run)
    except RunError as error:
        if not fresh:
            raise
        before()
        logger.warning("%s is torn and starts over: %s", run.path.name, error)
        shutil.rmtree(run.path)
        return True
    return False


def refuse_torn(run: RunFolder) -> None:
    """Raise RunError where a finished run is not whole; weights are opened, not read."""
    run.study()
    run.metrics()
    run.split()
    run.catalogue()
    run.history()
    run.predictions()
    check_saved(run.path)


def refuse_torn_within(run: RunFolder) -> None:
    """Raise RunError where the rest of a finished run is torn: weights' bits, what pages read."""
    read_familiarity(run.path, load_classifier(run.path).classifier.digest())
    read_trust(run.path)
    test = run.predictions().of("test")
    run.unfamiliarity(len(set(test.image_ids.tolist())))
    for phase in run.study()["experiment"][0]["phases"]:
        run.predictions(phase["name"])


def refuse_unready(run: RunFolder, phases: Sequence[str]) -> None:
    """Raise RunError where an unfinished run could train on but not end.

    phases: their names. A split or a catalogue that is gone hinders nothing: see `regain`.
    """
    for path, read in ((run.path / SPLIT, run.split), (run.path / CATALOGUE, run.catalogue)):
        if path.is_file():
            read()
    if (run.path / CHECKPOINT).is_file():
        for phase in phases[: read_state(run.path / CHECKPOINT).phase]:
            run.predictions(phase)


def regain(path: Path, material: Material) -> None:
    """Write the catalogue and the split of a run that goes on anew where they are gone, and say so.

    They are the run's own: its recipe, which was compared, has their digests.
    """
    for name, write in (
        (CATALOGUE, partial(write_catalogue, material.catalogue)),
        (SPLIT, partial(write_split, material.split)),
    ):
        if not (path / name).is_file():
            logger.warning("%s was gone, and is written anew from the data set", path / name)
            write(path / name)
