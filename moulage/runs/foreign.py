"""What a finished run is worth on a labelled foreign set: `metrics.json` of `moulage evaluate`.

In:  a run folder; the data set as it was read; predictions of its images.
Out: plain values: scores, intervals, questions, calibration; what was measured, and with what.
Nothing is fitted on the set: temperature, thresholds and sets are the run's own.
"""

import json
from pathlib import Path
from typing import Any

from moulage.data.dataset import Dataset
from moulage.errors import RunError
from moulage.evaluation.examination import as_json, examine
from moulage.runs.application import Foreign
from moulage.runs.certainty import certainty_of
from moulage.runs.folder import METRICS, RunFolder
from moulage.runs.material import left_out_notes
from moulage.runs.outcome import scores_of
from moulage.runs.trust import fitting_part, read_trust


def account_of(run: RunFolder, dataset: Path, opened: Dataset, foreign: Foreign) -> dict[str, Any]:
    """Return what a reader needs to trust the result, and to have it again.

    dataset: where it was read from, a study file perhaps. `confusion` is in the order of
    `diagnoses`; thresholds of questions were chosen on the run's own images.
    """
    own = run.predictions()
    part, whose = fitting_part(run.split())
    predictions, catalogue, trust = foreign.predictions, foreign.catalogue, read_trust(run.path)
    return {
        "run": str(run.path),
        "classifier_digest": predictions.classifier_digest,
        "dataset": {
            "name": opened.catalogue.name,
            "path": str(dataset.resolve()),
            "root": str(opened.catalogue.root.resolve()),
            "kind": opened.kind,
            "digest": opened.catalogue.digest,
        },
        "images": {"digest": foreign.pixels_digest},
        "diagnoses": list(predictions.diagnoses),
        "mapping": dict(foreign.mapping),
        "n_unmapped": dict(foreign.n_unmapped),
        "n_unreadable": len(foreign.unreadable),
        "notes": [*opened.notes, *left_out_notes(foreign.unreadable), *foreign.notes],
        "fitted": f"Temperature, thresholds and sets are the run's own, fitted {whose}.",
        "parts": {"test": scores_of(predictions)},
        "certainty": certainty_of(
            predictions, chosen_on=own.of(part), diagnoses=catalogue.diagnoses
        ),
        "trust": trust
        and as_json(examine(trust, predictions, catalogue.frame, strangeness=foreign.strangeness)),
    }


def refuse_another(out: Path, run: RunFolder, opened: Dataset) -> None:
    """Raise RunError where metrics in `out` are not of this classifier on this data set."""
    if not (out / METRICS).is_file():
        return
    digests, whose = _whose(out / METRICS)
    own = run.predictions().classifier_digest
    if digests != (own, opened.catalogue.digest):
        raise RunError(
            f"`out` must be free, or hold what this classifier made of these same labels; got "
            f"metrics of {whose} in {out}. Name another folder, or delete that one."
        )


def _whose(path: Path) -> tuple[tuple[str, str], str]:
    """Return the digests of what a file's metrics are of, and its name in words."""
    try:
        kept = json.loads(path.read_text())
        name, digest = (kept["dataset"][key] for key in ("name", "digest"))
        return (kept["classifier_digest"], digest), f"{kept['run']} on {name}"
    except (ValueError, KeyError, TypeError):  # a run's own, another program's, an older one's
        return ("", ""), "something else"
