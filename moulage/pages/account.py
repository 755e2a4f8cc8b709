"""Everything that the comparison page says, as plain values: `comparison.json`.

In:  a study's record, its standing, the comparison's rows.
Out: lists and numbers; what is not defined is null.
Knows nothing of HTML or files.
"""

import json
from typing import Any

import pandas as pd

from moulage.evaluation.comparison import Difference
from moulage.evaluation.intervals import Interval
from moulage.evaluation.lesions import counted_as
from moulage.evaluation.spread import Spread
from moulage.evaluation.undefined import or_null
from moulage.pages.advice import advice_of
from moulage.pages.records import StudyRecord
from moulage.pages.results import MEASURES, Measure
from moulage.pages.standing import Standing


def account_of(study: StudyRecord, standing: Standing, frame: pd.DataFrame) -> dict[str, Any]:
    """Return rows, intervals, pairs, treatments, leaks, fine-tuning, looks and the advice.

    pooled: folders beside the runs' whose `metrics.json` is of all folds' test images at once.
    """
    return dict(counted_as(_account(study, standing, frame), standing.unit))


def _account(study: StudyRecord, standing: Standing, frame: pd.DataFrame) -> dict[str, Any]:
    advice = advice_of(study, standing, frame)
    names = dict.fromkeys(name for name, _ in standing.spreads)
    return {
        "study": study.name,
        "rows": json.loads(frame.to_json(orient="records")),
        "scores": [
            {"classifier": name, **_measure(measure), **_spread(standing.spread(name, measure))}
            for name in names
            for measure in MEASURES
        ],
        "pairs": [
            {
                **_measure(pair.measure),
                **_difference(pair.difference),
                "exact_p_values": [or_null(p) for p in pair.exact],
            }
            for pair in standing.pairs
        ],
        "treatments": [
            {
                "experiment": one.experiment,
                "treatment": one.treatment,
                "rule": one.rule,
                "difference": one.difference and _difference(one.difference),
            }
            for one in standing.treated
        ],
        "fine_tuning": [
            {**_measure(one.measure), **_difference(one.difference), "experiment": one.experiment}
            for one in standing.tuned
        ],
        "not_tuned": list(standing.untuned),
        "leaks": [
            {
                "experiment": leak.experiment,
                "honest": leak.honest,
                "kind": leak.kind,
                **_measure(leak.measure),
                **_interval(leak.interval),
                "is_paired": leak.is_paired,
            }
            for leak in standing.leaks
        ],
        "looks": {run.name: run.ledger for run in study.runs},
        "not_run": {one.name: one.reason for one in study.not_run},
        "torn": dict(study.torn),
        "pooled": list(study.pooled),
        "advice": {
            "take": advice.chosen,
            "paragraphs": [{"heading": head, "text": said} for head, said in advice.paragraphs],
        },
    }


def _measure(measure: Measure) -> dict[str, Any]:
    return {"metric": measure.metric, "rule": measure.rule}


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        **_interval(spread.interval),
        "runs": [or_null(value) for value in spread.values],
        "between_runs": or_null(spread.between_runs),
    }


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "value": or_null(interval.value),
        "interval": [or_null(interval.low), or_null(interval.high)],
        "over_lesions": or_null(interval.standard_error),
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "first": difference.first,
        "second": difference.second,
        **_interval(difference.interval),
        "p_value": or_null(difference.p_value),
        "p_family": or_null(difference.p_family),
        "p_is_least": difference.is_least,
        "n_lesions": difference.n_lesions,
        "verdict": difference.verdict,
    }
