"""What the fitted is worth on images that chose nothing: everything the page of trust shows.

In:  Trust, Predictions of the test part, the catalogue's rows of these images.
Out: Examination, plain records; `as_json` for `trust-test.json`.
Knows nothing of figures and pages.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from moulage.evaluation import reliability
from moulage.evaluation.abstention import (
    Abstained,
    Curve,
    abstain,
    confidence_of,
    is_right,
    risk_at,
    risk_coverage,
)
from moulage.evaluation.benefit import Benefit, cost_table, mean_cost, net_benefit
from moulage.evaluation.clinics import metrics_in, stated_prior
from moulage.evaluation.conformal import Conformal, Method, one_photograph_each, sets_of
from moulage.evaluation.decisions import PLAIN_RULES, RULES, Rule
from moulage.evaluation.intervals import Interval, binomial_bounds
from moulage.evaluation.means import mean_interval
from moulage.evaluation.metrics import summary
from moulage.evaluation.questions import melanoma_in
from moulage.evaluation.ranking import auroc
from moulage.evaluation.reliability import Brier, Reliability
from moulage.evaluation.subgroups import (
    COLUMNS,
    Gap,
    Subgroup,
    carried,
    gap,
    groups_of,
    subgroup,
    subgroups,
)
from moulage.evaluation.thresholds import is_any_of, score_of
from moulage.evaluation.trust import Trust
from moulage.evaluation.undefined import or_null
from moulage.evaluation.unfamiliarity import UNFAMILIAR
from moulage.predictions import Predictions
from moulage.seeding import generator

COVERAGE = 0.80
MELANOMA, MELANOMA_SHARE = "mel", 0.03
_STRANGE = 0.90  # stranger than nine tenths of what is known
_GAP_METRICS = ("accuracy", "sensitivity_malignant", "auroc_malignant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """How often sets hold the truth, and how large they are; by one photograph a lesion.

    code: the diagnosis, or "" for all. fitted_on: lesions of it that made the quantile.
    """

    code: str
    share: float
    low: float
    high: float
    mean_size: float
    n_lesions: int
    fitted_on: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """One kind of set on test: all diagnoses first, then each."""

    method: Method
    is_by_diagnosis: bool
    covered: tuple[Covered, ...]
    always: tuple[str, ...]
    share_single: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """What unfamiliarity says of the test part.

    unfamiliar: share of images called so, as at most one in a hundred like the known ones is, and
    none where fewer than 99 are known. risk_strange, risk_other: wrong among the strangest tenth
    of what is known, and among the rest. auroc_wrong: how well unfamiliarity, and auroc_unsure:
    how well 1 − confidence, puts wrong answers before right ones.
    """

    n_images: int
    unfamiliar: Interval
    risk_strange: Interval
    risk_other: Interval
    auroc_wrong: float
    auroc_unsure: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examination:
    """Everything that is measured on the test part.

    before, after: the temperature. elsewhere: metrics by rule in the stated clinic, whose prior
    `clinic` is. costs: mean cost by rule, where the study has costs.
    """

    n_images: int
    n_lesions: int
    temperature: float
    before: Reliability
    after: Reliability
    by_diagnosis: Mapping[str, Reliability]
    brier: Mapping[str, Brier]
    sets: tuple[Sets, ...]
    curve: Curve
    risk_at_coverage: float
    abstained: Abstained
    abstained_by_diagnosis: tuple[Subgroup, ...]
    subgroups: Mapping[str, tuple[Subgroup, ...]]
    gaps: Mapping[str, tuple[Gap, ...]]
    benefit: Mapping[str, tuple[Benefit, ...]]
    clinic: Mapping[str, float]
    here: Mapping[Rule, Mapping[str, float]]
    elsewhere: Mapping[Rule, Mapping[str, float]]
    costs: Mapping[Rule, Interval]
    strangers: Strangers | None


def examine(
    trust: Trust,
    predictions: Predictions,
    frame: pd.DataFrame,
    *,
    strangeness: Mapping[str, float] | None = None,
) -> Examination:
    """Measure on predictions of the test part; `frame` holds the catalogue's row of each.

    strangeness: of some or all images, by id.
    """
    columns = {name: groups_of(frame, name) for name in COLUMNS if bool(frame[name].notna().any())}
    found = {
        name: subgroups(
            predictions,
            groups,
            malignant=trust.malignant,
            threshold=trust.malignant_from,
            abstain_below=trust.answer_from,
        )
        for name, groups in columns.items()
    }
    curve = risk_coverage(confidences=confidence_of(predictions), hits=is_right(predictions))
    clinic = _clinic(trust, predictions)
    return Examination(
        n_images=len(predictions),
        n_lesions=len(np.unique(predictions.lesion_ids)),
        temperature=predictions.temperature,
        before=_top_label(replace(predictions, temperature=1.0)),
        after=_top_label(predictions),
        by_diagnosis=reliability.per_diagnosis(predictions, rng=generator("calibration")),
        brier=reliability.brier_parts(predictions),
        sets=_sets(trust, predictions),
        curve=curve,
        risk_at_coverage=risk_at(curve, COVERAGE),
        abstained=abstain(predictions, threshold=trust.answer_from),
        abstained_by_diagnosis=_by_diagnosis(trust, predictions),
        subgroups=found,
        gaps={name: _gaps(groups) for name, groups in found.items()},
        benefit=_benefit(trust, predictions),
        clinic=clinic,
        here=_metrics(predictions),
        elsewhere=_elsewhere(predictions, clinic),
        costs=_costs(trust, predictions),
        strangers=_strangers(predictions, strangeness or {}),
    )


def as_json(found: Examination) -> dict[str, Any]:
    """Return plain values; what is not defined is null."""
    return {
        "n_images": found.n_images,
        "n_lesions": found.n_lesions,
        "calibration": {
            "temperature": found.temperature,
            "before": reliability.as_json(found.before),
            "after": reliability.as_json(found.after),
            "by_diagnosis": {c: reliability.as_json(r) for c, r in found.by_diagnosis.items()},
            "brier": {code: reliability.brier_as_json(b) for code, b in found.brier.items()},
        },
        "sets": [_plain(one) for one in found.sets],
        "abstention": {
            "area": or_null(found.curve.area),
            "least_area": or_null(found.curve.oracle),
            f"risk_at_coverage_{100 * COVERAGE:g}": or_null(found.risk_at_coverage),
            "at_threshold": _plain(found.abstained),
            "by_diagnosis": [_plain(one) for one in found.abstained_by_diagnosis],
        },
        "subgroups": {
            name: [_plain(g) for g in groups] for name, groups in found.subgroups.items()
        },
        "gaps": {name: [_plain(g) for g in gaps] for name, gaps in found.gaps.items()},
        "net_benefit": {name: [_plain(b) for b in curve] for name, curve in found.benefit.items()},
        "clinic": {
            "prior": dict(found.clinic),
            "here": _plain(found.here),
            "there": _plain(found.elsewhere),
        },
        "mean_cost": _plain(found.costs),
        "unfamiliarity": _plain(found.strangers),
    }


def _top_label(predictions: Predictions) -> Reliability:
    return reliability.top_label(predictions, rng=generator("calibration"))


def _sets(trust: Trust, predictions: Predictions) -> tuple[Sets, ...]:
    each = one_photograph_each(predictions, rng=generator("sets"))
    return tuple(
        _covered(trust, each, fitted, is_by_diagnosis=is_by_diagnosis)
        for fitted in trust.sets
        for is_by_diagnosis in (False, True)
    )


def _covered(trust: Trust, each: Predictions, fitted: Conformal, *, is_by_diagnosis: bool) -> Sets:
    members = sets_of(fitted, each.probabilities(), is_by_diagnosis=is_by_diagnosis)
    holds, sizes = members[np.arange(len(each)), each.labels], members.sum(axis=1)
    groups = {"": np.ones(len(each), dtype=bool)}
    groups |= {code: each.labels == k for k, code in enumerate(each.diagnoses)}
    covered = []
    for code, chosen in groups.items():
        n, share = int(chosen.sum()), float(holds[chosen].mean()) if chosen.any() else math.nan
        low, high = binomial_bounds(share, n)
        covered.append(
            Covered(
                code=code,
                share=share,
                low=low,
                high=high,
                mean_size=float(sizes[chosen].mean()) if n else math.nan,
                n_lesions=n,
                fitted_on=fitted.n_lesions.get(code, trust.n_lesions),
            )
        )
    return Sets(
        method=fitted.method,
        is_by_diagnosis=is_by_diagnosis,
        covered=tuple(covered),
        always=fitted.always if is_by_diagnosis else (),
        share_single=float((sizes == 1).mean()) if len(sizes) else math.nan,
    )


def _by_diagnosis(trust: Trust, predictions: Predictions) -> tuple[Subgroup, ...]:
    """Say what abstaining does to each diagnosis, in the diagnoses' order."""
    answered, wrong = confidence_of(predictions) >= trust.answer_from, ~is_right(predictions)
    found = []
    ids = predictions.lesion_ids
    for k, code in enumerate(predictions.diagnoses):
        rows = predictions.labels == k
        kept = rows & answered
        metrics = {
            "answered": carried(answered[rows], ids[rows]),
            "risk": carried(wrong[rows], ids[rows]),
            "risk_answered": carried(wrong[kept], ids[kept]),
        }
        found.append(subgroup(code, predictions.take(np.flatnonzero(rows)), metrics))
    return tuple(found)


def _gaps(groups: tuple[Subgroup, ...]) -> tuple[Gap, ...]:
    known = [name for name in _GAP_METRICS if all(name in group.metrics for group in groups)]
    return tuple(one for one in (gap(groups, name) for name in known) if one is not None)


def _benefit(trust: Trust, predictions: Predictions) -> dict[str, tuple[Benefit, ...]]:
    asked: dict[str, tuple[str, ...]] = {}
    if melanoma := melanoma_in(predictions.diagnoses):
        asked[MELANOMA] = (melanoma,)
    if trust.malignant:
        asked["malignant"] = trust.malignant
    return {
        name: net_benefit(
            positives=is_any_of(predictions, codes),
            probabilities=score_of(predictions, codes),
            lesion_ids=predictions.lesion_ids,
        )
        for name, codes in asked.items()
    }


def _clinic(trust: Trust, predictions: Predictions) -> dict[str, float]:
    """Return the prior of the stated clinic; without one, three melanomas in a hundred.

    Empty where no clinic is stated and melanoma was not trained on.
    """
    shares, codes = dict(trust.asked.clinic), predictions.diagnoses
    trained = [code for code, share in zip(codes, predictions.prior, strict=True) if share > 0]
    melanoma = melanoma_in(trained)
    if not shares and melanoma:
        shares = {melanoma: MELANOMA_SHARE}
    if not shares:
        return {}
    prior = stated_prior(shares, prior=predictions.prior, diagnoses=codes)
    return dict(zip(codes, prior.tolist(), strict=True))


def _metrics(predictions: Predictions) -> dict[Rule, Mapping[str, float]]:
    return {rule: summary(predictions, rule=rule).values for rule in PLAIN_RULES}


def _elsewhere(
    predictions: Predictions, clinic: Mapping[str, float]
) -> dict[Rule, Mapping[str, float]]:
    if not clinic or not len(predictions):
        return {}
    prior = np.array(list(clinic.values()))
    return {rule: metrics_in(predictions, prior, rule=rule) for rule in PLAIN_RULES}


def _costs(trust: Trust, predictions: Predictions) -> dict[Rule, Interval]:
    if not trust.asked.cost:
        return {}
    table = cost_table(trust.asked.cost, predictions.diagnoses)
    return {rule: mean_cost(predictions, costs=table, rule=rule) for rule in RULES}


def _strangers(predictions: Predictions, strangeness: Mapping[str, float]) -> Strangers | None:
    known = np.array([name in strangeness for name in predictions.image_ids.tolist()], dtype=bool)
    if not known.any():
        return None
    rows = predictions.take(np.flatnonzero(known))
    strange = np.array([strangeness[name] for name in rows.image_ids.tolist()])
    wrong, ids, apart = ~is_right(rows), rows.lesion_ids, strange >= _STRANGE
    return Strangers(
        n_images=len(rows),
        unfamiliar=mean_interval(strange >= UNFAMILIAR, lesion_ids=ids),
        risk_strange=mean_interval(wrong[apart], lesion_ids=ids[apart]),
        risk_other=mean_interval(wrong[~apart], lesion_ids=ids[~apart]),
        auroc_wrong=auroc(positives=wrong, scores=strange),
        auroc_unsure=auroc(positives=wrong, scores=-confidence_of(rows)),
    )


def _plain(value: Any) -> Any:
    """Return records and tables as plain values."""
    if isinstance(value, float):
        return or_null(value)
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    return value
