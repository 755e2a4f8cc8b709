"""Draw random numbers that depend on their place in the study and on nothing else.

A draw is a function of its keys, such as (seed, phase, epoch, image_id). So a run that was
killed and goes on, or that reads its images in another order, draws the same numbers.
"""

import hashlib

import numpy as np


def seed_of(*keys: int | str) -> int:
    """Return a 63-bit seed that is a function of the keys alone.

    Keys are told apart by type and place: `("1", 2)`, `(1, 2)` and `("12",)` differ.
    """
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(*keys: int | str) -> np.random.Generator:
    """Return a generator whose stream is a function of the keys alone."""
    return np.random.Generator(np.random.PCG64(seed_of(*keys)))
