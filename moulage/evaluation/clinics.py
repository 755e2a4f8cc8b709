"""The same classifier elsewhere: metrics as they would be where diagnoses are otherwise common.

In:  Predictions of one part and a prior stated for some diagnoses.   Out: predictions moved to
that prior, and metrics in which each image counts as often as its diagnosis occurs there.
Knows nothing of images. It assumes that a diagnosis looks there as it does here, and only comes
more or less often [saerens2002].
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moulage.arguments import is_finite
from moulage.errors import ConfigError, nearest
from moulage.evaluation.decisions import Rule
from moulage.evaluation.metrics import decide_all, score, weighted_metrics
from moulage.evaluation.priors import class_prior, move_prior
from moulage.predictions import Predictions


def stated_prior(
    shares: Mapping[str, float], *, prior: NDArray[np.float64], diagnoses: tuple[str, ...]
) -> NDArray[np.float64]:
    """Return the prior `(K,)` with the stated shares; the others keep their proportions.

    A diagnosis that `prior` has no share of was not trained on, and must not be stated to occur.

    >>> stated_prior({"mel": 0.5}, prior=np.array([0.2, 0.6, 0.2]), diagnoses=("mel", "nv", "bkl"))
    array([0.5  , 0.375, 0.125])
    """
    unknown = [code for code in shares if code not in diagnoses]
    if unknown:
        raise ConfigError(
            f"A prior must name diagnoses ({', '.join(diagnoses)}); got {unknown[0]!r}."
            + (nearest(unknown[0], diagnoses) or " Choose one of them.")
        )
    odd = {code: share for code, share in shares.items() if not is_finite(share)}
    if odd:
        raise ConfigError(
            f"Stated shares must be finite numbers; got {odd}. Write mel=0.03 for 3 %."
        )
    total = sum(shares.values())
    is_stated = np.isin(diagnoses, list(shares))
    others = np.where(is_stated, 0, prior)
    is_whole = bool(is_stated.all()) or others.sum() == 0
    if min(shares.values(), default=0) < 0 or total > 1 or (is_whole and abs(total - 1) > 1e-9):
        raise ConfigError(
            "Stated shares must not be negative, and sum to 1 at most (to 1 where every diagnosis "
            f"is stated); got {dict(shares)}. Write mel=0.03 for 3 %."
        )
    stated = np.array([shares.get(code, 0.0) for code in diagnoses])
    untrained = (stated > 0) & (prior == 0)
    if untrained.any():
        code = diagnoses[int(untrained.argmax())]
        raise ConfigError(
            "A diagnosis with a share in `[decisions.clinic]` must have training images; got "
            f"{shares[code]:g} for {code!r}, which has none. Leave {code!r} out of the table, or "
            "train on images of it."
        )
    return np.asarray(stated + (0 if is_whole else others * (1 - total) / others.sum()))


def move_to(predictions: Predictions, prior: NDArray[np.float64]) -> Predictions:
    """Return the predictions as they would be under another prior, the temperature used up."""
    scaled = predictions.logits.astype(np.float64) / predictions.temperature
    moved = move_prior(scaled, trained=predictions.prior, natural=prior)
    return replace(predictions, logits=moved.astype(np.float32), prior=prior, temperature=1.0)


def metrics_in(
    predictions: Predictions, prior: NDArray[np.float64], *, rule: Rule = "natural"
) -> dict[str, float]:
    """Return every metric as it would be where the diagnoses have this prior.

    A diagnosis without images here is left out of there too. The rule `balanced` asks nothing of
    a prior, so it decides there as it does here; moved logits would not tell the same, since a
    temperature is taken from them and the rule knows none.
    """
    moved = move_to(predictions, prior)
    here = class_prior(moved.labels, len(prior))
    weights = (prior / np.where(here > 0, here, 1))[moved.labels]
    scored = score(moved, rule=rule)
    if rule == "balanced":
        scored = replace(scored, decisions=decide_all(predictions, rule=rule))
    found = weighted_metrics(scored, weights=weights[:, None])
    return {name: float(value[0]) for name, value in found.items()}
