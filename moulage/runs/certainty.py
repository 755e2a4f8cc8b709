"""How sure the test scores of a run are, and what they are of lesions instead of images.

In:  predictions of test images and of the part that chose thresholds, the diagnoses.
Out: plain values for `metrics.json`.
Knows nothing of training or pages.
"""

from collections.abc import Sequence
from typing import Any

from moulage.catalogue import Diagnosis
from moulage.errors import DataError
from moulage.evaluation.decisions import PLAIN_RULES
from moulage.evaluation.intervals import LEVEL, N_REPLICATES, as_json, intervals_of
from moulage.evaluation.lesions import WHY_NONE, by_lesion
from moulage.evaluation.metrics import as_json as scores_as_json
from moulage.evaluation.metrics import is_ranked, score, summary
from moulage.evaluation.questions import ask, melanoma_in
from moulage.evaluation.resampling import Lesions, Weights, draw_lesions, resample
from moulage.evaluation.undefined import or_null
from moulage.predictions import Predictions
from moulage.seeding import generator


def certainty_of(
    test: Predictions, *, chosen_on: Predictions, diagnoses: Sequence[Diagnosis]
) -> dict[str, Any]:
    """Return intervals, scores of lesions, and questions with thresholds of another part.

    chosen_on: that part's predictions. Nothing without test images. Where ids are groups', as
    patients', which may hold several lesions, there are no scores of lesions: null, and a sentence
    that says why.
    """
    if not len(test):
        return {}
    lesions = (_by_lesion(test), _by_lesion(chosen_on))
    n_lesions = Lesions.of((test,)).n_lesions
    weights = draw_lesions(n_lesions, n_replicates=N_REPLICATES, rng=generator("intervals"))
    return {
        "level": LEVEL,
        "n_replicates": N_REPLICATES,
        "intervals": _intervals(test, weights),
        "by_lesion": _scores(lesions[0]),
        **({} if test.unit == "lesion" else {"why_not_by_lesion": WHY_NONE}),
        "thresholds_from": str(chosen_on.parts[0]),
        "questions": {
            name: {
                "diagnoses": codes,
                "by_image": _asked(test, chosen_on, codes, weights),
                "by_lesion": _asked(*lesions, codes, weights),
            }
            for name, codes in questions_of(diagnoses).items()
        },
    }


def questions_of(diagnoses: Sequence[Diagnosis]) -> dict[str, list[str]]:
    """Return what can be asked: "melanoma", "malignant"; nothing that is true of all or none."""
    codes = [diagnosis.code for diagnosis in diagnoses]
    malignant = [diagnosis.code for diagnosis in diagnoses if diagnosis.is_malignant]
    melanoma = melanoma_in(codes)
    asked = {"melanoma": [melanoma] if melanoma else [], "malignant": malignant}
    return {name: chosen for name, chosen in asked.items() if 0 < len(chosen) < len(codes)}


def _intervals(test: Predictions, weights: Weights) -> dict[str, Any]:
    """Return `[low, high]` of each metric under each rule; rankings, which know none, once."""
    lesions = Lesions.of((test,))
    natural, balanced = ((score(test, rule=rule),) for rule in PLAIN_RULES)
    every = resample(natural, lesions=lesions, weights=weights)
    summed = [name for name in every.values if not is_ranked(name)]
    others = resample(balanced, lesions=lesions, weights=weights, names=summed)
    found = as_json(intervals_of(every))
    return {"natural": found, "balanced": {**found, **as_json(intervals_of(others))}}


def _by_lesion(predictions: Predictions) -> Predictions | None:
    try:
        return by_lesion(predictions)
    except DataError:  # groups; or lesions that a list of pairs ties, under two diagnoses
        return None


def _scores(lesions: Predictions | None) -> dict[str, Any] | None:
    if lesions is None:
        return None
    return {rule: scores_as_json(summary(lesions, rule=rule)) for rule in PLAIN_RULES}


def _asked(
    test: Predictions | None, chosen_on: Predictions | None, codes: list[str], weights: Weights
) -> dict[str, Any] | None:
    if test is None or chosen_on is None:
        return None
    found = ask(chosen_on=chosen_on, applied_to=test, codes=codes, weights=weights)
    return {
        "n_positives": found.n_positives,
        "n_negatives": found.n_negatives,
        "auroc": or_null(found.auroc),
        **{
            name: {
                "threshold": or_null(answer.threshold),
                "value": or_null(answer.share.value),
                "interval": [or_null(answer.share.low), or_null(answer.share.high)],
                "other": or_null(answer.other),
                "n": answer.n_images,
            }
            for name, answer in found.answers.items()
        },
    }
