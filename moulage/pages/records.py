"""What a page is told: one record a run, one record a study, one a page beside these.

In:  plain fields and the records of lower floors, filled in by whoever opens run folders.
Out: frozen records; the pages are functions of them and of nothing else.
Knows nothing of study files, run folders or networks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.catalogue import Catalogue, Diagnosis
from moulage.errors import DataError, ShapeError, examples
from moulage.evaluation.examination import Examination
from moulage.evaluation.trust import Trust
from moulage.pages.composition import Leak
from moulage.predictions import Predictions
from moulage.split import Part, Split, Unit

HISTORY_COLUMNS = (
    "phase",
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "validation_balanced_accuracy",
    "learning_rate",
    "seconds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one part fares at a phase's end: accuracy under the natural rule, log loss."""

    accuracy: float
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRecord:
    """One phase: what it trained, for how long, and where it arrived.

    peak_memory_mib: None where it was not measured. scores: of the best weights so far, a part
    each. optimizer in words and batch_size are told where they are given.
    """

    name: str
    train_from: str
    epochs: int
    learning_rate: float
    seconds: float
    n_trainable: int
    n_total: int
    peak_memory_mib: float | None = None
    optimizer: str = ""
    batch_size: int = 0
    scores: Mapping[Part, Score] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRecord:
    """One classifier's recipe in plain words and numbers.

    weights: what the backbone starts from and where that was found ("ImageNet, from the hub").
    head: "flatten", "pooled" or a word for another kind.
    hidden: nodes of each hidden layer, first to last. covariates: what the head reads beside the
    image. n_views: how many views of an image an answer averages.
    monitor: the loss on validation that told the best weights.
    settings: all that its study says of it, by key, but its name and seeds.
    """

    name: str
    backbone: str
    weights: str
    head: str
    hidden: tuple[int, ...]
    regularisation: str
    imbalance: str
    seed: int
    phases: tuple[PhaseRecord, ...]
    augmentation: str = "none"
    covariates: tuple[str, ...] = ()
    n_views: int = 1
    monitor: str = "loss"
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRecord:
    """The input contract: side in pixels, resize rule, scaling in words."""

    size_px: int
    resize: str
    scaling: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRecord:
    """What the run ran on: versions by package, threads, precision, device."""

    versions: Mapping[str, str]
    threads: int
    precision: str
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One question at one threshold: "melanoma", of images or of lesions.

    answer: "sensitivity_at_specificity_90" and the like. other: what the threshold keeps of the
    other kind. n: images or lesions of the kind counted.
    """

    question: str
    unit: str
    answer: str
    value: float
    low: float
    high: float
    other: float
    threshold: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """How sure the test scores are.

    intervals: rule -> metric -> (low, high). by_lesion: rule -> metric -> value, over the mean
    logit of each lesion's photographs; nothing where ids are groups'. thresholds_from: the part
    that chose the thresholds.
    """

    intervals: Mapping[str, Mapping[str, tuple[float, float]]]
    by_lesion: Mapping[str, Mapping[str, float]]
    asked: tuple[Answered, ...]
    thresholds_from: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunRecord:
    """Everything the page of one run says.

    history: a row an epoch, with `HISTORY_COLUMNS`. predictions: of the kept weights.
    thumbnails: image_id -> (h, w, 3) uint8, RGB; the worst mistakes at least, see
    `mistakes.worst_mistakes`. temperature_note: on which images the temperature was fitted.
    ledger: how often this split's test part was looked at. baselines: name -> predictions on
    the same images, with the same diagnoses. first_end: predictions at the first phase's end,
    where there are more phases. certainty: of the test scores, where the run measured it.
    n_looks: at this split's test part when the run ended, as `ledger` says in words. pages: file
    -> what stands there, of pages in the same folder.
    """

    name: str
    study: str
    created: str
    experiment: ExperimentRecord
    inputs: InputRecord
    machine: MachineRecord
    catalogue: Catalogue
    licence: str
    split: Split
    split_kind: str
    split_seed: int
    history: pd.DataFrame
    predictions: Predictions
    temperature_note: str
    ledger: str
    baselines: Mapping[str, Predictions] = field(default_factory=dict)
    thumbnails: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    first_end: Predictions | None = None
    certainty: "Certainty | None" = None
    n_looks: int = 0
    pages: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _refuse_missing_columns(self.history)
        _refuse_other_diagnoses(self)
        _refuse_odd_thumbnails(self.thumbnails)

    def best_epoch(self, until: str | None = None) -> tuple[str, int] | None:
        """Return phase and epoch of the lowest monitored loss up to a phase's end; None: unknown.

        until: a phase; None for all of them, which tells the kept weights.
        """
        phases = self.history["phase"].astype(str).to_numpy()
        column = f"validation_{self.experiment.monitor}"
        ends = np.flatnonzero((phases == until) | (until is None))
        if column not in self.history.columns or not len(ends):
            return None
        losses = self.history[column].to_numpy(dtype=np.float64, na_value=np.nan)[: ends[-1] + 1]
        if np.isnan(losses).all():
            return None
        best = int(np.nanargmin(losses))  # of equal ones the first, as training keeps it
        return str(phases[best]), int(self.history["epoch"].iloc[best])

    @property
    def kept_first_end(self) -> bool:
        """Whether the kept weights are those of the first phase's end, to the bit."""
        digest = self.predictions.classifier_digest
        return (
            bool(digest)
            and self.first_end is not None
            and (self.first_end.classifier_digest == digest)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """An experiment that was asked for and could not be run, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyRecord:
    """Everything the comparison page says.

    runs: finished runs, any number of seeds an experiment. torn: name -> what is wrong with a run
    that had to be left out. baselines: name -> predictions, one a split, in any order. pooled:
    folders beside the runs' that hold cross-validations pooled out of fold.
    """

    name: str
    description: str
    runs: tuple[RunRecord, ...]
    not_run: tuple[NotRun, ...] = ()
    torn: Mapping[str, str] = field(default_factory=dict)
    baselines: Mapping[str, tuple[Predictions, ...]] = field(default_factory=dict)
    pooled: tuple[str, ...] = ()

    @property
    def unit(self) -> Unit:
        """What ids name: lesions, unless a run's are groups'."""
        units = {run.predictions.unit for run in self.runs}
        return "group" if "group" in units else "lesion"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRecord:
    """Everything the page of trust says. leak: what the parts of the run's split share."""

    name: str
    study: str
    diagnoses: tuple[Diagnosis, ...]
    trust: Trust
    found: Examination
    leak: Leak


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CardRecord:
    """What the card is told. weights_licence: of the pretrained weights."""

    run: RunRecord
    trust: TrustRecord
    weights_licence: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnswersRecord:
    """Everything the page of answers says.

    table: as `predict` writes it. pictures: path → (h, w, 3) uint8, RGB.
    trust: what sets and abstention were fitted by; None in runs older than these. unit: what was
    counted there, "lesion" or "image". unreadable: (path, cause). notes: sentences, such as what
    an older run cannot say.
    """

    name: str
    diagnoses: tuple[Diagnosis, ...]
    table: pd.DataFrame
    pictures: Mapping[str, NDArray[np.uint8]]
    trust: Trust | None = None
    unit: str = "lesion"
    unreadable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def _refuse_missing_columns(history: pd.DataFrame) -> None:
    missing = [name for name in HISTORY_COLUMNS if name not in history.columns]
    if missing:
        raise DataError(
            f"A history must have the columns {', '.join(HISTORY_COLUMNS)}; got none named "
            f"{examples(missing)}. Fill a column you lack with missing values."
        )


def _refuse_other_diagnoses(run: RunRecord) -> None:
    for name, predictions in {"predictions": run.predictions, **run.baselines}.items():
        if predictions.diagnoses != run.catalogue.codes:
            raise DataError(
                f"Predictions must have the catalogue's diagnoses {', '.join(run.catalogue.codes)};"
                f" got {', '.join(predictions.diagnoses)} in {name} of {run.name}. Predict with "
                "the classifier of this run."
            )


def _refuse_odd_thumbnails(thumbnails: Mapping[str, NDArray[np.uint8]]) -> None:
    for image_id, pixels in thumbnails.items():
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ShapeError(
                f"A thumbnail must have shape (h, w, 3) and type uint8; got {pixels.shape} of "
                f"{pixels.dtype} in {image_id}. Pass RGB pixels."
            )
