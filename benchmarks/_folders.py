"""Folders in which a benchmark's caches and looks lie apart from the user's."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock


@contextmanager
def apart() -> Iterator[Path]:
    """Yield a folder that is gone afterwards; caches and looks lie in it while the body runs."""
    with tempfile.TemporaryDirectory() as name:
        folders = {"MOULAGE_CACHE": f"{name}/cache", "MOULAGE_DATA": f"{name}/data"}
        with mock.patch.dict(os.environ, folders):
            yield Path(name)
