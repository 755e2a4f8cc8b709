"""What is fitted beside the classifier, kept with its run: `trust.json`.

In:  a run's predictions, its split, what the study asks of decisions.   Out: Trust, on disk.
Knows nothing of networks or pages; the test part takes no part in it.
"""

import json
from pathlib import Path

from moulage.catalogue import Catalogue
from moulage.errors import RunError
from moulage.evaluation.lesions import counted_as
from moulage.evaluation.trust import Asked, Trust, fit_trust
from moulage.files import write_json
from moulage.predictions import Predictions
from moulage.runs.config import DecisionsConfig
from moulage.runs.folder import TRUST
from moulage.seeding import generator
from moulage.split import Part, Split

_FORMAT = 1


def asked_of(decisions: DecisionsConfig | None) -> Asked:
    """Open `[decisions]` into plain arguments; without the table, what is usual."""
    return Asked(**decisions.model_dump()) if decisions else Asked()


def fitting_part(split: Split) -> tuple[Part, str]:
    """Return the part that everything after training is fitted on, and a sentence's end on it."""
    if split.has("calibration"):
        return "calibration", "on the calibration part"
    return "validation", "on the validation part, whose images also chose the epoch"


def keep_trust(
    path: Path, predictions: Predictions, *, split: Split, catalogue: Catalogue, asked: Asked
) -> Trust:
    """Fit on the calibration part, else on validation, and write `trust.json`."""
    part, whose = fitting_part(split)
    trust = fit_trust(
        predictions.of(part),
        asked=asked,
        malignant=[one.code for one in catalogue.diagnoses if one.is_malignant],
        note=f"Sets and thresholds were fitted {whose}.",
        rng=generator("trust"),
    )
    write_json(path / TRUST, {"format": _FORMAT, **counted_as(trust.as_json(), predictions.unit)})
    return trust


def read_trust(path: Path) -> Trust | None:
    """Read a run's `trust.json`; None for runs older than it."""
    file = path / TRUST
    if not file.is_file():
        return None
    try:
        return Trust.from_json(counted_as(json.loads(file.read_text()), "lesion"))
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"`{file}` must be what moulage wrote; got: {error!r}. Delete it, and write it anew "
            "with `moulage trust`."
        ) from error
