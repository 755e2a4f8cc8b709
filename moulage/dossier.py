"""A run folder opened into the record that pages take, and a study's folder likewise.

In:  finished run folders.   Out: frozen records of `moulage.pages`.
Knows nothing of networks or HTML: it reads what a run kept, and puts it into words.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.data.images import decode_square
from moulage.data.thumbnails import read_thumbnails
from moulage.errors import DataError, MoulageError, RunError
from moulage.evaluation.examination import examine
from moulage.evaluation.metrics import OVERALL
from moulage.evaluation.trust import Asked
from moulage.pages import recipes
from moulage.pages.comparison import baselines_of
from moulage.pages.composition import leak_notes, leak_of
from moulage.pages.mistakes import worst_mistakes
from moulage.pages.records import (
    Answered,
    AnswersRecord,
    CardRecord,
    Certainty,
    ExperimentRecord,
    InputRecord,
    MachineRecord,
    NotRun,
    PhaseRecord,
    RunRecord,
    Score,
    StudyRecord,
    TrustRecord,
)
from moulage.predictions import Predictions
from moulage.runs import ledger
from moulage.runs.baselines import read_baselines
from moulage.runs.folder import Layout, RunFolder
from moulage.runs.study import split_name
from moulage.runs.trust import keep_trust, read_trust
from moulage.split import Split

if TYPE_CHECKING:
    from moulage.runs.application import Answers  # loads torch, which pages do not need

logger = logging.getLogger(__name__)

_LICENCES = {
    "ham10000": "CC BY-NC 4.0 (Tschandl, Rosendahl, Kittler 2018, doi 10.7910/DVN/DBW86T).",
    "casts": "Synthetic: drawn by moulage from a seed; no patient, no photograph.",
    "isic": "See the ISIC archive's terms for each image.",
}
_NO_LICENCE = "Its licence is not recorded here."
_THUMBNAIL_PX = 160


def run_record(run: RunFolder) -> RunRecord:
    """Open one finished run."""
    study, metrics = run.study(), run.metrics()
    about, resolved = metrics["run"], study["resolved"]
    catalogue, split, predictions = run.catalogue(), run.split(), run.predictions()
    return RunRecord(
        name=run.path.name,
        study=study["name"],
        created=resolved["date"],
        experiment=_experiment(study["experiment"][0], metrics),
        inputs=_inputs(study, about),
        machine=MachineRecord(
            versions=resolved["versions"],
            threads=resolved["threads"],
            precision=resolved["precision"],
            device=resolved["device"],
        ),
        catalogue=catalogue,
        licence=_LICENCES.get(about["dataset_kind"], _NO_LICENCE),
        split=split,
        split_kind=study["split"]["kind"],
        split_seed=study["split"]["seeds"][0],
        history=run.history(),
        predictions=predictions,
        temperature_note=about["temperature_note"],
        ledger=ledger.in_words(about["n_looks"]),
        baselines=_baselines(run, study, split),
        thumbnails=_thumbnails(catalogue, predictions.of("test")),
        notes=tuple(about["notes"]),
        first_end=_first_end(run, study["experiment"][0]["phases"]),
        certainty=_certainty(metrics.get("certainty")),
        n_looks=about["n_looks"],
        pages=run.pages(),
    )


def first_notes(run: RunFolder) -> tuple[str, ...]:
    """Return what every page of a run says first: that its split leaks, if it does."""
    return leak_notes(leak_of(run.split()))


def inner_notes(run: RunFolder) -> tuple[str, ...]:
    """Return what pages that look into a run say first: of an ensemble also, whose inside it is."""
    members = run.study().get("ensemble", {}).get("of", ())
    if not members:
        return first_notes(run)
    return (
        *first_notes(run),
        "This run is an ensemble. A hidden layer, or a gradient, shown here is that of its first "
        f"member, {members[0]}. It has no check by heads with random weights.",
    )


def trust_record(run: RunFolder) -> TrustRecord:
    """Open a finished run and what was fitted beside it, and measure that on its test part.

    Runs older than `trust.json` are fitted now, from their predictions.
    """
    study = run.study()
    catalogue, split, predictions = run.catalogue(), run.split(), run.predictions()
    trust = read_trust(run.path) or keep_trust(
        run.path,
        predictions,
        split=split,
        catalogue=catalogue,
        asked=Asked(**study.get("decisions", {})),
    )
    test = predictions.of("test")
    if not len(test):
        raise DataError(
            f"Trust must be measured on test images; got none in {run.path}. "
            "Train with a split that has a test part."
        )
    n_test = len(set(test.image_ids.tolist()))
    frame = catalogue.frame.set_index("image_id").loc[test.image_ids.tolist()]
    return TrustRecord(
        name=run.path.name,
        study=study["name"],
        diagnoses=catalogue.diagnoses,
        trust=trust,
        found=examine(trust, test, frame, strangeness=run.unfamiliarity(n_test)),
        leak=leak_of(split),
    )


def card_record(run: RunFolder) -> CardRecord:
    """Open a finished run for its model card."""
    return CardRecord(
        run=run_record(run),
        trust=trust_record(run),
        weights_licence=run.metrics()["run"]["licence"],
    )


def answers_record(run: RunFolder, answers: "Answers") -> AnswersRecord:
    """Put answers for loose images together with the names of their diagnoses, and their sets'."""
    return AnswersRecord(
        name=run.path.name,
        diagnoses=run.catalogue().diagnoses,
        table=answers.table,
        pictures=answers.pictures,
        trust=read_trust(run.path),
        unit=leak_of(run.split()).unit,
        unreadable=tuple((str(fault.path), fault.cause) for fault in answers.unreadable),
        notes=(*first_notes(run), *answers.missing),
    )


def study_record(
    runs: Sequence[RunFolder],
    *,
    name: str,
    layout: Layout,
    pooled: Sequence[str] = (),
) -> StudyRecord:
    """Open the finished runs of one study, in the order of its file.

    Experiments that the file no longer names come last, in order of name. Torn runs are left out
    and named; RunError where nothing else is there.
    """
    places = {name: place for place, name in enumerate(layout.experiments)}

    def place_of(run: RunRecord) -> tuple[int, str, int, int]:
        named = run.experiment.name
        return places.get(named, len(places)), named, run.split_seed, run.experiment.seed

    opened, torn = _opened(runs)
    records = tuple(sorted(opened, key=place_of))
    return StudyRecord(
        name=name,
        description=layout.description,
        runs=records,
        not_run=tuple(NotRun(name=cell, reason=reason) for cell, reason in layout.not_run),
        torn=torn,
        baselines=baselines_of(records),
        pooled=tuple(pooled),
    )


def _opened(runs: Sequence[RunFolder]) -> tuple[list[RunRecord], dict[str, str]]:
    """Open runs; return those that are whole, and why the others are not."""
    opened: list[RunRecord] = []
    torn: dict[str, str] = {}
    for run in runs:
        try:
            opened.append(run_record(run))
        except MoulageError as error:
            logger.warning("%s is left out: %s", run.path.name, error)
            torn[run.path.name] = str(error)
    if torn and not opened:
        raise RunError(next(iter(torn.values())))
    return opened, torn


def _first_end(run: RunFolder, phases: Sequence[Mapping[str, Any]]) -> Predictions | None:
    """Return what the first phase ended with, where others came after it."""
    if len(phases) < 2:  # an ensemble has none of its own
        return None
    return run.predictions(phases[0]["name"])


def _certainty(found: Mapping[str, Any] | None) -> Certainty | None:
    """Open what a run says of its test scores; nothing of runs that did not measure it."""
    if not found:
        return None
    return Certainty(
        intervals={
            rule: {name: (_number(ends[0]), _number(ends[1])) for name, ends in each.items()}
            for rule, each in found["intervals"].items()
        },
        by_lesion={
            rule: {name: _number(each[name]) for name in OVERALL}
            for rule, each in (found["by_lesion"] or {}).items()
        },
        asked=tuple(
            _asked(question, unit, name, point)
            for question, units in found["questions"].items()
            for unit, said in (("image", units["by_image"]), ("lesion", units["by_lesion"]))
            for name, point in (said or {}).items()
            if isinstance(point, Mapping)
        ),
        thresholds_from=found["thresholds_from"],
    )


def _asked(question: str, unit: str, name: str, point: Mapping[str, Any]) -> Answered:
    low, high = point["interval"]
    return Answered(
        question=question,
        unit=unit,
        answer=name,
        value=_number(point["value"]),
        low=_number(low),
        high=_number(high),
        other=_number(point["other"]),
        threshold=_number(point["threshold"]),
        n=point["n"],
    )


def _experiment(recipe: Mapping[str, Any], metrics: Mapping[str, Any]) -> ExperimentRecord:
    return ExperimentRecord(
        name=recipe["name"],
        backbone=metrics["run"]["backbone_title"],
        weights=f"{recipe['weights']} ({metrics['run']['weights_source']})",
        head=recipe["head"],
        hidden=tuple(recipe["hidden"]),
        regularisation=recipes.regularisation(recipe),
        imbalance=recipes.imbalance(recipe["imbalance"]),
        seed=recipe["seeds"][0],
        phases=tuple(
            _phase(phase, found)
            for phase, found in zip(recipe["phases"], metrics["phases"], strict=True)
        ),
        augmentation=recipes.augmentation(recipe["augmentation"]),
        covariates=tuple(recipe.get("covariates", ())),
        n_views=recipe.get("views") or 1,
        monitor=recipe.get("monitor") or "loss",
        settings={key: said for key, said in recipe.items() if key not in ("name", "seeds")},
    )


def _phase(phase: Mapping[str, Any], found: Mapping[str, Any]) -> PhaseRecord:
    return PhaseRecord(
        name=phase["name"],
        train_from=phase["train_from"],
        epochs=found["epochs"],
        learning_rate=phase["learning_rate"],
        seconds=found["seconds"],
        n_trainable=found["n_trainable"],
        n_total=found["n_total"],
        peak_memory_mib=found["peak_memory_mib"],
        optimizer={"adam": "Adam", "adamw": "AdamW"}[phase["optimizer"]],
        batch_size=phase["batch"],
        scores={
            part: Score(
                accuracy=_number(scores["natural"]["accuracy"]),
                loss=_number(scores["natural"]["log_loss"]),
            )
            for part, scores in found["parts"].items()
        },
    )


def _inputs(study: Mapping[str, Any], about: Mapping[str, Any]) -> InputRecord:
    mean, std = (", ".join(f"{x:g}" for x in about["scaling"][key]) for key in ("mean", "std"))
    return InputRecord(
        size_px=study["images"]["size"],
        resize=study["images"]["resize"],
        scaling=f"RGB in [0, 1], minus {mean}, divided by {std}",
    )


def _baselines(run: RunFolder, study: Mapping[str, Any], split: Split) -> dict[str, Predictions]:
    kept = study["split"]
    name = split_name(kept["kind"], kept["seeds"][0], kept.get("fold"))
    return read_baselines(run.path.parent / f"baselines-{name}", split.digest)


def _thumbnails(catalogue: Catalogue, test: Predictions) -> dict[str, NDArray[np.uint8]]:
    """Decode the images that the page shows; a file gone since training is left out."""
    row_of = {image_id: row for row, image_id in enumerate(catalogue.frame["image_id"])}
    wanted = {row_of[one.image_id]: one.image_id for one in worst_mistakes(test)}
    small = partial(decode_square, size_px=_THUMBNAIL_PX, resize="squash")
    found = read_thumbnails(catalogue, wanted, decode=small)
    return {wanted[row]: picture for row, picture in found.items()}


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
