"""A finished classifier as functions of pixels: probabilities, hidden units, contributions.

In:  pixels (n, H, W, 3) uint8, at the size of the classifier's contract.   Out: numpy arrays.
Knows nothing of files or of explanations, which ask it thousands of times.
Why the folded classifier: in bfloat16 it rounds elsewhere than the one that was trained, and what
is explained must be what `predict` answers. Only gradients go through the head as it was trained.
Why heads with random weights beside the learned one: an explanation that looks the same under
them shows the image, not what was learned [adebayo2018]. The backbone below is computed once.
A committee has no such heads, and shows the hidden layer and contributions of its first member.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn

from moulage.covariates import width_of
from moulage.errors import ShapeError
from moulage.networks.classifier import Classifier, as_numpy, shape_at_head
from moulage.networks.committee import first_of
from moulage.networks.folding import fold
from moulage.networks.gradcam import contribution_maps
from moulage.networks.heads import build_head
from moulage.networks.inputs import pixels_to_bytes
from moulage.networks.machine import Machine
from moulage.networks.saved import Saved
from moulage.seeding import seed_of
from moulage.views import apply_view

N_RANDOM_HEADS = 3
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Witness:
    """A classifier on a machine, in evaluation mode; random_heads are as large as its own.

    engine: its folded copy, which answers. covariates: for a classifier that reads some, (n, C)
    float32 for n images, or (1, C) where all pixels are copies of one image.
    """

    saved: Saved
    engine: Classifier
    machine: Machine
    random_heads: tuple[nn.Module, ...] = ()
    covariates: NDArray[np.float32] | None = None

    def told(self, covariates: NDArray[np.float32] | None) -> "Witness":
        """Return the witness of images with these covariates: pixels may vary, they stay."""
        return replace(self, covariates=covariates)

    @property
    def n_classes(self) -> int:
        """How many diagnoses, K."""
        return len(self.saved.classifier.recipe.contract.diagnoses)

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return probabilities (n, K), after temperature, at the natural prior."""
        return self._answers(pixels, ())

    def classify_with_random_heads(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return probabilities (n, (1 + R) · K): of the classifier, then of each random head."""
        return self._answers(pixels, self.random_heads)

    def hidden(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the head's last hidden layer (n, D) after its ReLU; pooled maps if it has none."""
        member = first_of(self.engine)
        return self._read(member, pixels, partial(_hidden, member))

    def contributions(
        self, pixels: NDArray[np.uint8], diagnoses: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return what each place of the last maps adds to the logit of a diagnosis, (n, h, w)."""
        member = first_of(self.saved.classifier)
        blocks = [
            contribution_maps(member, maps, diagnoses=diagnoses[rows], covariates=covariates)
            for rows, maps, covariates in self._maps(first_of(self.engine), pixels)
        ]
        return np.concatenate(blocks)

    def _answers(
        self, pixels: NDArray[np.uint8], heads: tuple[nn.Module, ...]
    ) -> NDArray[np.float64]:
        """Average logits over the recipe's views, and turn each head's into probabilities."""
        engine = self.engine

        def read(maps: Tensor, covariates: Tensor | None) -> Tensor:
            learned = engine.logits(maps, len(engine.stages), covariates)
            random = [head(maps, covariates).float() for head in heads]
            return torch.cat([learned, *random], dim=1)

        views = engine.recipe.views
        logits = sum(self._read(engine, apply_view(pixels, view), read) for view in views)
        learned, *random = np.split(logits / len(views), 1 + len(heads), axis=1)
        scaled = [learned / self.saved.temperature, *random]
        return np.concatenate([softmax(block, axis=1) for block in scaled], axis=1)

    def _read(
        self,
        classifier: Classifier,
        pixels: NDArray[np.uint8],
        read: Callable[[Tensor, Tensor | None], Tensor],
    ) -> NDArray[np.float64]:
        blocks = []
        for _, maps, covariates in self._maps(classifier, pixels):
            with torch.inference_mode(), self.machine.computing():
                blocks.append(as_numpy(read(maps, covariates)).astype(np.float64))
        return np.concatenate(blocks)

    def _maps(
        self, classifier: Classifier, pixels: NDArray[np.uint8]
    ) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Yield the last maps (n, D, h, w), a batch at a time, with rows and covariates."""
        self._check(pixels)
        for start in range(0, len(pixels), _BATCH):
            rows = slice(start, start + _BATCH)
            with torch.inference_mode(), self.machine.computing():
                images = pixels_to_bytes(pixels[rows], self.machine.device)
                covariates = self._covariates(rows, len(images))
                maps = classifier.below(images, len(classifier.stages), covariates)
            yield rows, maps, covariates

    def _covariates(self, rows: slice, n_images: int) -> Tensor | None:
        if self.covariates is None:
            return None
        one = len(self.covariates) == 1
        told = np.repeat(self.covariates, n_images, axis=0) if one else self.covariates[rows]
        return torch.from_numpy(told).to(self.machine.device)

    def _check(self, pixels: NDArray[np.uint8]) -> None:
        side = self.saved.classifier.recipe.contract.size_px
        if pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3) or not len(pixels):
            raise ShapeError(
                f"`pixels` must have shape (n, {side}, {side}, 3) with n ≥ 1; got {pixels.shape}. "
                "Lay images out by the classifier's contract."
            )


def call_witness(
    saved: Saved, machine: Machine, *, n_random_heads: int = N_RANDOM_HEADS
) -> Witness:
    """Put a classifier on its machine, with random heads that are the same every time."""
    classifier = saved.classifier.to(machine.device).eval()
    numbers = range(0 if classifier.recipe.members else n_random_heads)
    heads = tuple(_random_head(classifier, number) for number in numbers)
    return Witness(
        saved=saved,
        engine=fold(classifier, machine),
        machine=machine,
        random_heads=tuple(head.to(machine.device).eval() for head in heads),
    )


def _random_head(classifier: Classifier, number: int) -> nn.Module:
    recipe = classifier.recipe
    return build_head(
        kind=recipe.head,
        maps_shape=shape_at_head(classifier.network, recipe.contract.size_px),
        hidden=recipe.hidden,
        dropout=recipe.dropout,
        n_classes=len(recipe.contract.diagnoses),
        generator=torch.Generator().manual_seed(seed_of("random head", number)),
        n_covariates=width_of(recipe.covariates),
    )


def _hidden(classifier: Classifier, maps: Tensor, covariates: Tensor | None) -> Tensor:
    layers = list(classifier.head)
    dense = [place for place, layer in enumerate(layers) if isinstance(layer, nn.ReLU)]
    if not dense:
        return maps.float().mean(dim=(2, 3))
    features = classifier.head.features(maps, covariates)
    for layer in layers[1 : dense[-1] + 1]:
        features = layer(features)
    return features
