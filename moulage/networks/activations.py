"""Activations: what lies below a boundary, computed once per image and kept on disk.

In:  pixels (N, H, W, 3) uint8, a classifier, a boundary, a view.
Out: a memory map (N, h, w, D), channels last, in the precision that computed it.
Impressions, which the pass meets on its way, are kept beside the maps. Memory holds one batch at
a time. bfloat16, which numpy lacks, is stored as its bits (uint16).
"""

import warnings
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moulage import files, store
from moulage.networks.classifier import Classifier
from moulage.networks.folding import fold
from moulage.networks.impressions import impressions_of, noted_while, noting, places_of
from moulage.networks.inputs import pixels_to_bytes
from moulage.networks.machine import Machine
from moulage.seal import digest_of
from moulage.views import IDENTITY, apply_view

Progress = Callable[[int, int], None]
KIND = "activations"
_BATCH = 64
_ENGINE = 5  # raise it when the same weights and pixels would become other maps
_MAPS, _IMPRESSIONS = "maps.npy", "impressions.npy"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activations:
    """Maps at one boundary for every row of the pixels, or for some.

    array: (N, h, w, D) float32, or uint16 holding the bits of bfloat16; mapped, read-only.
    places: where in `array` each row of the pixels lies, -1 for one left out; None: none is.
    """

    array: NDArray[np.float32] | NDArray[np.uint16]
    places: NDArray[np.int64] | None = None
    _rows: Tensor = field(init=False, repr=False)  # the array, as torch sees it

    def __post_init__(self) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            rows = torch.from_numpy(self.array)
        is_half = rows.dtype == torch.uint16
        object.__setattr__(self, "_rows", rows.view(torch.bfloat16) if is_half else rows)

    def __len__(self) -> int:
        return len(self.array)

    def read(self, rows: NDArray[np.int64]) -> Tensor:
        """Return maps (n, D, h, w) of some rows, channels last in memory.

        They lie in torch's memory, not numpy's: how numbers are aligned may change their sums.
        """
        if self.places is not None:
            rows = self.places[rows]
        assert rows.min(initial=0) >= 0, "a row that was left out is asked for"
        assert rows.max(initial=0) < len(self), "a row that does not exist is asked for"
        maps = self._rows.index_select(0, torch.from_numpy(np.ascontiguousarray(rows)))
        return maps.permute(0, 3, 1, 2)

    def pooled(self) -> NDArray[np.float32]:
        """Return each map's mean, (N, D) float32, reading a batch at a time."""
        blocks = [
            self.read(np.arange(start, min(start + _BATCH, len(self)))).float().mean(dim=(2, 3))
            for start in range(0, len(self), _BATCH)
        ]
        return np.asarray(torch.cat(blocks).numpy())


def activations_at(
    classifier: Classifier,
    boundary: int,
    *,
    pixels: NDArray[np.uint8],
    pixels_key: str,
    machine: Machine,
    view: int = IDENTITY,
    rows: NDArray[np.int64] | None = None,
    progress: Progress | None = None,
) -> Activations:
    """Return the activations of every image at a boundary, from the cache or computed now.

    rows: the only images that will be asked for, if not all.
    """
    key = _key(classifier, boundary, pixels_key, machine, view, rows)
    chosen = np.arange(len(pixels)) if rows is None else rows
    folder = store.find(KIND, key)
    if folder is None:
        _compute(classifier, boundary, pixels, chosen, machine, view, key, progress)
        folder = store.find(KIND, key)
    assert folder is not None
    array = np.load(folder / _MAPS, mmap_mode="r")
    if rows is None:
        return Activations(array=array)
    places = np.full(len(pixels), -1)
    places[rows] = np.arange(len(rows))
    return Activations(array=array, places=places)


def impressions_at(
    classifier: Classifier,
    rows: NDArray[np.int64],
    *,
    boundaries: Collection[int],
    pixels: NDArray[np.uint8],
    pixels_key: str,
    machine: Machine,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return impressions of some rows: as noted on the way to activations, as far as that went.

    boundaries: where activations may have been kept; the highest whose weights are still the
    classifier's serves.
    """
    for boundary in sorted(boundaries, reverse=True):
        key = _key(classifier, boundary, pixels_key, machine, IDENTITY, None)
        folder = store.find(KIND, key)
        if folder is not None and (folder / _IMPRESSIONS).is_file():
            return _completed(classifier, boundary, folder, rows, machine, progress)
    return impressions_of(classifier, pixels, rows, machine=machine, progress=progress)


def _completed(
    classifier: Classifier,
    boundary: int,
    folder: Path,
    rows: NDArray[np.int64],
    machine: Machine,
    progress: Progress | None,
) -> NDArray[np.float32]:
    """Return what was noted below a boundary, and beside it what stages above make of the maps."""
    noted = np.asarray(np.load(folder / _IMPRESSIONS, mmap_mode="r")[rows])
    above = tuple(p for p in places_of(len(classifier.stages)) if p >= boundary)
    if not above:
        return noted
    kept = Activations(array=np.load(folder / _MAPS, mmap_mode="r"))
    engine = fold(classifier, machine)

    def show(few: NDArray[np.int64]) -> None:
        maps = kept.read(few).to(machine.device)
        for stage in engine.stages[boundary : above[-1] + 1]:
            maps = stage(maps)

    made = noted_while(show, rows, engine=engine, machine=machine, at=above, progress=progress)
    return np.concatenate([noted, made], axis=1)


def _key(
    classifier: Classifier,
    boundary: int,
    pixels_key: str,
    machine: Machine,
    view: int,
    rows: NDArray[np.int64] | None,
) -> dict[str, object]:
    key: dict[str, object] = {
        "weights": classifier.digest_below(boundary),
        "boundary": boundary,
        "pixels": pixels_key,
        "precision": machine.precision,
        "device": machine.device.split(":")[0],
        "view": view,
        "torch": torch.__version__,
        "engine": _ENGINE,
    }
    return key if rows is None else key | {"rows": digest_of(rows.tolist())}


def _compute(
    classifier: Classifier,
    boundary: int,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    machine: Machine,
    view: int,
    key: dict[str, object],
    progress: Progress | None,
) -> None:
    engine = fold(classifier.eval(), machine)
    n_images = len(rows)
    dtype = np.uint16 if machine.precision == "bfloat16" else np.float32
    top = len(engine.stages)
    below = None if boundary == top else tuple(p for p in places_of(top) if p < boundary)
    with noting(engine, at=below) as notes, store.publish(KIND, key) as folder:
        shape = _forward(engine, boundary, pixels[:1], machine, view).shape[1:]
        width = notes.pop().shape[1] if notes else 0
        impressions = np.empty((n_images, width), np.float32)
        with (
            files.ArrayWriter(folder / _MAPS, shape=(n_images, *shape), dtype=dtype) as writer,
            ThreadPoolExecutor(max_workers=1) as hand,
        ):
            written = hand.submit(_nothing_yet)
            for start in range(0, n_images, _BATCH):
                batch = pixels[rows[start : start + _BATCH]]
                maps = _forward(engine, boundary, batch, machine, view)
                written.result()
                written = hand.submit(writer.append, maps)
                if notes:
                    impressions[start : start + len(batch)] = notes.pop()
                if progress is not None:
                    progress(min(start + _BATCH, n_images), n_images)
            written.result()
        if width:
            np.save(folder / _IMPRESSIONS, impressions)


def _nothing_yet() -> None:
    pass


def _forward(
    engine: Classifier,
    boundary: int,
    pixels: NDArray[np.uint8],
    machine: Machine,
    view: int,
) -> NDArray[np.float32] | NDArray[np.uint16]:
    images = pixels_to_bytes(apply_view(pixels, view), machine.device)
    with torch.inference_mode(), machine.computing():
        maps = engine.below(images, boundary).permute(0, 2, 3, 1).contiguous().cpu()
    if machine.precision == "bfloat16":
        return np.asarray(maps.to(torch.bfloat16).view(torch.uint16).numpy())
    return np.asarray(maps.float().numpy())
