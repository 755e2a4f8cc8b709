"""The backbones a machine can train on at once: how large each is, where its weights lie.

In:  names, or none for the usual ones.   Out: a row a backbone. Asks no network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moulage.errors import MoulageError
from moulage.networks.classifier import count_parameters
from moulage.networks.registry import BACKBONES, Backbone, backbone_named
from moulage.networks.shelf import skeleton_of
from moulage.networks.stages import stages_of
from moulage.networks.tensors import check_fit
from moulage.networks.weights import (
    WeightsFile,
    check_digest,
    find_weights,
    local_weights,
    starter_architecture,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stocked:
    """One backbone on this machine.

    n_parameters: without head or original classifier, running statistics included. weights: the
    file that would be used, None where the hub would be asked. fault: why a file that is here
    cannot be used.
    """

    backbone: Backbone
    n_parameters: int
    weights: WeightsFile | None
    fault: str = ""


def inventory(names: Sequence[str] = ()) -> tuple[Stocked, ...]:
    """Describe some backbones; without names, the paper's and the starter that is shipped."""
    if names:
        return tuple(_stocked(backbone_named(name), "imagenet") for name in names)
    usual = tuple(_stocked(backbone, "imagenet") for backbone in BACKBONES.values())
    return (*usual, _stocked(backbone_named(starter_architecture()), "starter"))


def _stocked(backbone: Backbone, choice: str) -> Stocked:
    weights, fault = None, ""
    try:
        weights = (
            local_weights(backbone) if choice == "imagenet" else find_weights(backbone, choice)
        )
        if weights is not None:
            check_digest(weights)
            check_fit(skeleton_of(backbone.name), weights.path)
    except MoulageError as error:
        fault = str(error)
    return Stocked(backbone=backbone, n_parameters=_size_of(backbone), weights=weights, fault=fault)


def _size_of(backbone: Backbone) -> int:
    stages = stages_of(skeleton_of(backbone.name))
    return sum(count_parameters(module) for stage in stages for module in stage.modules)
