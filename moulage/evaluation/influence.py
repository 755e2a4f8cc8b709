"""How much each image moves each metric: the slope of the metric in that image's weight.

In:  Scored predictions, each image of weight 1.   Out: influences (N,) a metric; they sum to 0.
Knows nothing of lesions or intervals.
Why: where a few images carry a metric, as eighteen dermatofibromas carry their AUROC, its
standard error is itself uncertain; `intervals` reads off here how few they are.
"""

import numpy as np
from numpy.typing import NDArray

from moulage.evaluation.confusion import confusion_matrix
from moulage.evaluation.metrics import Scored, confusion_metrics, metric_names, ranking_metrics
from moulage.evaluation.ranking import Ranking

_STEP = 1e-3  # images added to and taken from a cell of the confusion matrix: slopes to 1e-6


def influences(scored: Scored) -> dict[str, NDArray[np.float64]]:
    """Return the slope of each metric in each image's weight `(N,)`; NaN where not defined."""
    ranked = [ranking_influences(ranking) for ranking in scored.rankings]
    areas, precisions = (np.stack(columns, axis=-1) for columns in zip(*ranked, strict=True))
    found = {
        **_confusion_influences(scored),
        **ranking_metrics(areas=areas, precisions=precisions, diagnoses=scored.diagnoses),
        "log_loss": _mean_influences(scored.log_losses),
        "brier": _mean_influences(scored.briers),
    }
    return {name: found[name] for name in metric_names(scored.diagnoses)}


def ranking_influences(ranking: Ranking) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the influences `(N,)` on AUROC and on average precision [delong1988, eq. 3–4]."""
    n_positives, n_negatives = len(ranking.positive_rows), len(ranking.negative_rows)
    n_images = n_positives + n_negatives
    on_area, on_precision = np.full(n_images, np.nan), np.full(n_images, np.nan)
    if n_positives and n_negatives:
        outranked = 1 - (ranking.n_above + ranking.n_level) / 2 / n_negatives
        above, level = _positives_before(ranking)
        beaten_by = (above + level) / 2 / n_positives
        on_area[ranking.positive_rows] = (outranked - outranked.mean()) / n_positives
        on_area[ranking.negative_rows] = (beaten_by - beaten_by.mean()) / n_negatives
    if n_positives:
        _fill_precision(on_precision, ranking)
    return on_area, on_precision


def _fill_precision(on_precision: NDArray[np.float64], ranking: Ranking) -> None:
    """Differentiate Σ precision / P: an image moves its own step and every step below it."""
    n_positives = len(ranking.positive_rows)
    hits, alarms = ranking.last_equal + 1, ranking.n_level
    precision = hits / (hits + alarms)
    gain, loss = (_sums_from(steps / (hits + alarms) ** 2) for steps in (alarms, hits))
    first_equal = np.searchsorted(ranking.last_equal, ranking.last_equal, side="left")
    own = precision - precision.mean()
    on_precision[ranking.positive_rows] = (own + gain[first_equal]) / n_positives
    above, _ = _positives_before(ranking)
    on_precision[ranking.negative_rows] = -loss[above] / n_positives


def _positives_before(ranking: Ranking) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each negative, the positives of higher and of higher or equal score `(Q,)`."""
    places = np.arange(len(ranking.negative_rows))
    above = np.searchsorted(ranking.n_level, places, side="right")
    level = np.searchsorted(ranking.n_above, places, side="right")
    return above, level


def _sums_from(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) -> (n + 1,) the sum of each place and all after it."""
    return np.append(np.cumsum(steps[::-1])[::-1], 0.0)


def _confusion_influences(scored: Scored) -> dict[str, NDArray[np.float64]]:
    n_classes = len(scored.diagnoses)
    matrix = confusion_matrix(labels=scored.labels, decisions=scored.decisions, n_classes=n_classes)
    used, cell = np.unique(scored.labels * n_classes + scored.decisions, return_inverse=True)
    nudges = np.zeros((len(used), n_classes, n_classes))
    nudges[np.arange(len(used)), used // n_classes, used % n_classes] = _STEP
    more = confusion_metrics(matrix + nudges, scored.diagnoses)
    fewer = confusion_metrics(matrix - nudges, scored.diagnoses)
    return {name: ((more[name] - fewer[name]) / (2 * _STEP))[cell] for name in more}


def _mean_influences(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    return (losses - losses.mean()) / len(losses) if len(losses) else losses
