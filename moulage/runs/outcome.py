"""What a run leaves behind: predictions at each phase's end, then metrics and the classifier.

In:  a trained job and its state.   Out: files in the run folder, `metrics.json` last.
Knows nothing of how the training went on, or of pages.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.evaluation.calibration import fit_temperature
from moulage.evaluation.decisions import PLAIN_RULES
from moulage.evaluation.lesions import counted_as
from moulage.evaluation.metrics import as_json, summary
from moulage.files import write_json, write_text
from moulage.networks.classifier import Classifier
from moulage.networks.machine import Machine, return_freed_memory
from moulage.networks.registry import backbone_named
from moulage.networks.saved import Saved, save_classifier
from moulage.networks.weights import WeightsFile
from moulage.predictions import Predictions, write_predictions
from moulage.runs import folder as folders
from moulage.runs import ledger
from moulage.runs.certainty import certainty_of
from moulage.runs.familiarity import keep_familiarity
from moulage.runs.material import Material
from moulage.runs.progress import Progress
from moulage.runs.study import Cell
from moulage.runs.trust import asked_of, fitting_part, keep_trust
from moulage.seal import digest_of
from moulage.split import PARTS, Part, Split
from moulage.training.batches import Source
from moulage.training.checkpoint import CHECKPOINT, State
from moulage.training.loop import Job, logits_of
from moulage.training.phases import Phase


@dataclass(frozen=True, slots=True)
class PhaseEnd:
    """Writes what the best weights so far predict, at the end of each phase."""

    material: Material
    classifier: Classifier
    machine: Machine
    path: Path
    progress: Progress

    def __call__(self, phase: Phase, source: Source) -> None:
        material = self.material
        logits = self._logits(phase, source)
        predictions = Predictions(
            image_ids=material.split.image_ids,
            lesion_ids=material.split.lesion_ids,
            parts=material.split.parts,
            labels=material.catalogue.labels[material.rows],
            logits=logits,
            diagnoses=material.catalogue.codes,
            prior=material.prior,
            split_digest=material.split.digest,
            classifier_digest=self.classifier.digest(),
            unit=material.split.unit,
        )
        run = folders.RunFolder(path=self.path)
        write_predictions(predictions, run.predictions_of(phase.name))

    def _logits(self, phase: Phase, source: Source) -> NDArray[np.float32]:
        """Return the mean over the views that an answer averages."""
        boundary, views = self.classifier.boundary(phase.train_from), self.classifier.recipe.views
        rows = self.material.rows

        def of_view(place: int) -> NDArray[np.float32]:
            done, total = place * len(rows), len(views) * len(rows)
            return logits_of(
                self.classifier,
                source.under(views[place]),
                boundary,
                rows,
                machine=self.machine,
                progress=lambda n, _: self.progress("predicting", done + n, total),
            )

        each = [of_view(place) for place in range(len(views))]
        mean = np.stack(each).mean(axis=0, dtype=np.float64)
        return np.asarray(mean, dtype=np.float32)


def keep_outcome(
    cell: Cell,
    material: Material,
    job: Job,
    weights: WeightsFile | None,
    state: State,
    phases: tuple[Phase, ...],
) -> None:
    """Calibrate, measure and keep; `metrics.json` comes last and says that all is there."""
    path, split, catalogue = job.folder, material.split, material.catalogue
    run = folders.RunFolder(path=path)
    keep_familiarity(
        path,
        job.classifier,
        material,
        boundaries={job.classifier.boundary(phase.train_from) for phase in phases},
        machine=job.machine,
        progress=job.progress,
    )
    final = calibrated(run.predictions(phases[-1].name), split)
    saved = Saved(
        classifier=job.classifier,
        prior=job.prior,
        temperature=final.temperature,
        weights_source=weights.source if weights else "random",
        licence=weights.licence if weights else "Apache-2.0",
    )
    n_looks = keep_final(
        path, cell, saved, final, split=split, catalogue=catalogue, recipe=digest_of(cell.recipe())
    )
    history = pd.DataFrame(state.history)
    write_text(path / folders.HISTORY, history.to_csv(index=False, lineterminator="\n"))
    content = _metrics(run, job.classifier, final, state, phases)
    part, whose = fitting_part(split)
    return_freed_memory()  # of all before: what it and the intervals need is not added up
    content["certainty"] = certainty_of(
        final.of("test"), chosen_on=final.of(part), diagnoses=catalogue.diagnoses
    )
    content["run"] = {
        "weights_source": saved.weights_source,
        "licence": saved.licence,
        "temperature": final.temperature,
        "temperature_note": f"The temperature was fitted {whose}.",
        "backbone_title": backbone_named(job.classifier.recipe.backbone).title,
        "scaling": asdict(job.classifier.recipe.contract.scaling),
        "dataset_kind": material.kind,
        "best_phase": phases[state.best_phase].name,
        "n_looks": n_looks,
        "notes": [*material.notes, *job.treatment.notes(job.counts, catalogue.codes)],
    }
    write_json(path / folders.METRICS, content)
    drop_checkpoints(path)


def calibrated(predictions: Predictions, split: Split) -> Predictions:
    """Return the predictions at the temperature that fits the part after training."""
    fitted = predictions.of(fitting_part(split)[0])
    temperature = fit_temperature(labels=fitted.labels, logits=fitted.logits)
    return replace(predictions, temperature=temperature)


def keep_final(
    path: Path,
    cell: Cell,
    saved: Saved,
    final: Predictions,
    *,
    split: Split,
    catalogue: Catalogue,
    recipe: str,
) -> int:
    """Write predictions, classifier, trust and looks; return how many looks there were."""
    write_predictions(final, path / folders.PREDICTIONS)
    save_classifier(saved, path)
    asked = asked_of(cell.study.decisions)
    keep_trust(path, final, split=split, catalogue=catalogue, asked=asked)
    looks = ledger.look(split.digest, run=f"{cell.study.name}/{cell.name}", recipe=recipe)
    write_json(path / folders.LEDGER, looks)
    return len(looks)


def drop_checkpoints(path: Path) -> None:
    """Delete what only an unfinished run needs."""
    for pattern in (CHECKPOINT, "start-*.safetensors"):
        for kept in path.glob(pattern):
            kept.unlink(missing_ok=True)


def _metrics(
    run: folders.RunFolder,
    classifier: Classifier,
    final: Predictions,
    state: State,
    phases: tuple[Phase, ...],
) -> dict[str, Any]:
    return {
        "parts": scores_by_part(final),
        "phases": [
            {
                "name": phase.name,
                "train_from": phase.train_from,
                "n_trainable": classifier.count_trainable(classifier.boundary(phase.train_from)),
                "n_total": classifier.count_parameters(),
                "epochs": sum(row["phase"] == phase.name for row in state.history),
                "seconds": state.seconds[index],
                "peak_memory_mib": state.memory_mib[index] or None,  # 0: not told
                "parts": _phase_scores(run, phase),
            }
            for index, phase in enumerate(phases)
        ],
    }


def _phase_scores(run: folders.RunFolder, phase: Phase) -> dict[str, Any]:
    return scores_by_part(run.predictions(phase.name))


def scores_by_part(predictions: Predictions) -> dict[str, Any]:
    """Return every metric of each part that has images."""
    return {part: scores_of(predictions.of(part)) for part in _parts(predictions)}


def scores_of(predictions: Predictions) -> dict[str, Any]:
    """Return every metric of one part under each rule, as plain values."""
    found = {rule: as_json(summary(predictions, rule=rule)) for rule in PLAIN_RULES}
    return dict(counted_as(found, predictions.unit))


def _parts(predictions: Predictions) -> list[Part]:
    return [part for part in PARTS if (predictions.parts == part).any()]
