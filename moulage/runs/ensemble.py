"""Ensembles of a study: finished runs of one split that answer together, kept as a run.

In:  a study's cells and the folder of their runs.   Out: a run folder an ensemble and split.
Knows nothing of training and pages. Predictions are the mean log-probability of the members',
each at its own temperature; then everything is fitted and measured as for any run.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from numpy.typing import NDArray

from moulage.catalogue import write_catalogue
from moulage.errors import RunError
from moulage.evaluation.decisions import log_sum_exp
from moulage.files import alone_at, write_json, write_text
from moulage.networks.committee import committee_of
from moulage.networks.saved import Saved, load_classifier
from moulage.predictions import Predictions
from moulage.runs import folder as folders
from moulage.runs.certainty import certainty_of
from moulage.runs.config import EnsembleConfig
from moulage.runs.contents import read_json
from moulage.runs.familiarity import adopt_familiarity
from moulage.runs.folder import RunFolder
from moulage.runs.outcome import calibrated, keep_final, scores_by_part
from moulage.runs.study import Cell
from moulage.runs.trust import asked_of, fitting_part
from moulage.runs.wholeness import clear_torn
from moulage.seal import digest_of
from moulage.split import write_split

logger = logging.getLogger(__name__)

_MEMBERS = "members"


def keep_ensembles(
    cells: Sequence[Cell], folder: Path, *, fresh: bool = False
) -> tuple[RunFolder, ...]:
    """Keep every ensemble whose members are all finished, on each split; return the folders.

    fresh: one that is torn is made anew. Without it RunError is raised.
    """
    if not cells:
        return ()
    kept = []
    for ensemble in cells[0].study.ensembles:
        together: dict[str, list[Cell]] = {}
        for cell in cells:
            if cell.experiment.name in ensemble.of:
                together.setdefault(cell.split_name, []).append(cell)
        kept += [_keep(ensemble, members, folder, fresh=fresh) for members in together.values()
                 if _are_all_there(ensemble, members, folder)]  # fmt: skip
    return tuple(kept)


def average(members: Sequence[Predictions]) -> Predictions:
    """Return the members' mean log-probability as predictions; rows must be the same images."""
    first = members[0]
    logs = [_log_probabilities(member) for member in members]
    return replace(first, logits=np.mean(logs, axis=0).astype(np.float32), temperature=1.0)


def _are_all_there(ensemble: EnsembleConfig, members: Sequence[Cell], folder: Path) -> bool:
    """Say whether `--only` and missing weights left any member out."""
    wanted = {one.name for one in members[0].study.experiments} & set(ensemble.of)
    return wanted == {cell.experiment.name for cell in members} and all(
        RunFolder(path=folder / cell.name).is_finished for cell in members
    )


def _keep(
    ensemble: EnsembleConfig, members: Sequence[Cell], folder: Path, *, fresh: bool
) -> RunFolder:
    experiment = members[0].experiment.model_copy(update={"name": ensemble.name})
    cell = replace(members[0], experiment=experiment)
    runs = [RunFolder(path=folder / member.name) for member in members]
    kept = RunFolder(path=folder / cell.name)
    predictions = [run.predictions() for run in runs]
    asked = asked_of(cell.study.decisions)
    recipe = digest_of([[one.classifier_digest for one in predictions], repr(asked)])
    alike = len({member.experiment.name for member in members}) == 1
    with alone_at(kept.path):
        if not _stands(kept, recipe, fresh=fresh):
            folders.drop_pages(kept.path, *folders.PAGES)
            _write(kept, runs, predictions, cell, recipe=recipe, alike=alike)
    return kept


def _stands(kept: RunFolder, recipe: str, *, fresh: bool) -> bool:
    """Say whether the ensemble of these members is there and whole; RunError where it is torn."""
    if not kept.is_finished:
        return False
    try:
        members = read_json(kept.path / folders.METRICS).get(_MEMBERS, {})
    except RunError:
        if not fresh:
            raise
        return False
    if members.get("digest") != recipe:
        logger.info("%s is of other members, and is made anew", kept.path.name)
        return False
    return not clear_torn(kept, fresh=fresh)


def _write(
    kept: RunFolder,
    runs: Sequence[RunFolder],
    predictions: Sequence[Predictions],
    cell: Cell,
    *,
    recipe: str,
    alike: bool,
) -> None:
    """Write the whole run; alike: its members are of one recipe."""
    saved = [load_classifier(run.path) for run in runs]
    committee = committee_of([one.classifier for one in saved], [one.temperature for one in saved])
    split, catalogue = runs[0].split(), runs[0].catalogue()
    digest = committee.digest()
    final = calibrated(replace(average(predictions), classifier_digest=digest), split)
    licences = " · ".join(dict.fromkeys(one.licence for one in saved))
    whole = Saved(
        classifier=committee,
        prior=saved[0].prior,
        temperature=final.temperature,
        weights_source=f"{len(saved)} runs of this study",
        licence=licences,
    )
    kept.path.mkdir(parents=True, exist_ok=True)
    _write_study(kept, runs, cell, [one.name for one in committee.recipe.covariates])
    write_catalogue(catalogue, kept.path / folders.CATALOGUE)
    write_split(split, kept.path / folders.SPLIT)
    n_looks = keep_final(
        kept.path, cell, whole, final, split=split, catalogue=catalogue, recipe=digest
    )
    adopt_familiarity(runs[0].path, kept.path, classifier=committee)
    history = runs[0].history().iloc[:0]
    write_text(kept.path / folders.HISTORY, history.to_csv(index=False, lineterminator="\n"))
    content = _metrics(whole, final, runs, n_looks=n_looks, alike=alike)
    content[_MEMBERS] = {"names": [run.path.name for run in runs], "digest": recipe}
    content["certainty"] = certainty_of(
        final.of("test"),
        chosen_on=final.of(fitting_part(split)[0]),
        diagnoses=catalogue.diagnoses,
    )
    write_json(kept.path / folders.METRICS, content)


def _write_study(
    kept: RunFolder, runs: Sequence[RunFolder], cell: Cell, covariates: Sequence[str]
) -> None:
    """Write the first member's file, its experiment renamed and without phases of its own."""
    content = runs[0].study()
    content["experiment"][0] |= {"name": cell.experiment.name, "phases": []}
    if covariates:  # of any member
        content["experiment"][0]["covariates"] = list(covariates)
    content["ensemble"] = {"of": [run.path.name for run in runs]}
    write_text(kept.path / folders.STUDY, tomli_w.dumps(content))


def _metrics(
    saved: Saved,
    final: Predictions,
    runs: Sequence[RunFolder],
    *,
    n_looks: int,
    alike: bool,
) -> dict[str, Any]:
    about = runs[0].metrics()["run"]
    titles = dict.fromkeys(run.metrics()["run"]["backbone_title"] for run in runs)
    members = [run.path.name for run in runs]
    _, whose = fitting_part(runs[0].split())
    return {
        "parts": scores_by_part(final),
        "phases": [],
        "run": {
            **about,
            "weights_source": saved.weights_source,
            "licence": saved.licence,
            "temperature": final.temperature,
            "temperature_note": f"The temperature was fitted {whose}.",
            "backbone_title": f"{len(runs)} × {' and '.join(titles)}",
            "best_phase": "",
            "n_looks": n_looks,
            "notes": [
                f"An ensemble: the mean log-probability of {', '.join(members)}, each at its own "
                "temperature.",
                *(
                    []
                    if alike
                    else [f"Its own page tells the recipe of {members[0]}; others differ."]
                ),
                *about["notes"],
            ],
        },
    }


def _log_probabilities(predictions: Predictions) -> NDArray[np.float64]:
    scaled = predictions.logits.astype(np.float64) / predictions.temperature
    return scaled - log_sum_exp(scaled)
