"""Treatments of class imbalance: how training is told that some diagnoses are rare.

In:  the images of each class in the training part.
Out: a loss, the images of an epoch, and the prior that both train towards, so that the natural
prior can be put back before anybody reads a probability.
Knows nothing of pixels, and never touches validation or test.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moulage.evaluation.priors import move_prior
from moulage.training.batches import Place, Sample
from moulage.views import N_VIEWS

TreatmentKind = Literal[
    "none", "class_weight", "oversample", "augment", "focal", "logit_adjustment"
]
_ABSENT = 1e-9
_SURE = 1e-6  # a probability of being wrong below which focal loss damps no further


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """One treatment.

    class_weight: an image weighs 1 / (images of its class), or under the scheme "effective"
    (1 - beta) / (1 - beta^images) [cui2019, eq. 3]; the mean weight of an image is 1.
    oversample: every class is drawn equally often; an epoch keeps its length, or gives each
    class as many images as the most common one has (`length = "majority"`).
    augment: minority classes are filled up to the most common one with turned and mirrored
    copies, each the next of the eight views.
    focal: (1 - p)^gamma damps what is already right [lin2017, eq. 4].
    logit_adjustment: adds `tau · log prior` to the scores in training only [menon2021, eq. 10];
    at tau 1 it is the balanced softmax [ren2020].
    """

    kind: TreatmentKind = "none"
    scheme: Literal["balanced", "effective"] = "balanced"
    beta: float = 0.999
    length: Literal["epoch", "majority"] = "epoch"
    gamma: float = 2.0
    tau: float = 1.0

    @property
    def turns(self) -> bool:
        """Say whether images are shown under all eight views."""
        return self.kind == "augment"

    def turned(self, counts: NDArray[np.int64], view: int) -> NDArray[np.bool_]:
        """Say which classes have copies that are turned to a view, (K,) bool."""
        if not self.turns:
            return np.zeros(len(counts), dtype=np.bool_)
        return np.asarray((counts > 0) & (counts * view < self._images_a_class(counts)))

    def weights(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what an image of each class weighs, (K,); an absent class weighs nothing."""
        if self.kind != "class_weight":
            return np.ones(len(counts))
        present = counts > 0
        held = np.where(present, counts, 1).astype(np.float64)
        if self.scheme == "effective":
            held = (1 - self.beta**held) / (1 - self.beta)
        raw = np.where(present, 1 / held, 0.0)
        return np.asarray(raw * counts.sum() / (raw @ counts), dtype=np.float64)

    def trained_prior(
        self, counts: NDArray[np.int64], *, label_smoothing: float = 0.0
    ) -> NDArray[np.float64]:
        """Return the prior (K,) that the scores lean to once trained towards `soften`ed targets.

        Focal loss is no proper score: its scores lean to another prior, nearer to an even one, and
        this is not undone exactly.
        """
        is_present = counts > 0
        natural = counts / counts.sum()
        shares = np.maximum(soften(natural, counts, label_smoothing), _ABSENT)
        if self.kind in ("oversample", "augment"):
            shares = np.where(is_present, 1.0, _ABSENT)
        elif self.kind == "class_weight":
            shares = np.where(is_present, shares * self.weights(counts), _ABSENT)
        elif self.kind == "logit_adjustment":
            natural = np.maximum(natural, _ABSENT)
            logs = (1 - self.tau) * np.log(natural) + np.log(shares / natural)
            shares = _held(logs, is_present=is_present)
        return np.asarray(shares / shares.sum(), dtype=np.float64)

    def prior_shift(
        self, counts: NDArray[np.int64], *, label_smoothing: float = 0.0
    ) -> NDArray[np.float64]:
        """Return what puts the natural prior back once added to the scores, (K,)."""
        trained = self.trained_prior(counts, label_smoothing=label_smoothing)
        zeros = np.zeros((1, len(counts)))
        shift = move_prior(zeros, trained=trained, natural=counts / counts.sum())
        return np.asarray(shift[0], dtype=np.float64)

    def epoch(self, rows: NDArray[np.int64], labels: NDArray[np.int64], place: Place) -> Sample:
        """Return the images of an epoch, in no particular order, with the copy that each is.

        labels (n,) int64: the classes of `rows`, one each.
        """
        if self.kind not in ("oversample", "augment"):
            return Sample.once(rows)
        counts = np.bincount(labels)
        n_each = self._images_a_class(counts)
        chosen = [
            _fill(rows[labels == label], n_each, place.generator("fill", int(label)))
            for label in np.flatnonzero(counts)
        ]
        sample = Sample.join(chosen)
        return sample.turned() if self.kind == "augment" else sample

    def notes(self, counts: NDArray[np.int64], codes: tuple[str, ...]) -> tuple[str, ...]:
        """Say where copies run out of views and repeat."""
        if self.kind != "augment":
            return ()
        n_each = self._images_a_class(counts)
        return tuple(
            f"{code}: {n_each:,} images an epoch from {count:,}; beyond its {N_VIEWS} views an "
            f"image repeats, {n_each - N_VIEWS * count:,} times in all."
            for code, count in zip(codes, counts, strict=True)
            if 0 < count * N_VIEWS < n_each
        )

    def loss(self, scores: Tensor, targets: Tensor, counts: NDArray[np.int64]) -> Tensor:
        """Return the mean loss () of scores (n, K) against targets (n, K), rows sum to 1."""
        if self.kind == "logit_adjustment":
            shares = np.maximum(counts / counts.sum(), _ABSENT)
            scores = scores + self.tau * torch.from_numpy(np.log(shares)).to(scores)
        logs = torch.log_softmax(scores, dim=1)
        terms = -targets * logs
        if self.kind == "focal":
            wrong = (-torch.expm1(logs)).clamp_min(_SURE)  # at 0 a root has no slope
            terms = terms * wrong**self.gamma
        if self.kind == "class_weight":
            terms = terms * torch.from_numpy(self.weights(counts)).to(scores)
        return terms.sum(dim=1).mean()

    def _images_a_class(self, counts: NDArray[np.int64]) -> int:
        if self.kind == "augment" or self.length == "majority":
            return int(counts.max())
        return max(int(counts.sum()) // int((counts > 0).sum()), 1)


def soften(
    shares: NDArray[np.float64], counts: NDArray[np.int64], label_smoothing: float
) -> NDArray[np.float64]:
    """Return shares (…, K) of which so much is spread evenly over classes that training has.

    A class that it lacks gets none: it would be taught to be as likely as any mistake.

    >>> soften(np.array([1.0, 0.0, 0.0]), np.array([9, 3, 0]), 0.5).tolist()
    [0.75, 0.25, 0.0]
    """
    even = (counts > 0) / (counts > 0).sum()
    return np.asarray(shares * (1 - label_smoothing) + label_smoothing * even)


def _held(logs: NDArray[np.float64], *, is_present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return shares `(K,)` of their logs, the largest 1; an absent class has at most others' mean.

    Its billionth to a negative power would dwarf them. Without mass it would come back: the loss
    holds it down, so training never lowers its score, and the natural prior must.
    """
    raised = np.exp(np.minimum(logs - logs[is_present].max(), 0.0))
    at_most = raised[is_present].mean()
    return np.asarray(np.where(is_present, raised, np.minimum(raised, at_most)), dtype=np.float64)


def _fill(rows: NDArray[np.int64], n_images: int, rng: np.random.Generator) -> Sample:
    """Draw `n_images` from rows, each as often as any other, give or take one."""
    shuffled = rows[rng.permutation(len(rows))]
    return Sample(
        rows=np.resize(shuffled, n_images),
        copies=np.arange(n_images, dtype=np.int64) // len(rows),
    )
