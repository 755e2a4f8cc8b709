"""Batches: which images make up a step, and what the classifier sees of them.

In:  pixels or activations for every image; the place (seed, phase, epoch) in the run.
Out: maps at the boundary, drawn for training or plain for evaluation.
Every draw is a function of the place and the image's id, every order of the place alone, so
a run that was killed draws the same again.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moulage.networks.activations import Activations, pixels_to_images
from moulage.seeding import generator
from moulage.training.augmentation import N_DRAWS, Augmentation
from moulage.views import IDENTITY, N_VIEWS, apply_view


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run stands: every random number is a function of it."""

    seed: int
    phase: int
    epoch: int

    def generator(self, *keys: int | str) -> np.random.Generator:
        """Return a generator for one purpose at this place."""
        return generator(self.seed, self.phase, self.epoch, *keys)


class Source(Protocol):
    """Maps at a phase's boundary, an image a row."""

    def plain(self, rows: NDArray[np.int64]) -> Tensor:
        """Return maps of some rows as they are."""

    def drawn(self, rows: NDArray[np.int64], place: Place) -> Tensor:
        """Return maps of some rows as augmentation draws them at a place."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelSource:
    """The boundary "all": maps are images (n, 3, H, W) in [0, 1]."""

    pixels: NDArray[np.uint8]
    image_ids: NDArray[np.str_]
    augmentation: Augmentation
    device: str

    def plain(self, rows: NDArray[np.int64]) -> Tensor:
        """Return images as they are."""
        return pixels_to_images(self.pixels[rows], self.device)

    def drawn(self, rows: NDArray[np.int64], place: Place) -> Tensor:
        """Return images turned, bent and recoloured."""
        draws = _draws(self.image_ids[rows], place)
        views = [self.augmentation.choose_view(row) for row in draws]
        pixels = self.pixels[rows]
        turned = [apply_view(image, view) for image, view in zip(pixels, views, strict=True)]
        return self.augmentation.apply(pixels_to_images(np.stack(turned), self.device), draws)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActivationSource:
    """A boundary above the pixels: maps come from the cache, one activations record a view."""

    views: dict[int, Activations]
    image_ids: NDArray[np.str_]
    augmentation: Augmentation
    device: str

    def plain(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the maps of the images as they are."""
        return self.views[IDENTITY].read(rows).to(self.device)

    def drawn(self, rows: NDArray[np.int64], place: Place) -> Tensor:
        """Return each image's maps under the view it draws."""
        if len(self.views) == 1:
            return self.plain(rows)
        draws = _draws(self.image_ids[rows], place)
        views = np.array([self.augmentation.choose_view(row) for row in draws])
        order = np.argsort(views, kind="stable")
        blocks = [
            self.views[view].read(rows[order[views[order] == view]]) for view in np.unique(views)
        ]
        maps = torch.cat(blocks)
        back = torch.from_numpy(np.argsort(order, kind="stable"))
        return maps[back].to(self.device)


def views_of(augmentation: Augmentation) -> tuple[int, ...]:
    """Return the views that an augmentation can draw, the identity first."""
    grid = np.array([[a, b] for a in (0.0, 0.25, 0.5, 0.75) for b in (0.0, 0.9)])
    drawn = {augmentation.choose_view(np.append(row, np.zeros(N_DRAWS))) for row in grid}
    return tuple(view for view in range(N_VIEWS) if view in drawn | {IDENTITY})


def order_of_epoch(rows: NDArray[np.int64], batch: int, place: Place) -> list[NDArray[np.int64]]:
    """Shuffle rows and cut them into batches; a lone last image joins the batch before it.

    BatchNorm cannot train on a single image.
    """
    shuffled = rows[place.generator("order").permutation(len(rows))]
    cuts = list(range(batch, len(rows), batch))
    if cuts and len(rows) - cuts[-1] == 1:
        cuts.pop()
    return np.split(shuffled, cuts)


def _draws(image_ids: NDArray[np.str_], place: Place) -> NDArray[np.float64]:
    return np.stack([place.generator("image", str(name)).random(N_DRAWS) for name in image_ids])
