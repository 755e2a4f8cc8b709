"""Draw a course's pictures once, keep them in memory, hand them out in batches.

In:  a course (size, number, passes), a seed.   Out: a bank of arrays; row numbers a batch.
Knows nothing of networks.
Why: drawing costs as much as learning, so each picture is drawn once and shown several times,
turned and mirrored: no factor depends on the view.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.seeding import generator
from moulage.views import N_VIEWS
from tools.procedural import FACTORS, KINDS, draw_picture

_CHUNK, _WORKERS = 250, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One leg of the training: so many pictures of one size, shown so many times."""

    size_px: int
    n_pictures: int
    n_passes: int
    batch: int

    def __str__(self) -> str:
        return f"{self.n_pictures} pictures at {self.size_px} px, {self.n_passes} passes"

    @property
    def n_steps(self) -> int:
        """Whole batches only."""
        return self.n_passes * (self.n_pictures // self.batch)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bank:
    """Pictures with what was drawn into them.

    pixels (N, H, W, C) uint8; kinds (N, slots) int64, in the order of `KINDS`; factors (N, F)
    float32, in the order of `FACTORS`, NaN where a factor has no meaning.
    """

    pixels: NDArray[np.uint8]
    kinds: NDArray[np.int64]
    factors: NDArray[np.float32]


def draw_banks(courses: Sequence[Course], *, seed: int) -> list[Bank]:
    """Draw a bank a course in other processes; what is drawn does not depend on them."""
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as pool:
        return [
            _joined(pool.map(partial(draw_bank, course.size_px, seed, leg), _chunks(course)))
            for leg, course in enumerate(courses)
        ]


def draw_bank(size_px: int, seed: int, leg: int, indices: Iterable[int]) -> Bank:
    """Draw the pictures of these indices; each is a function of (seed, leg, index)."""
    cv2.setNumThreads(1)
    pictures = [draw_picture(generator("starter", seed, leg, i), size_px) for i in indices]
    return Bank(
        pixels=np.stack([picture.pixels for picture in pictures]),
        kinds=np.array(
            [[KINDS[slot].index(picture.kinds[slot]) for slot in KINDS] for picture in pictures]
        ),
        factors=np.array(
            [[picture.factors.get(name, np.nan) for name in FACTORS] for picture in pictures],
            dtype=np.float32,
        ),
    )


def standardised(bank: Bank) -> Bank:
    """Give each factor mean 0 and deviation 1 over the pictures where it has a meaning."""
    centred = bank.factors - np.nanmean(bank.factors, axis=0)
    factors = centred / (np.nanstd(bank.factors, axis=0) + np.float32(1e-6))
    return Bank(pixels=bank.pixels, kinds=bank.kinds, factors=factors)


def batches(course: Course, *, seed: int, leg: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yield row numbers and a view; every pass has its own order."""
    for turn in range(course.n_passes):
        rng = generator("starter-order", seed, leg, turn)
        order = rng.permutation(course.n_pictures)
        for start in range(0, course.n_pictures - course.batch + 1, course.batch):
            yield order[start : start + course.batch], int(rng.integers(N_VIEWS))


def pictures_digest(seed: int) -> str:
    """Return a SHA-256 over the first pictures of a seed: which generator this was."""
    return hashlib.sha256(draw_bank(64, seed, 0, range(16)).pixels.tobytes()).hexdigest()


def _chunks(course: Course) -> list[range]:
    n = course.n_pictures
    return [range(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]


def _joined(banks: Iterable[Bank]) -> Bank:
    parts = list(banks)
    return standardised(
        Bank(
            pixels=np.concatenate([part.pixels for part in parts]),
            kinds=np.concatenate([part.kinds for part in parts]),
            factors=np.concatenate([part.factors for part in parts]),
        )
    )
