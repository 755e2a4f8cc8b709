"""Impressions: what the middle of a backbone makes of an image, as a few hundred numbers.

In:  a classifier, pixels (N, H, W, 3) uint8.   Out: (N, D) float32, pooled maps of two stages.
Knows nothing of training and of what is familiar.
Why the middle: the first stages see colours, the last ones only what tells diagnoses apart; a
picture that is no skin lesion looks like one to both (docs/decisions/trust.md).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from moulage.networks.classifier import Classifier
from moulage.networks.committee import first_of
from moulage.networks.folding import fold
from moulage.networks.inputs import pixels_to_bytes
from moulage.networks.machine import Machine

Progress = Callable[[int, int], None]
_BATCH = 16  # wide early maps: larger batches make what a run needs vary from one to the next
_PLACES = (0.5, 0.75)  # along the chain of stages


def impressions_of(
    classifier: Classifier,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64] | None = None,
    *,
    machine: Machine,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return each map's mean at the stages half and three quarters up the backbone `(N, D)`.

    rows (N,): of which pixels, all if None. They are read a batch at a time. A committee looks
    with its first member's eyes.
    """
    engine = fold(first_of(classifier), machine)
    top = places_of(len(engine.stages))[-1] + 1

    def show(few: NDArray[np.int64]) -> None:
        engine.below(pixels_to_bytes(pixels[few], machine.device), top)

    rows = np.arange(len(pixels)) if rows is None else rows
    return noted_while(show, rows, engine=engine, machine=machine, progress=progress)


def noted_while(
    show: Callable[[NDArray[np.int64]], None],
    rows: NDArray[np.int64],
    *,
    engine: Classifier,
    machine: Machine,
    at: tuple[int, ...] | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return what is noted `(N, D)` while `show` passes rows through an engine, a batch a call."""
    with noting(engine, at=at) as notes:
        for start in range(0, max(len(rows), 1), _BATCH):
            few = rows[start : start + _BATCH]
            with torch.inference_mode(), machine.computing():
                show(few)
            noted = notes.pop()
            if start == 0:  # one array: small blocks kept from each batch break up its memory
                impressions = np.empty((len(rows), noted.shape[1]), np.float32)
            impressions[start : start + len(few)] = noted
            if progress is not None:
                progress(min(start + _BATCH, len(rows)), len(rows))
    return impressions


@contextmanager
def noting(
    classifier: Classifier, *, at: tuple[int, ...] | None = None
) -> Iterator[list[NDArray[np.float32]]]:
    """Yield a list that gains impressions (n, D) with each batch that passes while the body runs.

    at: stages to note, rising, of those that impressions are made from; None: all of them. A
    batch that stops below the last one leaves none. A classifier that answers with several views
    passes each batch as often.
    """
    stages = first_of(classifier).stages
    notes: list[NDArray[np.float32]] = []
    pooled: dict[int, Tensor] = {}
    places = places_of(len(stages)) if at is None else at

    def note(place: int, _module: nn.Module, _given: tuple[Tensor, ...], maps: Tensor) -> None:
        pooled[place] = maps.float().mean(dim=(2, 3))
        if place == places[-1]:
            notes.append(torch.cat([pooled[p] for p in places], dim=1).cpu().numpy())

    hooks = [
        stages[place].modules[-1].register_forward_hook(partial(note, place)) for place in places
    ]
    try:
        yield notes
    finally:
        for hook in hooks:
            hook.remove()


def places_of(n_stages: int) -> tuple[int, ...]:
    """Return the indices of the stages that are read, rising; a lone stage is all there is.

    >>> places_of(19), places_of(9), places_of(1)
    ((9, 14), (4, 6), (0,))
    """
    return tuple(sorted({int(n_stages * share) for share in _PLACES}))
