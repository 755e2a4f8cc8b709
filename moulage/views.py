"""The eight ways to lay a square photograph on the table: quarter turns and their mirror images.

A view is an integer in [0, 8): `view % 4` quarter turns counter-clockwise, then a left-right
mirror where `view >= 4`. View 0 is the image as it is.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError

T = TypeVar("T", bound=np.generic)

N_VIEWS = 8
IDENTITY = 0


def apply_view(images: NDArray[T], view: int) -> NDArray[T]:
    """Turn and mirror `images (…, H, W, C)`; H and W swap under odd quarter turns."""
    if not 0 <= view < N_VIEWS:
        raise ConfigError(f"`view` must lie in [0, {N_VIEWS}); got {view}. Choose one of 0 … 7.")
    turned = np.rot90(images, k=view % 4, axes=(-3, -2))
    return turned[..., ::-1, :] if view >= 4 else turned


def compose_views(first: int, second: int) -> int:
    """Return the view that equals `second` applied after `first`.

    >>> compose_views(1, 3), compose_views(4, 4)
    (0, 0)
    """
    turns = first % 4 + (-(second % 4) if first >= 4 else second % 4)
    return turns % 4 + (4 if (first >= 4) != (second >= 4) else 0)
