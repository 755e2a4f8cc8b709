"""Every number that is read off predictions, at once, for one or for many weightings.

In:  Predictions and a decision rule; for a bootstrap weights (N, R), a column a replicate.
Out: numbers by name, NaN where not defined: `accuracy`, `recall.mel` …; a Summary of one part.
Knows nothing of parts, intervals or pages.
Definitions: macro AUROC is the unweighted mean of one-vs-rest AUROC over the diagnoses that
some but not all images have; log loss and Brier use the temperature; decisions need none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moulage.arrays import check_labels
from moulage.errors import ConfigError
from moulage.evaluation import confusion
from moulage.evaluation.decisions import Rule, decide
from moulage.evaluation.losses import brier_scores, log_losses
from moulage.evaluation.ranking import Ranking, rank, weighted_areas, weighted_ranking
from moulage.evaluation.undefined import mean_defined, or_null, ratio
from moulage.predictions import Predictions

OVERALL = (
    "accuracy",
    "balanced_accuracy",
    "macro_auroc",
    "macro_average_precision",
    "macro_f1",
    "matthews",
    "cohen_kappa",
    "log_loss",
    "brier",
)
PER_DIAGNOSIS = ("recall", "precision", "f1", "auroc", "average_precision")
_RANKED = frozenset({"macro_auroc", "macro_average_precision", "auroc", "average_precision"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Predictions made ready to be weighted: decided, ranked, scored image by image.

    labels, decisions (N,) int64; log_losses, briers (N,) float64; scores (N, K), what images
    are ranked by; rankings, one a diagnosis.
    """

    rule: Rule
    diagnoses: tuple[str, ...]
    labels: NDArray[np.int64]
    decisions: NDArray[np.int64]
    log_losses: NDArray[np.float64]
    briers: NDArray[np.float64]
    scores: NDArray[np.float64]
    rankings: tuple[Ranking, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Summary:
    """What one part says of a classifier under one decision rule.

    values: every name of `metric_names`, NaN where not defined; support: images a diagnosis;
    confusion (K, K) int64, rows truth, columns decision.
    """

    rule: Rule
    n_images: int
    n_lesions: int
    diagnoses: tuple[str, ...]
    values: Mapping[str, float]
    support: Mapping[str, int]
    confusion: NDArray[np.int64]

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={self.values[name]:.4g}" for name in OVERALL[:3])
        return f"Summary(rule={self.rule!r}, n_images={self.n_images}, {told})"


def summary(
    predictions: Predictions,
    *,
    rule: Rule = "natural",
    costs: NDArray[np.float64] | None = None,
) -> Summary:
    """Measure predictions of one part, a row an image or (see `by_lesion`) a row a lesion."""
    scored = score(predictions, rule=rule, costs=costs)
    values = weighted_metrics(scored, weights=np.ones((len(predictions), 1)))
    matrix = confusion.confusion_matrix(
        labels=scored.labels, decisions=scored.decisions, n_classes=len(scored.diagnoses)
    )
    return Summary(
        rule=rule,
        n_images=len(predictions),
        n_lesions=len(np.unique(predictions.lesion_ids)),
        diagnoses=scored.diagnoses,
        values={name: float(value[0]) for name, value in values.items()},
        support=dict(zip(scored.diagnoses, matrix.sum(axis=1).tolist(), strict=True)),
        confusion=matrix,
    )


def as_json(summary: Summary) -> dict[str, object]:
    """Return plain lists and numbers; what is not defined is null."""
    values = {name: or_null(value) for name, value in summary.values.items()}
    return {
        "rule": summary.rule,
        "n_images": summary.n_images,
        "n_lesions": summary.n_lesions,
        **{name: values[name] for name in OVERALL},
        "diagnoses": {
            code: {"support": summary.support[code]}
            | {name: values[f"{name}.{code}"] for name in PER_DIAGNOSIS}
            for code in summary.diagnoses
        },
        "confusion": summary.confusion.tolist(),
    }


def metric_names(diagnoses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of all metrics, in the order of `weighted_metrics`."""
    return OVERALL + tuple(f"{name}.{code}" for name in PER_DIAGNOSIS for code in diagnoses)


def score(
    predictions: Predictions,
    *,
    rule: Rule = "natural",
    costs: NDArray[np.float64] | None = None,
) -> Scored:
    """Decide, rank and score each image once, whatever will be asked of them."""
    if not isinstance(predictions, Predictions):
        raise ConfigError(
            f"`predictions` must be a `Predictions`; got {type(predictions).__name__}. Read them "
            "with `read_predictions`, or make the record."
        )
    labels, n_classes = predictions.labels, len(predictions.diagnoses)
    check_labels(labels, n_rows=len(labels), n_classes=n_classes)
    logits = predictions.logits / np.float64(predictions.temperature)
    probabilities = predictions.probabilities()
    return Scored(
        rule=rule,
        diagnoses=predictions.diagnoses,
        labels=labels,
        decisions=decide_all(predictions, rule=rule, costs=costs),
        log_losses=log_losses(labels=labels, logits=logits),
        briers=brier_scores(labels=labels, logits=logits),
        scores=probabilities,
        rankings=rank_each(labels=labels, scores=probabilities),
    )


def rank_each(*, labels: NDArray[np.int64], scores: NDArray[np.float64]) -> tuple[Ranking, ...]:
    """Rank the images for each diagnosis against the rest by `scores (N, K)`."""
    return tuple(rank(positives=labels == k, scores=column) for k, column in enumerate(scores.T))


def decide_all(
    predictions: Predictions, *, rule: Rule, costs: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Return the decision of each row; only `cost` needs the temperature."""
    logits = predictions.logits.astype(np.float64)
    scaled = logits / predictions.temperature if rule == "cost" else logits
    return decide(logits=scaled, prior=predictions.prior, rule=rule, costs=costs)


def weighted_metrics(
    scored: Scored, *, weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return every metric `(R,)` under each column of `weights (N, R)`."""
    found = {
        **metrics_of_sums(weights.T @ image_sums(scored), scored.diagnoses),
        **weighted_rankings(scored, weights=weights),
    }
    return {name: found[name] for name in metric_names(scored.diagnoses)}


def is_ranked(metric: str) -> bool:
    """Say whether a metric needs the order of the images; the others are read off sums."""
    return metric.partition(".")[0] in _RANKED


def image_sums(scored: Scored) -> NDArray[np.float64]:
    """Return what each image adds to the sums that metrics are read off, `(N, K² + 2)`.

    One in its cell of the confusion matrix, then its log loss and its Brier score.
    """
    n_images, n_classes = len(scored.labels), len(scored.diagnoses)
    cells = confusion.cells(labels=scored.labels, decisions=scored.decisions, n_classes=n_classes)
    table = np.zeros((n_images, n_classes**2 + 2))
    table[np.arange(n_images), cells] = 1
    table[:, -2], table[:, -1] = scored.log_losses, scored.briers
    return table


def metrics_of_sums(
    sums: NDArray[np.float64], diagnoses: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return what needs no order of images `(R,)` from weighted sums `(R, K² + 2)`."""
    n_classes = len(diagnoses)
    matrices = sums[:, :-2].reshape(-1, n_classes, n_classes)
    total = matrices.sum(axis=(1, 2))
    return {
        **confusion_metrics(matrices, diagnoses),
        "log_loss": ratio(sums[:, -2], total),
        "brier": ratio(sums[:, -1], total),
    }


def weighted_rankings(
    scored: Scored, *, weights: NDArray[np.float64], names: Collection[str] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return what needs the order of images `(R,)` under each column of `weights (N, R)`.

    Average precisions are left out where `names` has none of them.
    """
    if names is not None and not any("average_precision" in name for name in names):
        areas = [weighted_areas(ranking, weights=weights) for ranking in scored.rankings]
        return area_metrics(np.stack(areas, axis=-1), scored.diagnoses)
    ranked = [weighted_ranking(ranking, weights=weights) for ranking in scored.rankings]
    both, precisions = (np.stack(columns, axis=-1) for columns in zip(*ranked, strict=True))
    return ranking_metrics(areas=both, precisions=precisions, diagnoses=scored.diagnoses)


def confusion_metrics(
    matrices: NDArray[Any], diagnoses: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return what is read off matrices `(…, K, K)`, by name."""
    return {
        "accuracy": confusion.accuracy(matrices),
        "balanced_accuracy": confusion.balanced_accuracy(matrices),
        "macro_f1": confusion.macro_f1(matrices),
        "matthews": confusion.matthews(matrices),
        "cohen_kappa": confusion.cohen_kappa(matrices),
        **_by_diagnosis("recall", confusion.recalls(matrices), diagnoses),
        **_by_diagnosis("precision", confusion.precisions(matrices), diagnoses),
        **_by_diagnosis("f1", confusion.f1_scores(matrices), diagnoses),
    }


def ranking_metrics(
    *,
    areas: NDArray[np.float64],
    precisions: NDArray[np.float64],
    diagnoses: tuple[str, ...],
) -> dict[str, NDArray[np.float64]]:
    """Return what is read off one area and one average precision a diagnosis `(…, K)`."""
    return {
        **area_metrics(areas, diagnoses),
        "macro_average_precision": mean_defined(precisions),
        **_by_diagnosis("average_precision", precisions, diagnoses),
    }


def area_metrics(
    areas: NDArray[np.float64], diagnoses: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return what is read off one area a diagnosis `(…, K)`, by name."""
    return {"macro_auroc": mean_defined(areas), **_by_diagnosis("auroc", areas, diagnoses)}


def _by_diagnosis(
    name: str, table: NDArray[np.float64], diagnoses: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    return {f"{name}.{code}": table[..., k] for k, code in enumerate(diagnoses)}
