"""For whom a classifier fails: metrics of age bands, sexes, sites, kinds of confirmation.

In:  Predictions of one part and a column of groups (N,) str.   Out: a Subgroup a value; the gap
between the best and the worst of them, with an interval.
Knows nothing of catalogues' files; `groups_of` reads a table's columns.
Why so wide a gap interval: best and worst are chosen after looking, and of many groups that are
all alike some two lie far apart. So each pair's interval is made for all pairs [dunn1961].
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.arrays import check_array
from moulage.covariates import is_known
from moulage.evaluation.abstention import confidence_of, is_right
from moulage.evaluation.intervals import LEVEL, Interval, unpaired_difference
from moulage.evaluation.losses import log_losses
from moulage.evaluation.means import area_interval, mean_interval
from moulage.evaluation.scales import LOSS, SHARE, Bounds
from moulage.evaluation.thresholds import is_any_of, score_of
from moulage.predictions import Predictions

COLUMNS = ("age", "sex", "localization", "dx_type")
MISSING = "not recorded"
FEW = 30  # lesions below which a subgroup's numbers are only a hint
Carried = tuple[Interval, int]  # a number, and the lesions behind it
_BANDS = (0, 20, 30, 40, 50, 60, 70, 80, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """One value of one column: how many, and each metric with its interval.

    carriers: the lesions behind each metric; the fewer of two kinds where it weighs both.
    """

    name: str
    n_images: int
    n_lesions: int
    metrics: Mapping[str, Interval]
    carriers: Mapping[str, int]

    @property
    def is_small(self) -> bool:
        """Say whether there are too few lesions to conclude anything."""
        return self.n_lesions < FEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The best subgroup minus the worst, of those that are not small."""

    metric: str
    best: str
    worst: str
    interval: Interval


def groups_of(frame: pd.DataFrame, column: str) -> NDArray[np.str_]:
    """Return the group of each row `(N,) str`: ages in bands of ten, gaps as "not recorded".

    So are words that say that nothing is known, in any case: unknown, none, NA.
    """
    values = frame[column]
    if column != "age":
        return values.where(is_known(values), MISSING).to_numpy(dtype=str)
    names = [f"{a}–{b - 1}" for a, b in pairwise(_BANDS[:-1])]
    bands = pd.cut(values.astype(float), _BANDS, right=False, labels=[*names, "80 and older"])
    return bands.astype(object).fillna(MISSING).to_numpy(dtype=str)


def subgroups(
    predictions: Predictions,
    groups: NDArray[np.str_],
    *,
    malignant: Collection[str] = (),
    threshold: float = math.nan,
    abstain_below: float = math.nan,
) -> tuple[Subgroup, ...]:
    """Measure each group, in order of name, "not recorded" last.

    Metrics: accuracy (rule `natural`), log loss; with malignant diagnoses AUROC of "is it
    malignant?", and sensitivity and specificity at `threshold`; with `abstain_below` the share
    answered and the risk among those.
    """
    check_array(groups, "groups", kind="text", shape=(len(predictions),))
    names = sorted(set(groups.tolist()), key=lambda name: (name == MISSING, name))
    measured = []
    for name in names:
        rows = predictions.take(np.flatnonzero(groups == name))
        found = _plain_metrics(rows)
        if malignant:
            found |= _malignant_metrics(rows, malignant, threshold)
        if not math.isnan(abstain_below):
            found |= _abstention(rows, abstain_below)
        measured.append(subgroup(name, rows, found))
    return tuple(measured)


def subgroup(name: str, rows: Predictions, found: Mapping[str, Carried]) -> Subgroup:
    """Put a group's numbers together with how many carry them."""
    return Subgroup(
        name=name,
        n_images=len(rows),
        n_lesions=count_lesions(rows.lesion_ids),
        metrics={metric: interval for metric, (interval, _) in found.items()},
        carriers={metric: n_lesions for metric, (_, n_lesions) in found.items()},
    )


def carried(
    values: NDArray[np.floating] | NDArray[np.bool_],
    lesion_ids: NDArray[np.str_],
    *,
    bounds: Bounds = SHARE,
) -> Carried:
    """Return the mean with its interval, and the lesions behind it."""
    return mean_interval(values, lesion_ids=lesion_ids, bounds=bounds), count_lesions(lesion_ids)


def count_lesions(lesion_ids: NDArray[np.str_]) -> int:
    """Count each lesion once."""
    return len(np.unique(lesion_ids))


def gap(groups: Sequence[Subgroup], metric: str) -> Gap | None:
    """Return the gap between the highest and the lowest; None unless two groups have the metric.

    Groups in which few lesions carry the metric stand aside, and what is not recorded. The
    interval holds for the chosen pair at 95 %, though it was chosen among all; it has no
    bounds where one of the two has none, as a perfect AUROC.
    """
    large = [group for group in groups if group.name != MISSING and group.carriers[metric] >= FEW]
    if len(large) < 2:
        return None
    ordered = sorted(large, key=lambda group: group.metrics[metric].value, reverse=True)
    best, worst = ordered[0], ordered[-1]
    n_pairs = len(list(combinations(large, 2)))
    pair = (best.metrics[metric], worst.metrics[metric])
    return Gap(
        metric=metric,
        best=best.name,
        worst=worst.name,
        interval=unpaired_difference(*pair, level=1 - (1 - LEVEL) / n_pairs),
    )


def _plain_metrics(rows: Predictions) -> dict[str, Carried]:
    logits = rows.logits.astype(np.float64) / rows.temperature
    losses = log_losses(labels=rows.labels, logits=logits)
    return {
        "accuracy": carried(is_right(rows), rows.lesion_ids),
        "log_loss": carried(losses, rows.lesion_ids, bounds=LOSS),
    }


def _malignant_metrics(
    rows: Predictions, malignant: Collection[str], threshold: float
) -> dict[str, Carried]:
    positives, scores = is_any_of(rows, malignant), score_of(rows, malignant)
    ids = rows.lesion_ids
    found = {"auroc_malignant": area_interval(positives, scores, lesion_ids=ids)}
    if not math.isnan(threshold):
        called = scores >= threshold
        found["sensitivity_malignant"] = carried(called[positives], ids[positives])
        found["specificity_malignant"] = carried(~called[~positives], ids[~positives])
    return found


def _abstention(rows: Predictions, threshold: float) -> dict[str, Carried]:
    answered, wrong, ids = confidence_of(rows) >= threshold, ~is_right(rows), rows.lesion_ids
    return {
        "answered": carried(answered, ids),
        "risk_answered": carried(wrong[answered], ids[answered]),
    }
