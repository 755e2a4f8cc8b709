"""The one training loop: run_phases → run_phase → run_epoch → train_step.

In:  a job (classifier, labels, rows, treatment, augmentation, seed) and phases in order.
Out: the classifier holds the best weights of all phases; the state holds the history.
Knows nothing of files of images, study files or pages. There is no `if fine_tuning`: a phase's
boundary decides what is read from disk and what is trained.
"""

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from moulage.errors import RunError
from moulage.evaluation import confusion
from moulage.evaluation.calibration import fit_temperature
from moulage.evaluation.decisions import PLAIN_RULES, decide
from moulage.evaluation.losses import log_losses
from moulage.networks.classifier import Classifier
from moulage.networks.folding import fold
from moulage.networks.inputs import pixels_to_bytes
from moulage.networks.machine import Machine, private_memory_mib, return_freed_memory
from moulage.networks.tensors import write_tensors
from moulage.seeding import seed_of
from moulage.training.augmentation import Augmentation, mix
from moulage.training.batches import Place, Sample, Source, count_batches, cut_epoch, rows_of
from moulage.training.checkpoint import (
    CHECKPOINT,
    Keeper,
    State,
    Tensors,
    as_written,
    laid_out_as,
    optimizer_tensors,
    read_state,
    restore_optimizer,
)
from moulage.training.imbalance import Treatment, soften
from moulage.training.optimizers import build_optimizer, scheduled_rate
from moulage.training.phases import Phase

logger = logging.getLogger(__name__)

Monitor = Literal["loss", "calibrated_loss"]
_CHECKPOINT_EVERY_S = 60.0
_CHECKPOINT_APART_S = 5.0  # ends of epochs that follow each other sooner leave none
_EVALUATION_BATCH = 128  # as the training step's, so that memory of the one serves the other
_HEAD_BYTES = 10 * 2**20  # of maps that are there: a head is rounded for each batch; as in training


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """Everything a training needs, opened into plain parts.

    labels (N,) int64, a row an image of the source; train_rows, validation_rows: rows of it;
    counts (K,) int64: training rows of each class. source_at: makes a boundary's source from the
    classifier's present weights. on_phase_end: called while the classifier holds the best weights.
    progress: called with (what, done, total). monitor: which loss on validation, the lowest, tells
    the best weights.
    """

    classifier: Classifier
    labels: NDArray[np.int64]
    train_rows: NDArray[np.int64]
    validation_rows: NDArray[np.int64]
    counts: NDArray[np.int64]
    treatment: Treatment
    augmentation: Augmentation
    seed: int
    machine: Machine
    folder: Path
    source_at: Callable[[int], Source]
    on_phase_end: Callable[[Phase, Source], None]
    progress: Callable[[str, int, int], None]
    monitor: Monitor = "loss"

    @property
    def prior(self) -> NDArray[np.float64]:
        """The natural prior (K,) of the training rows."""
        return np.asarray(self.counts / self.counts.sum(), dtype=np.float64)

    def epoch(self, place: Place) -> Sample:
        """Return the images of an epoch at a place, as the treatment chooses them."""
        return self.treatment.epoch(self.train_rows, self.labels[self.train_rows], place)

    def reseed(self, *keys: int | str) -> None:
        """Seed what the head's dropout draws from, and what a backbone's own layers do."""
        number = seed_of(*keys)
        self.classifier.head.seed(number)
        self.machine.seed(number)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """What one phase's steps share.

    live: the tensors above the boundary, as the modules hold them; start, start_shift: what they
    and what puts their prior back were when the phase began.
    """

    job: Job
    phase: Phase
    boundary: int
    source: Source
    optimizer: torch.optim.Optimizer
    live: Tensors
    start: Tensors
    start_shift: Tensor
    n_steps: int


def run_phases(job: Job, phases: tuple[Phase, ...]) -> State:
    """Train every phase that is not yet done, each from the best weights so far."""
    state = _resume(job)
    with job.machine.generators_restored(), Keeper(job.folder / CHECKPOINT) as keeper:
        for index in range(state.phase, len(phases)):
            run_phase(job, phases[index], state, keeper)
            state.begin_phase(index + 1)
            _keep_start(job, state, keeper)
    return state


def run_phase(job: Job, phase: Phase, state: State, keeper: Keeper) -> None:
    """Train what lies above one boundary and leave the best weights in the classifier."""
    started = time.monotonic() - state.seconds[state.phase]
    step = prepare(job, phase, state)
    while state.epoch < phase.epochs and not (phase.patience and state.stale >= phase.patience):
        with _interrupt_at_steps() as interrupted:
            run_epoch(step, state, keeper, started, interrupted)
    return_freed_memory()
    _load(step.live, state.best or step.start)
    if not state.best:
        job.classifier.prior_shift.copy_(step.start_shift)
    job.on_phase_end(phase, step.source)
    return_freed_memory()


def run_epoch(
    step: Step, state: State, keeper: Keeper, started: float, interrupted: Callable[[], bool]
) -> None:
    """Take an epoch's remaining steps, measure on validation, keep the state now and then."""
    job, phase = step.job, step.phase
    place = Place(seed=job.seed, phase=state.phase, epoch=state.epoch)
    batches = cut_epoch(job.epoch(place), phase.batch, place)
    epoch_started = time.monotonic()
    job.classifier.train_above(step.boundary, phase.batchnorm)
    while state.step < len(batches):
        train_step(step, state, batches[state.step], place)
        state.step += 1
        state.seconds[state.phase] = time.monotonic() - started
        job.progress(f"{phase.name} {state.epoch + 1}/{phase.epochs}", state.step, len(batches))
        if interrupted() or keeper.age > _CHECKPOINT_EVERY_S:
            _keep(step, state, keeper)
        if interrupted():
            raise KeyboardInterrupt
    _note_memory(state)
    _finish_epoch(step, state, time.monotonic() - epoch_started)
    state.seconds[state.phase] = time.monotonic() - started
    if step.boundary < len(job.classifier.stages):  # a head's steps are many and need little
        return_freed_memory()  # else what an epoch and its end need adds up
    if interrupted() or keeper.age > _CHECKPOINT_APART_S:
        _keep(step, state, keeper)
    if interrupted():
        raise KeyboardInterrupt


def train_step(step: Step, state: State, sample: Sample, place: Place) -> None:
    """Take one step: read, mix, forward, backward, update, average."""
    job, phase = step.job, step.phase
    rate = _set_rate(step, state)
    job.reseed("dropout", place.seed, place.phase, place.epoch, state.step)
    maps = step.source.drawn(sample, place)
    targets = _targets(job, phase, sample.rows).to(maps.device)
    covariates = step.source.beside(sample.rows)
    if step.boundary == 0:
        rng = place.generator("mix", state.step)
        maps, targets, covariates = mix(
            maps, targets, covariates, augmentation=job.augmentation, rng=rng
        )
    with job.machine.computing():
        scores = job.classifier(maps, step.boundary, covariates)
    loss = job.treatment.loss(scores, targets, job.counts)
    told = loss.item()
    _refuse_divergence(told, phase, state, rate)
    step.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if phase.clip_norm:
        trained = (p for p in job.classifier.parameters() if p.requires_grad)
        torch.nn.utils.clip_grad_norm_(trained, phase.clip_norm)
    step.optimizer.step()
    _average(step, state)
    natural = scores.detach() + job.classifier.prior_shift
    n_right = int((natural.argmax(1) == targets.argmax(1)).sum())
    state.sums = [
        total + more
        for total, more in zip(state.sums, (told * len(sample), n_right, len(sample)), strict=True)
    ]


def logits_of(
    classifier: Classifier,
    source: Source,
    boundary: int,
    rows: NDArray[np.int64],
    *,
    machine: Machine,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return logits (n, K) float32 at the natural prior, in evaluation mode, unaugmented."""
    classifier.eval()
    engine, size = classifier, _EVALUATION_BATCH
    if boundary < len(classifier.stages):
        engine = fold(classifier, machine)
    elif len(rows):
        size = max(size, _HEAD_BYTES // source.plain(rows[:1]).nbytes)
    logits = _room_for(len(rows), classifier)
    with torch.inference_mode(), machine.computing():  # once, so that weights are rounded once
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            answered = engine.logits(source.plain(batch), boundary, source.beside(batch))
            logits[start : start + len(batch)] = answered.cpu().numpy()
            if progress is not None:
                progress(start + len(batch), len(rows))
    return logits


def answers_of(
    classifier: Classifier,
    pixels: NDArray[np.uint8],
    *,
    machine: Machine,
    covariates: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return logits (n, K) float32 of pixels (n, H, W, 3), averaged over the recipe's views.

    covariates: (n, C) float32, for a classifier that reads some.
    """
    engine = fold(classifier.eval(), machine)
    logits = _room_for(len(pixels), classifier)
    for start in range(0, len(pixels), _EVALUATION_BATCH):
        batch = slice(start, start + _EVALUATION_BATCH)
        images = pixels_to_bytes(pixels[batch], machine.device)
        told = rows_of(covariates, batch, machine.device)
        with torch.inference_mode(), machine.computing():
            answered = engine.answer(images, told)
        logits[batch] = answered.cpu().numpy()
    return logits


def _room_for(n_rows: int, classifier: Classifier) -> NDArray[np.float32]:
    """Return one array for all logits (n, K).

    A small block kept from each batch would break up the memory that the next batch reuses, and
    a run's need would grow with its images.
    """
    return np.empty((n_rows, len(classifier.recipe.contract.diagnoses)), np.float32)


def _resume(job: Job) -> State:
    """Read the checkpoint, if there is one, and the weights that its phase started from.

    Raises RunError where one of the two is not as it was written.
    """
    path = job.folder / CHECKPOINT
    if not path.is_file():
        state = State()
        state.begin_phase(0)
        return state
    state = read_state(path)
    if state.phase > 0:
        start = _start_file(job, state.phase)
        with as_written(start):
            job.classifier.load_state_dict(load_file(start))
    logger.info("goes on at phase %d, epoch %d, step %d", state.phase, state.epoch, state.step)
    return state


def prepare(job: Job, phase: Phase, state: State) -> Step:
    """Read or compute what lies below the boundary, and put the state into the modules."""
    classifier = job.classifier
    classifier.zero_grad(set_to_none=True)  # a phase before left some where this one may not train
    boundary = classifier.boundary(phase.train_from)
    source = job.source_at(boundary)
    classifier.train_above(boundary, phase.batchnorm)
    optimizer = build_optimizer(
        classifier,
        kind=phase.optimizer,
        learning_rate=phase.learning_rate,
        weight_decay=phase.weight_decay,
    )
    live = classifier.state_above(boundary)
    start, start_shift = _copy(live), classifier.prior_shift.clone()
    classifier.set_prior_shift(
        job.treatment.prior_shift(job.counts, label_smoothing=phase.label_smoothing)
    )
    if state.live:
        _load(live, state.live)
        restore_optimizer(optimizer, state.optimizer)
        state.average = {name: laid_out_as(live[name], t) for name, t in state.average.items()}
    elif phase.average:
        state.average = _copy(live)
    n_images = len(job.epoch(Place(seed=job.seed, phase=state.phase, epoch=0)))
    return Step(
        job=job,
        phase=phase,
        boundary=boundary,
        source=source,
        optimizer=optimizer,
        live=live,
        start=start,
        start_shift=start_shift,
        n_steps=count_batches(n_images, phase.batch) * phase.epochs,
    )


def _finish_epoch(step: Step, state: State, seconds: float) -> None:
    """Measure the averaged weights on validation, keep them if best, write the row."""
    with _averaged(step, state):
        row = _measure(step)
        monitored = row[f"validation_{step.job.monitor}"]
        is_best = monitored < state.best_loss
        if is_best:
            state.best_loss, state.best_phase = monitored, state.phase
            state.best = _copy(step.live)
    loss, n_right, n_images = state.sums
    state.history.append(
        {
            "phase": step.phase.name,
            "epoch": state.epoch + 1,
            "train_loss": loss / n_images,
            "train_accuracy": n_right / n_images,
            **row,
            "learning_rate": _rate(step, state, state.step - 1),
            "seconds": seconds,
        }
    )
    _note_memory(state)
    state.epoch, state.step, state.sums = state.epoch + 1, 0, [0.0, 0.0, 0.0]
    state.stale = 0 if is_best else state.stale + 1
    logger.info(
        "%s %d/%d: train loss %.3f, validation loss %.3f, accuracy %.3f (natural), balanced "
        "accuracy %.3f (balanced)%s",
        step.phase.name,
        state.epoch,
        step.phase.epochs,
        loss / n_images,
        row["validation_loss"],
        row["validation_accuracy"],
        row["validation_balanced_accuracy"],
        ", best so far" if is_best else "",
    )


def _note_memory(state: State) -> None:
    state.memory_mib[state.phase] = max(state.memory_mib[state.phase], private_memory_mib())


def _measure(step: Step) -> dict[str, float]:
    """Return validation loss and scores: plain cross-entropy at the natural prior."""
    job = step.job
    rows = job.validation_rows
    logits = logits_of(job.classifier, step.source, step.boundary, rows, machine=job.machine)
    labels = job.labels[rows]
    row = {"validation_loss": _mean_loss(logits, labels)}
    if job.monitor == "calibrated_loss":
        temperature = fit_temperature(labels=labels, logits=logits)
        row["validation_calibrated_loss"] = _mean_loss(logits / temperature, labels)
    natural, balanced = (
        confusion.confusion_matrix(
            labels=labels,
            decisions=decide(logits=logits, prior=job.prior, rule=rule),
            n_classes=len(job.counts),
        )
        for rule in PLAIN_RULES
    )
    return {
        **row,
        "validation_accuracy": float(confusion.accuracy(natural)),
        "validation_balanced_accuracy": float(confusion.balanced_accuracy(balanced)),
    }


def _mean_loss(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    return float(log_losses(labels=labels, logits=logits.astype(np.float64)).mean())


def _targets(job: Job, phase: Phase, rows: NDArray[np.int64]) -> Tensor:
    n_classes = len(job.counts)
    hard = np.eye(n_classes)[job.labels[rows]]
    return torch.from_numpy(soften(hard, job.counts, phase.label_smoothing)).float()


def _rate(step: Step, state: State, place: int) -> float:
    """Return the learning rate of a step of this epoch."""
    phase = step.phase
    return scheduled_rate(
        state.epoch * (step.n_steps // phase.epochs) + place,
        step.n_steps,
        kind=phase.schedule,
        peak=phase.learning_rate,
        warmup=phase.warmup,
    )


def _set_rate(step: Step, state: State) -> float:
    rate = _rate(step, state, state.step)
    for group in step.optimizer.param_groups:
        group["lr"] = rate
    return rate


def _refuse_divergence(loss: float, phase: Phase, state: State, rate: float) -> None:
    if not math.isfinite(loss):
        raise RunError(
            f"The training loss must be finite; got {loss} in phase `{phase.name}`, epoch "
            f"{state.epoch + 1}, step {state.step + 1}, at a learning rate of {rate:.2g}. Lower "
            "`learning_rate` or set `clip_norm = 1.0`."
        )


def _average(step: Step, state: State) -> None:
    """Move the average towards the live weights; it starts fast, so early epochs count less."""
    if not step.phase.average:
        return
    done = state.epoch * (step.n_steps // step.phase.epochs) + state.step
    decay = min(step.phase.average, (1 + done) / (10 + done))
    with torch.no_grad():
        for name, tensor in step.live.items():
            if tensor.is_floating_point():
                state.average[name].lerp_(tensor, 1 - decay)
            else:
                state.average[name].copy_(tensor)


@contextmanager
def _averaged(step: Step, state: State) -> Iterator[None]:
    """Put the average in the live weights' place for as long as the body runs."""
    if not state.average:
        yield
        return
    kept = _copy(step.live)
    _load(step.live, state.average)
    try:
        yield
    finally:
        _load(step.live, kept)


def _keep(step: Step, state: State, keeper: Keeper) -> None:
    state.live = step.live
    state.optimizer = optimizer_tensors(step.optimizer)
    keeper.keep(state)


def _keep_start(job: Job, state: State, keeper: Keeper) -> None:
    """Write the weights that the next phase starts from, then the state that names it."""
    write_tensors(_start_file(job, state.phase), job.classifier.state_dict())
    keeper.keep(state)
    keeper.finish()
    _start_file(job, state.phase - 1).unlink(missing_ok=True)


def _start_file(job: Job, phase: int) -> Path:
    return job.folder / f"start-{phase}.safetensors"


def _copy(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _load(live: Tensors, tensors: Tensors) -> None:
    with torch.no_grad():
        for name, tensor in live.items():
            tensor.copy_(tensors[name])


@contextmanager
def _interrupt_at_steps() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C wait for the step's end, so that the state is whole when kept."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
