"""Transfer learning for skin-lesion images that can be trusted. Not a medical device.

The public door: actions and the records they speak in, loaded when first named.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Read by GNU's OpenMP when torch loads: how often a thread looks before it sleeps. Its own 300,000
# stall it on a machine that does other work (docs/decisions/threads.md).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# Read by Arrow when it loads: columns of text lie in memory that torch can use afterwards. Arrow's
# own pool keeps it (docs/decisions/memory.md).
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

if TYPE_CHECKING:
    from moulage.actions import (
        audit,
        compare,
        evaluate,
        explain,
        list_runs,
        make_split,
        predict,
        read_dataset,
        report,
        survey,
        train,
    )
    from moulage.catalogue import Catalogue
    from moulage.errors import MoulageError
    from moulage.evaluation.metrics import summary
    from moulage.predictions import Predictions, read_predictions
    from moulage.split import Split

_ROOMS = {
    "Catalogue": "catalogue",
    "MoulageError": "errors",
    "Predictions": "predictions",
    "Split": "split",
    "audit": "actions",
    "compare": "actions",
    "evaluate": "actions",
    "explain": "actions",
    "list_runs": "actions",
    "make_split": "actions",
    "predict": "actions",
    "read_dataset": "actions",
    "read_predictions": "predictions",
    "report": "actions",
    "summary": "evaluation.metrics",
    "survey": "actions",
    "train": "actions",
}

__all__ = [
    "Catalogue",
    "MoulageError",
    "Predictions",
    "Split",
    "audit",
    "compare",
    "evaluate",
    "explain",
    "list_runs",
    "make_split",
    "predict",
    "read_dataset",
    "read_predictions",
    "report",
    "summary",
    "survey",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'moulage' has no attribute {name!r}")
    return getattr(import_module(f"moulage.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
