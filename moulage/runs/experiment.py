"""One cell of a study, from images to predictions: resolved, built, trained, kept.

In:  a cell, its material, the folder it may write to.   Out: a finished run folder.
Knows nothing of pages. The same call again goes on where a killed one stopped.
"""

import logging
import platform
import time
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from numpy.typing import NDArray

from moulage.catalogue import write_catalogue
from moulage.covariates import encode_covariates, fit_covariates
from moulage.evaluation.trust import check_asked
from moulage.files import alone_at, write_text
from moulage.networks.activations import Activations, activations_at
from moulage.networks.classifier import Classifier, InputContract, Recipe, build_classifier
from moulage.networks.machine import Machine, resolve_machine, return_freed_memory
from moulage.networks.registry import backbone_named
from moulage.networks.weights import WeightsFile, find_weights, load_weights
from moulage.runs import folder as folders
from moulage.runs import ledger
from moulage.runs.baselines import keep_baselines, read_baselines, read_key, write_key
from moulage.runs.material import Material
from moulage.runs.outcome import PhaseEnd, drop_checkpoints, keep_outcome
from moulage.runs.progress import Progress, named
from moulage.runs.study import Cell
from moulage.runs.trust import asked_of, keep_trust, read_trust
from moulage.runs.wholeness import clear_torn, regain
from moulage.seal import digest_of
from moulage.split import write_split
from moulage.training.augmentation import Augmentation
from moulage.training.batches import ActivationSource, PixelSource, Place, Source, views_of
from moulage.training.imbalance import Treatment
from moulage.training.loop import Job, run_phases
from moulage.training.phases import Phase
from moulage.views import IDENTITY, N_VIEWS

logger = logging.getLogger(__name__)

_LIBRARIES = (
    *("moulage", "torch", "timm", "numpy", "opencv-python-headless", "scikit-learn"),
    *("scipy", "pyarrow"),  # the temperature, and the bytes of its file
)


def run_cell(
    cell: Cell, material: Material, path: Path, *, fresh: bool, progress: Progress
) -> folders.RunFolder:
    """Train and measure one cell, or return it where it is already finished.

    Another process that is at the same cell is waited for.
    """
    check_asked(asked_of(cell.study.decisions), material.catalogue.codes, prior=material.prior)
    if not (path / folders.STUDY).is_file():
        _refuse_here(cell)
    with alone_at(path):
        return _run_alone(cell, material, path, fresh=fresh, progress=progress)


def _refuse_here(cell: Cell) -> None:
    """Raise what this machine lacks for a new run, before there is a folder of it."""
    starting_weights(cell)
    resolve_machine(**cell.study.machine.model_dump())
    ledger.refuse_unwritable()


def _run_alone(
    cell: Cell, material: Material, path: Path, *, fresh: bool, progress: Progress
) -> folders.RunFolder:
    run = folders.RunFolder(path=path)
    resolved = _resolve(cell, material)
    present = versions() if run.is_finished else _grounds(cell)
    ask = partial(_refuse_here, cell)
    kept = folders.claim(path, resolved, fresh=fresh, present=present, before=ask)
    if kept is not None:
        kept = _whole(cell, run, kept, fresh=fresh)
    if kept is not None and run.is_finished:
        logger.info("%s is finished", cell.name)
        drop_checkpoints(path)
        _ask_anew(cell, material, path)
        return run
    machine = _resolve_machine(cell, path, kept)
    classifier, weights = build(cell, material)
    classifier.to(machine.device)
    _begin(path, resolved, machine, weights, material)
    job = job_of(cell, material, classifier, machine, path, progress)
    phases = tuple(Phase(**phase.model_dump()) for phase in cell.experiment.phases)
    state = run_phases(job, phases)
    keep_outcome(cell, material, job, weights, state, phases)
    return run


def _whole(
    cell: Cell, run: folders.RunFolder, kept: dict[str, Any], *, fresh: bool
) -> dict[str, Any] | None:
    """Return the machine of a run that is whole; None where one that is not was cleared.

    Raises RunError where a torn one is not to start over, or could not here.
    """
    phases = [phase.name for phase in cell.experiment.phases]
    cleared = clear_torn(run, phases, fresh=fresh, before=partial(_refuse_here, cell))
    return None if cleared else kept


def _ask_anew(cell: Cell, material: Material, path: Path) -> None:
    """Fit a finished run's sets and thresholds anew where the study asks for others."""
    asked, kept = asked_of(cell.study.decisions), read_trust(path)
    if kept is None or kept.asked == asked:
        return
    keep_trust(
        path,
        folders.RunFolder(path=path).predictions(),
        split=material.split,
        catalogue=material.catalogue,
        asked=asked,
    )
    folders.drop_pages(path, folders.TRUST_PAGE, folders.CARD_PAGE)


def starting_weights(cell: Cell) -> WeightsFile | None:
    """Return the file that a cell's weights begin from, or None where they are drawn.

    Raises MissingWeightsError where it is not here.
    """
    return find_weights(backbone_named(cell.experiment.backbone), cell.experiment.weights)


def build(cell: Cell, material: Material) -> tuple[Classifier, WeightsFile | None]:
    """Build a cell's classifier with its starting weights; RunError where these are missing."""
    experiment = cell.experiment
    backbone = backbone_named(experiment.backbone)
    weights = starting_weights(cell)
    scaling = weights.scaling if weights and weights.scaling else backbone.scaling
    recipe = Recipe(
        backbone=backbone.name,
        head=experiment.head,
        hidden=experiment.hidden,
        dropout=experiment.dropout,
        contract=InputContract(
            size_px=cell.study.images.size,
            resize=cell.study.images.resize,
            scaling=scaling,
            diagnoses=material.catalogue.codes,
        ),
        views=tuple(range(experiment.views or 1)),
        covariates=fit_covariates(
            material.catalogue.frame.iloc[material.of("train")], experiment.covariates or ()
        ),
    )
    classifier = build_classifier(recipe, seed=cell.seed)
    if weights is not None:
        load_weights(classifier.network, weights)
    return classifier, weights


def refuse_early(cell: Cell, material: Material, path: Path) -> None:
    """Raise what `run_cell` would raise before its first step, for a run that is to come later."""
    check_asked(asked_of(cell.study.decisions), material.catalogue.codes, prior=material.prior)
    run, kept = folders.RunFolder(path=path), folders.read_begun(path, _resolve(cell, material))
    if kept is None:
        return
    if not run.is_finished:
        folders.refuse_other_versions(path, begun=kept, present=_grounds(cell))
    _whole(cell, run, kept, fresh=False)


def count_images(cell: Cell, material: Material) -> int:
    """Return how many images all epochs of a run show, copies counted: about how long it takes."""
    treatment, rows = Treatment(**cell.experiment.imbalance.plain()), material.of("train")
    place = Place(seed=cell.seed, phase=0, epoch=0)
    shown = treatment.epoch(rows, material.catalogue.labels[rows], place)
    return len(shown) * sum(phase.epochs for phase in cell.experiment.phases)


def fill_caches(cell: Cell, material: Material, *, threads: int, progress: Progress) -> None:
    """Compute the activations that a cell's phases read before anything below them is trained."""
    classifier, _ = build(cell, material)
    machine = resolve_machine(**cell.study.machine.model_dump() | {"threads": threads})
    classifier.to(machine.device)
    sources = _sources_of(cell, material, classifier, machine, progress)
    lowest = len(classifier.stages)
    for phase in cell.experiment.phases:
        lowest = min(lowest, classifier.boundary(phase.train_from))
        if lowest > 0:
            sources.at(lowest)
    return_freed_memory()


def keep_cell_baselines(
    cell: Cell, material: Material, folder: Path, *, progress: Progress
) -> None:
    """Fit the baselines of a cell's split on what its backbone starts from, once."""
    path = folder / f"baselines-{cell.split_name}"
    key = _baselines_key(cell, material)
    if read_baselines(path, material.split.digest) and read_key(path) == key:
        return
    classifier, _ = build(cell, material)
    machine = resolve_machine(**cell.study.machine.model_dump())
    keep_baselines(
        material,
        classifier.to(machine.device),
        folder=path,
        machine=machine,
        progress=progress,
    )
    write_key(path, key)


def _baselines_key(cell: Cell, material: Material) -> str:
    """Return a digest of what baselines are fitted on: images, labels, table, backbone."""
    weights, seed = starting_weights(cell), cell.seed
    return digest_of(
        [
            material.catalogue.digest,
            material.pixels.digest,
            cell.experiment.backbone,
            weights.digest if weights else seed,
        ]
    )


def _resolve(cell: Cell, material: Material) -> dict[str, Any]:
    resolved = cell.resolved()
    resolved["split"]["digest"] = material.split.digest
    resolved["images"]["digest"] = material.pixels.digest
    resolved["dataset"]["digest"] = material.catalogue.digest
    return resolved


def _resolve_machine(cell: Cell, path: Path, kept: dict[str, Any] | None) -> Machine:
    """Resolve the machine once; a run that goes on computes as it began."""
    config = cell.study.machine
    if kept is None:
        return resolve_machine(**config.model_dump())
    folders.refuse_other_versions(path, begun=kept, present=_grounds(cell))
    return resolve_machine(
        device=kept["device"], precision=kept["precision"], threads=kept["threads"]
    )


def _grounds(cell: Cell) -> dict[str, str]:
    """Return the versions here, and the weights that a cell begins from."""
    return {**versions(), "weights": _digest_of(starting_weights(cell))}


def _digest_of(weights: WeightsFile | None) -> str:
    return weights.digest[:12] if weights else "random"


def versions() -> dict[str, str]:
    """Return the versions that a run's bits depend on."""
    found = {name: version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **found}


def _begin(
    path: Path,
    resolved: dict[str, Any],
    machine: Machine,
    weights: WeightsFile | None,
    material: Material,
) -> None:
    """Write what the run is before its first step, so that a killed one can be known again."""
    if (path / folders.STUDY).is_file():
        regain(path, material)
        return
    write_catalogue(material.catalogue, path / folders.CATALOGUE)
    write_split(material.split, path / folders.SPLIT)
    here = {
        **asdict(machine),
        "versions": versions(),
        "weights": _digest_of(weights),
        "date": time.strftime("%Y-%m-%d"),
    }
    write_text(path / folders.STUDY, tomli_w.dumps({**resolved, "resolved": here}))


def job_of(
    cell: Cell,
    material: Material,
    classifier: Classifier,
    machine: Machine,
    path: Path,
    progress: Progress,
) -> Job:
    """Open a cell into what its training needs; `path` is where that may write."""
    sources = _sources_of(cell, material, classifier, machine, progress)
    return Job(
        classifier=classifier,
        labels=material.catalogue.labels,
        train_rows=material.of("train"),
        validation_rows=material.of("validation"),
        counts=material.counts,
        treatment=sources.treatment,
        augmentation=sources.augmentation,
        seed=cell.seed,
        machine=machine,
        folder=path,
        source_at=sources.at,
        on_phase_end=PhaseEnd(material, classifier, machine, path, progress),
        progress=progress,
        monitor=cell.experiment.monitor or "loss",
    )


def _sources_of(
    cell: Cell, material: Material, classifier: Classifier, machine: Machine, progress: Progress
) -> "_Sources":
    return _Sources(
        material=material,
        classifier=classifier,
        machine=machine,
        treatment=Treatment(**cell.experiment.imbalance.plain()),
        augmentation=Augmentation(**cell.experiment.augmentation.model_dump()),
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class _Sources:
    """Makes the source of a boundary: the pixels, or activations for every view drawn."""

    material: Material
    classifier: Classifier
    machine: Machine
    treatment: Treatment
    augmentation: Augmentation
    progress: Progress

    def at(self, boundary: int) -> Source:
        covariates = encode_covariates(
            self.classifier.recipe.covariates, self.material.catalogue.frame
        )
        if boundary == 0:
            return PixelSource(
                pixels=self.material.pixels.array,
                image_ids=self.material.catalogue.image_ids,
                augmentation=self.augmentation,
                device=self.machine.device,
                covariates=covariates,
            )
        return ActivationSource(
            views={
                view: self._view(boundary, view)
                for view in sorted({*self._views(), *self.classifier.recipe.views})
            },
            image_ids=self.material.catalogue.image_ids,
            augmentation=self.augmentation,
            device=self.machine.device,
            covariates=covariates,
        )

    def _views(self) -> tuple[int, ...]:
        drawn = views_of(self.augmentation)
        if not self.treatment.turns:
            return drawn
        if len(drawn) > 1:
            return tuple(range(N_VIEWS))
        counts = self.material.counts
        turned = [view for view in range(N_VIEWS) if self.treatment.turned(counts, view).any()]
        return tuple(turned)

    def _view(self, boundary: int, view: int) -> Activations:
        return activations_at(
            self.classifier,
            boundary,
            pixels=self.material.pixels.array,
            pixels_key=self.material.pixels.key,
            machine=self.machine,
            view=view,
            rows=self._turned_rows(view),
            progress=named("activations", self.progress),
        )

    def _turned_rows(self, view: int) -> NDArray[np.int64] | None:
        """Return the images that a view is drawn of, or None where it may be any."""
        answered = self.classifier.recipe.views
        if view in answered or view == IDENTITY or len(views_of(self.augmentation)) > 1:
            return None
        rows = self.material.of("train")
        is_turned = self.treatment.turned(self.material.counts, view)
        return rows[is_turned[self.material.catalogue.labels[rows]]]
