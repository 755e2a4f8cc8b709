"""The range test: one phase trained while its learning rate climbs, to see where it breaks.

In:  a job, a phase, the highest rate, a number of steps.
Out: the rates and what the loss was after each; the classifier is spoiled afterwards.
Why: the largest rate that still lowers the loss is found in a hundred steps instead of a grid of
trainings [smith2015]. The loss is that of one fixed sample of validation images: where diagnoses
are rare, the losses of training batches differ more by who is in them than by the rate.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np
import torch
from numpy.typing import NDArray

from moulage.errors import ConfigError, RunError
from moulage.evaluation.losses import log_losses
from moulage.training.batches import Place, Sample, cut_epoch
from moulage.training.checkpoint import State
from moulage.training.loop import Job, Step, logits_of, prepare, train_step
from moulage.training.phases import Phase

_MEMORY = 0.7
_HOPELESS = 4.0
_FEWEST_STEPS = 10
_MOST_WATCHED = 128
_LEAST_GAIN = 0.01
_SETTLING_BATCHES = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RangeTest:
    """What the loss did: rates and the losses after a step with each, (n,) float64, in order.

    start: the loss before the first step. diverged: whether the loss left all bounds before the
    highest rate.
    """

    phase: str
    start: float
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    diverged: bool

    def __repr__(self) -> str:
        suggested, n_steps = self.suggested, len(self.rates)
        return f"RangeTest(phase={self.phase!r}, suggested={suggested:.2g}, n_steps={n_steps})"

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """The losses' moving average (n,), each start corrected for having no past."""
        return smooth(self.losses)

    @property
    def lowest_at(self) -> float:
        """The rate at which the smoothed loss was lowest."""
        return float(self.rates[int(np.argmin(self.smoothed))])

    @property
    def suggested(self) -> float:
        """A tenth of the rate at the lowest loss: near it, the next step up breaks the training."""
        return self.lowest_at / 10

    def as_csv(self) -> str:
        """Return `learning_rate,loss,smoothed_loss`, a row a step."""
        rows = zip(self.rates, self.losses, self.smoothed, strict=True)
        lines = [f"{rate:.6g},{loss:.6g},{mean:.6g}" for rate, loss, mean in rows]
        return "\n".join(["learning_rate,loss,smoothed_loss", *lines]) + "\n"

    @property
    def never_fell(self) -> bool:
        """Say whether no rate lowered the loss by a hundredth of what it was."""
        return bool(self.smoothed.min() > (1 - _LEAST_GAIN) * self.start)

    @property
    def still_fell(self) -> bool:
        """Say whether the loss was still falling at the end, so that more could be tried."""
        return not self.diverged and int(np.argmin(self.smoothed)) == len(self.losses) - 1


def run_range_test(job: Job, phase: Phase, *, highest: float, n_steps: int) -> RangeTest:
    """Take up to `n_steps` steps at rates from `highest` · 1e-6 to `highest`, evenly in factors.

    Ends early where the smoothed loss is four times its lowest, or no number any more.
    """
    if n_steps < _FEWEST_STEPS or not highest > 0:
        raise ConfigError(
            f"A range test must have at least {_FEWEST_STEPS} steps and a highest rate above zero; "
            f"got {n_steps} and {highest:g}. Try 100 and 1."
        )
    with job.machine.generators_restored():
        return _climb(job, phase, highest=highest, n_steps=n_steps)


def smooth(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exponential moving average (n,) of losses (n,), corrected for its start.

    >>> smooth(np.array([2.0, 2.0, 2.0])).round(6).tolist()
    [2.0, 2.0, 2.0]
    """
    ages = np.subtract.outer(np.arange(len(losses)), np.arange(len(losses)))
    weights = np.where(ages >= 0, _MEMORY ** np.maximum(ages, 0), 0.0)
    return np.asarray(weights @ losses / weights.sum(axis=1), dtype=np.float64)


def _climb(job: Job, phase: Phase, *, highest: float, n_steps: int) -> RangeTest:
    ramp = replace(phase, schedule="ramp", learning_rate=highest, epochs=1, average=0.0)
    state = State()
    state.begin_phase(0)
    step = replace(prepare(job, ramp, state), n_steps=n_steps)
    _settle(step)
    watched = _watched(job)
    start = _loss_on(watched, step)
    rates: list[float] = []
    losses: list[float] = []
    for sample, place in islice(_batches(job, phase), n_steps):
        is_sound = _take_step(step, state, sample, place)
        rate = float(step.optimizer.param_groups[0]["lr"])
        loss = _loss_on(watched, step) if is_sound else np.inf
        if not np.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss)
        job.progress(f"range test of {phase.name}", len(losses), n_steps)
        if _is_hopeless(losses):
            break
    if not losses:
        raise RunError(
            f"A range test must begin at a rate whose loss is a number; got none at {rate:g}, its "
            f"lowest. Lower the highest rate, {highest:g}."
        )
    return RangeTest(
        phase=phase.name,
        start=start,
        rates=np.array(rates),
        losses=np.array(losses),
        diverged=len(losses) < n_steps or _is_hopeless(losses),
    )


def _batches(job: Job, phase: Phase) -> Iterator[tuple[Sample, Place]]:
    """Yield batches of one epoch after the other, without end."""
    for epoch in count():
        place = Place(seed=job.seed, phase=0, epoch=epoch)
        for sample in cut_epoch(job.epoch(place), phase.batch, place):
            yield sample, place


def _settle(step: Step) -> None:
    """Let running statistics meet this data first: how they move is no work of any rate."""
    job = step.job
    job.classifier.train_above(step.boundary, step.phase.batchnorm)
    job.reseed("settling", job.seed)
    with torch.no_grad(), job.machine.computing():
        for sample, place in islice(_batches(job, step.phase), _SETTLING_BATCHES):
            maps, covariates = step.source.drawn(sample, place), step.source.beside(sample.rows)
            job.classifier(maps, step.boundary, covariates)


def _take_step(step: Step, state: State, sample: Sample, place: Place) -> bool:
    """Take one step; say whether its loss was a number."""
    step.job.classifier.train_above(step.boundary, step.phase.batchnorm)
    try:
        train_step(step, state, sample, place)
    except RunError:  # the loop refuses a loss that is not finite; here that is an answer
        return False
    state.step += 1
    return True


def _watched(job: Job) -> NDArray[np.int64]:
    """Return the validation images whose loss is watched, the same after every step."""
    rng = Place(seed=job.seed, phase=0, epoch=0).generator("watched")
    return np.sort(rng.permutation(job.validation_rows)[:_MOST_WATCHED])


def _loss_on(rows: NDArray[np.int64], step: Step) -> float:
    """Return the mean cross-entropy at the natural prior, in evaluation mode."""
    job = step.job
    logits = logits_of(job.classifier, step.source, step.boundary, rows, machine=job.machine)
    return float(log_losses(labels=job.labels[rows], logits=logits.astype(np.float64)).mean())


def _is_hopeless(losses: list[float]) -> bool:
    if len(losses) < _FEWEST_STEPS:
        return False
    smoothed = smooth(np.array(losses))
    return bool(smoothed[-1] > _HOPELESS * smoothed.min())
