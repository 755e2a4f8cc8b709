"""`moulage backbones`: what can be trained on, and where its weights lie on this machine."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from moulage import actions
from moulage.cli.tables import print_table

if TYPE_CHECKING:
    from moulage.networks.inventory import Stocked
    from moulage.networks.registry import Scaling


def backbones(
    names: Annotated[
        list[str] | None, typer.Argument(help="Any names of timm; without, the usual ones.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List backbones: sizes, input scaling, licences, and where their weights were found."""
    found = actions.backbones(names or ())
    if as_json:
        print(json.dumps([_facts(stocked) for stocked in found], indent=2))
        return
    print_table(_table(found))
    for fault in dict.fromkeys(stocked.fault for stocked in found if stocked.fault):
        print(fault)


def _table(found: "Sequence[Stocked]") -> Table:
    """Two lines a backbone, so that names stay whole in a terminal of 80 columns."""
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("parameters", justify="right")
    table.add_column("mean, std", no_wrap=True)
    table.add_column("weights, licence")
    for stocked in found:
        backbone, scaling = stocked.backbone, _scaling(stocked)
        table.add_row(
            f"{backbone.name}\n{backbone.title if backbone.title != backbone.name else ''}",
            f"{stocked.n_parameters:,}",
            f"{_words(scaling.mean)}\n{_words(scaling.std)}",
            f"{_source(stocked)}\n{_licence(stocked)}",
        )
    return table


def _source(stocked: "Stocked") -> str:
    if stocked.fault:
        return "cannot be used, see below"
    if stocked.weights is not None:
        return stocked.weights.source
    return "not here; the hub is asked" if stocked.backbone.hub_id else "none published"


def _scaling(stocked: "Stocked") -> "Scaling":
    """Return what the weights ask for, else what the backbone is known for."""
    if stocked.weights is not None and stocked.weights.scaling is not None:
        return stocked.weights.scaling
    return stocked.backbone.scaling


def _licence(stocked: "Stocked") -> str:
    return stocked.weights.licence if stocked.weights else stocked.backbone.licence


def _words(triple: tuple[float, float, float]) -> str:
    """Write a number once where the three channels share it."""
    return " ".join(f"{value:g}" for value in (triple[:1] if len(set(triple)) == 1 else triple))


def _facts(stocked: "Stocked") -> dict[str, object]:
    scaling, weights = _scaling(stocked), stocked.weights
    return {
        "name": stocked.backbone.name,
        "title": stocked.backbone.title,
        "n_parameters": stocked.n_parameters,
        "mean": scaling.mean,
        "std": scaling.std,
        "licence": _licence(stocked),
        "hub": stocked.backbone.hub_id,
        "weights": str(weights.path) if weights else None,
        "source": weights.source if weights else None,
        "sha256": weights.digest if weights else None,
        "fault": stocked.fault or None,
    }
