"""A committee: several classifiers as one, which answers with their mean log-probability.

In:  classifiers that agree in their contract, and their temperatures.   Out: a Classifier.
Knows nothing of studies and predictions.
Why a Classifier like any other: its one stage turns images into the members' mean
log-probabilities, laid out as maps of one pixel, and its head reads them off. So it is saved,
loaded, asked and explained by the same code; its boundaries are "all" and "head".
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from moulage.covariates import Covariate
from moulage.errors import ConfigError
from moulage.networks.classifier import Classifier, Recipe, build_classifier
from moulage.networks.heads import Head, Pool
from moulage.networks.registry import Scaling

BACKBONE = "committee"
_AS_IT_IS = Scaling(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Committee(nn.Module):
    """The members, as a network whose last maps (N, K, 1, 1) are mean log-probabilities."""

    temperatures: Tensor

    def __init__(self, members: Sequence[Classifier], temperatures: Sequence[float]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("temperatures", torch.tensor(temperatures, dtype=torch.float64))

    def forward(self, images: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Average the members' log-probabilities, each at its own temperature."""
        answers = []
        for member, temperature in zip(self.members, self.temperatures, strict=True):
            assert isinstance(member, Classifier)
            logits = member.answer(images, covariates).float() / temperature.float()
            answers.append(torch.log_softmax(logits, dim=1))
        return torch.stack(answers).mean(dim=0)[:, :, None, None]


def committee_of(members: Sequence[Classifier], temperatures: Sequence[float]) -> Classifier:
    """Make one classifier of two or more; raises ConfigError where their contracts differ."""
    if len(members) < 2:
        raise ConfigError(
            f"An ensemble must have two members or more; got {len(members)}. "
            "Name more experiments, or give one more `seeds`."
        )
    contracts = [
        replace(member.recipe.contract, scaling=_AS_IT_IS) for member in members
    ]  # each scales by itself
    if len(set(contracts)) > 1:
        raise ConfigError(
            "The members of an ensemble must share size, resize rule and diagnoses; got "
            f"{len(set(contracts))} different contracts. Take members from one study."
        )
    recipe = Recipe(
        backbone=BACKBONE,
        head="pooled",
        hidden=(),
        dropout=0.0,
        contract=contracts[0],
        covariates=_shared_covariates(members),
        members=tuple(member.recipe for member in members),
    )
    return Classifier(recipe, Committee(members, temperatures), Head(Pool()))


def _shared_covariates(members: Sequence[Classifier]) -> tuple[Covariate, ...]:
    """Return the covariates of the members that read any; members that read none ignore them."""
    found = dict.fromkeys(
        member.recipe.covariates for member in members if member.recipe.covariates
    )
    if len(found) > 1:
        raise ConfigError(
            "The members of an ensemble that read covariates must read the same, fitted on one "
            f"training part; got {len(found)} different ones. Give them the same `covariates`."
        )
    return next(iter(found), ())


def rebuild(recipe: Recipe) -> Classifier:
    """Build the modules of any recipe, to be filled with saved weights."""
    if not recipe.members:
        return build_classifier(recipe, seed=0)
    members = [rebuild(member) for member in recipe.members]
    return committee_of(members, [1.0] * len(members))


def first_of(classifier: Classifier) -> Classifier:
    """Return a committee's first member, or the classifier itself."""
    network = classifier.network
    if not isinstance(network, Committee):
        return classifier
    member = network.members[0]
    assert isinstance(member, Classifier)
    return member
