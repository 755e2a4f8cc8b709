"""The data set that is always there: casts, drawn once into the cache.

Out: a folder in HAM10000's layout, the same bytes and the same times on every machine.
Why fixed times: decoded pixels are known by their files' sizes and times, so casts that were
pruned and drawn again go on where they were.
"""

import logging
import os
from importlib.metadata import version
from pathlib import Path

from moulage import store
from moulage.casts.generator import make_casts

logger = logging.getLogger(__name__)

KIND = "casts"
N_IMAGES, SEED, SIZE = 1_500, 0, (200, 150)
_DRAWN_AT_NS = 1_000_000_000_000_000_000


def drawn_casts() -> Path:
    """Return the folder of the built-in casts, from the cache or drawn now."""
    key = {"n_images": N_IMAGES, "seed": SEED, "size": list(SIZE), "moulage": version("moulage")}
    folder = store.find(KIND, key)
    if folder is None:
        logger.info("drawing %s synthetic lesion images", f"{N_IMAGES:,}")
        with store.publish(KIND, key, about={"dataset": "Casts"}) as building:
            make_casts(building, n_images=N_IMAGES, seed=SEED, size=SIZE)
            _fix_times(building)
        folder = store.find(KIND, key)
    assert folder is not None, "what was just published is found"
    return folder


def _fix_times(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(_DRAWN_AT_NS, _DRAWN_AT_NS))
