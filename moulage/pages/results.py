"""What a page asks of predictions: measures under their rules, loss before and after temperature.

In:  predictions and a part.   Out: numbers by name, NaN where a score is not defined.
Knows nothing of tables; the metrics themselves live in `evaluation/`.
"""

from dataclasses import dataclass, replace

import numpy as np

from moulage.evaluation.decisions import PlainRule
from moulage.evaluation.metrics import Summary, summary
from moulage.pages import words
from moulage.predictions import Predictions
from moulage.split import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric under the rule that it is meant for; rankings and losses need none."""

    metric: str
    said: str
    rule: PlainRule = "natural"
    needs_rule: bool = True

    @property
    def said_rule(self) -> str:
        """Name the rule, if one is needed."""
        return self.rule if self.needs_rule else words.NO_RULE

    @property
    def named(self) -> str:
        """Name the metric with its rule, as every accuracy must be."""
        return f"{self.said} ({self.rule} rule)" if self.needs_rule else self.said


ACCURACY = Measure(metric="accuracy", said="accuracy")
BALANCED = Measure(metric="balanced_accuracy", said="balanced accuracy", rule="balanced")
AUROC = Measure(metric="macro_auroc", said="macro AUROC", needs_rule=False)
LOG_LOSS = Measure(metric="log_loss", said="log loss", needs_rule=False)
MEASURES = (ACCURACY, BALANCED, AUROC, LOG_LOSS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Results:
    """One part measured; log_loss_before is that of temperature 1.

    largest_share: of the part's most frequent diagnosis; NaN without images.
    """

    natural: Summary
    balanced: Summary
    log_loss_before: float
    largest_share: float

    @property
    def n_images(self) -> int:
        """Number of images measured."""
        return self.natural.n_images

    @property
    def n_lesions(self) -> int:
        """Number of lesions that these images show."""
        return self.natural.n_lesions

    @property
    def accuracy(self) -> float:
        """Accuracy under the natural rule."""
        return self.natural.values["accuracy"]

    @property
    def balanced_accuracy(self) -> float:
        """Balanced accuracy under the balanced rule."""
        return self.balanced.values["balanced_accuracy"]

    @property
    def auroc(self) -> float:
        """Macro one-vs-rest AUROC, which knows no rule."""
        return self.natural.values["macro_auroc"]

    @property
    def log_loss(self) -> float:
        """Log loss after temperature, which knows no rule."""
        return self.natural.values["log_loss"]

    def of(self, measure: Measure) -> float:
        """Return one measure under its rule."""
        return self.under(measure.rule).values[measure.metric]

    def under(self, rule: PlainRule) -> Summary:
        """Return what is measured under a rule."""
        return self.natural if rule == "natural" else self.balanced


def results_of(predictions: Predictions, part: Part) -> Results:
    """Measure one part of predictions."""
    rows = predictions.of(part)
    natural = summary(rows, rule="natural")
    raw = summary(replace(rows, temperature=1.0), rule="natural")
    supports = np.array(list(natural.support.values()))
    return Results(
        natural=natural,
        balanced=summary(rows, rule="balanced"),
        log_loss_before=raw.values["log_loss"],
        largest_share=float(supports.max() / len(rows)) if len(rows) else float("nan"),
    )
