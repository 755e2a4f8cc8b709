"""The pictures that a page shows, of those images that can still be read.

In:  a catalogue, some of its rows, how a file's bytes become a picture.   Out: row -> picture.
Knows nothing of pages or sizes.
Why: a file that is gone or torn since it was read costs its picture, never the page.
"""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.data.sources import Sources
from moulage.errors import ImageError


def read_thumbnails(
    catalogue: Catalogue,
    rows: Iterable[int],
    *,
    decode: Callable[[bytes], NDArray[np.uint8]],
) -> dict[int, NDArray[np.uint8]]:
    """Return the picture (h, w, 3) uint8 of each row; an image that cannot be read has none."""
    paths = catalogue.frame["path"].tolist()
    found: dict[int, NDArray[np.uint8]] = {}
    with Sources(catalogue.root) as sources:
        for row in rows:
            try:
                found[row] = decode(sources.read(paths[row]))
            except (OSError, ImageError):
                continue
    return found
