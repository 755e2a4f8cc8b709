"""Batches: which images make up a step, and what the classifier sees of them.

In:  pixels or activations for every image, covariates (N, C) where the head reads some; the place
     (seed, phase, epoch) in the run.
Out: maps at the boundary, drawn for training or plain for evaluation; what stands beside them.
Every draw is a function of the place and the image's id, every order of the place alone, so
a run that was killed draws the same again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moulage.networks.activations import Activations
from moulage.networks.inputs import pixels_to_images
from moulage.seeding import generator
from moulage.training.augmentation import N_DRAWS, Augmentation
from moulage.views import IDENTITY, N_VIEWS, apply_view, compose_views


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run stands: every random number is a function of it."""

    seed: int
    phase: int
    epoch: int

    def generator(self, *keys: int | str) -> np.random.Generator:
        """Return a generator for one purpose at this place."""
        return generator(self.seed, self.phase, self.epoch, *keys)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Some images of an epoch.

    rows (n,) int64: which. copies (n,) int64: 0 for an image's first appearance in the epoch, 1
    for its second …; each copy is drawn anew. views (n,) int64, or None: turned beforehand.
    """

    rows: NDArray[np.int64]
    copies: NDArray[np.int64]
    views: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def once(cls, rows: NDArray[np.int64]) -> "Sample":
        """Return each row once."""
        return cls(rows=rows, copies=np.zeros(len(rows), dtype=np.int64))

    @classmethod
    def join(cls, parts: Sequence["Sample"]) -> "Sample":
        """Return several samples as one; none of them may be turned."""
        return cls(
            rows=np.concatenate([part.rows for part in parts]),
            copies=np.concatenate([part.copies for part in parts]),
        )

    def turned(self) -> "Sample":
        """Return the sample with each copy turned to the next of the eight views."""
        return replace(self, views=self.copies % N_VIEWS)

    def take(self, places: NDArray[np.int64]) -> "Sample":
        """Return some of the sample, in their order."""
        views = None if self.views is None else self.views[places]
        return Sample(rows=self.rows[places], copies=self.copies[places], views=views)


class Source(Protocol):
    """Maps at a phase's boundary, an image a row."""

    def under(self, view: int) -> "Source":
        """Return the source whose plain maps are those of the images under a view."""

    def plain(self, rows: NDArray[np.int64]) -> Tensor:
        """Return maps of some rows as they are."""

    def drawn(self, sample: Sample, place: Place) -> Tensor:
        """Return maps of a sample as augmentation draws them at a place."""

    def beside(self, rows: NDArray[np.int64]) -> Tensor | None:
        """Return covariates (n, C) of some rows; None where the head reads none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelSource:
    """The boundary "all": maps are images (n, 3, H, W) in [0, 1]."""

    pixels: NDArray[np.uint8]
    image_ids: NDArray[np.str_]
    augmentation: Augmentation
    device: str
    covariates: NDArray[np.float32] | None = None
    view: int = IDENTITY

    def under(self, view: int) -> "PixelSource":
        """Return the source of images turned and mirrored."""
        return replace(self, view=view)

    def plain(self, rows: NDArray[np.int64]) -> Tensor:
        """Return images as they are, under the source's view."""
        return pixels_to_images(apply_view(self.pixels[rows], self.view), self.device)

    def drawn(self, sample: Sample, place: Place) -> Tensor:
        """Return images turned, bent and recoloured."""
        draws = _draws(self.image_ids[sample.rows], sample.copies, place)
        views = _views(self.augmentation, draws, sample)
        pixels = self.pixels[sample.rows]
        turned = [apply_view(image, view) for image, view in zip(pixels, views, strict=True)]
        return self.augmentation.apply(pixels_to_images(np.stack(turned), self.device), draws)

    def beside(self, rows: NDArray[np.int64]) -> Tensor | None:
        """Return covariates of some rows, if there are any."""
        return rows_of(self.covariates, rows, self.device)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActivationSource:
    """A boundary above the pixels: maps come from the cache, one activations record a view."""

    views: dict[int, Activations]
    image_ids: NDArray[np.str_]
    augmentation: Augmentation
    device: str
    covariates: NDArray[np.float32] | None = None

    def under(self, view: int) -> "ActivationSource":
        """Return the source of maps of images under a view; it must be among the views."""
        return replace(self, views={IDENTITY: self.views[view]})

    def plain(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the maps of the images as they are."""
        return self.views[IDENTITY].read(rows).to(self.device)

    def drawn(self, sample: Sample, place: Place) -> Tensor:
        """Return each image's maps under the view it draws."""
        views = self._turned(sample, place)
        if views is None:
            return self.plain(sample.rows)
        order = np.argsort(views, kind="stable")
        blocks = [
            self.views[view].read(sample.rows[order[views[order] == view]])
            for view in np.unique(views).tolist()
        ]
        back = torch.from_numpy(np.argsort(order, kind="stable"))
        by_image = torch.cat(blocks).permute(0, 2, 3, 1).index_select(0, back)
        return by_image.permute(0, 3, 1, 2).to(self.device)

    def _turned(self, sample: Sample, place: Place) -> NDArray[np.int64] | None:
        """Return the view (n,) of each image; None where nothing is turned, and nothing drawn."""
        if not (self.augmentation.flips or self.augmentation.turns):
            return sample.views
        draws = _draws(self.image_ids[sample.rows], sample.copies, place)
        return np.array(_views(self.augmentation, draws, sample))

    def beside(self, rows: NDArray[np.int64]) -> Tensor | None:
        """Return covariates of some rows, if there are any."""
        return rows_of(self.covariates, rows, self.device)


def rows_of(
    covariates: NDArray[np.float32] | None, rows: NDArray[np.int64] | slice, device: str
) -> Tensor | None:
    """Return some rows of covariates (N, C) on a device; None where there are none."""
    return None if covariates is None else torch.from_numpy(covariates[rows]).to(device)


def views_of(augmentation: Augmentation) -> tuple[int, ...]:
    """Return the views that an augmentation can draw, the identity first."""
    grid = np.array([[a, b] for a in (0.0, 0.25, 0.5, 0.75) for b in (0.0, 0.9)])
    drawn = {augmentation.choose_view(np.append(row, np.zeros(N_DRAWS))) for row in grid}
    return tuple(view for view in range(N_VIEWS) if view in drawn | {IDENTITY})


def cut_epoch(sample: Sample, batch: int, place: Place) -> list[Sample]:
    """Shuffle a sample and cut it into batches; a lone last image joins the batch before it.

    BatchNorm cannot train on a single image.
    """
    shuffled = place.generator("order").permutation(len(sample))
    return [sample.take(places) for places in np.split(shuffled, _cuts(len(sample), batch))]


def count_batches(n_images: int, batch: int) -> int:
    """Return how many batches `cut_epoch` makes."""
    return len(_cuts(n_images, batch)) + 1


def _cuts(n_images: int, batch: int) -> list[int]:
    cuts = list(range(batch, n_images, batch))
    if cuts and n_images - cuts[-1] == 1:
        cuts.pop()
    return cuts


def _views(augmentation: Augmentation, draws: NDArray[np.float64], sample: Sample) -> list[int]:
    drawn = [augmentation.choose_view(row) for row in draws]
    if sample.views is None:
        return drawn
    return [compose_views(int(a), b) for a, b in zip(sample.views, drawn, strict=True)]


def _draws(
    image_ids: NDArray[np.str_], copies: NDArray[np.int64], place: Place
) -> NDArray[np.float64]:
    keys = [
        ("image", str(name), int(copy)) if copy else ("image", str(name))
        for name, copy in zip(image_ids, copies, strict=True)
    ]
    return np.stack([place.generator(*key).random(N_DRAWS) for key in keys])
