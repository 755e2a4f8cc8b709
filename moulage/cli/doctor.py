"""`moulage doctor`: what this machine has, and what is missing for what."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from moulage import actions
from moulage.cli.sizes import in_words
from moulage.cli.tables import print_table

if TYPE_CHECKING:
    from moulage.runs.checkup import Checkup


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what this machine has, what it would do, and what is missing for what."""
    found = actions.examine()
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for heading, words in _lines(found):
        table.add_row(heading, words)
    print_table(table)
    print("Nothing is missing." if not found.missing else "Missing:")
    for missing in found.missing:
        print(f"- {missing.what}; for {missing.needed_for}. Cure: {missing.cure}.")


def _lines(found: "Checkup") -> list[tuple[str, str]]:
    return [
        ("versions", ", ".join(f"{name} {number}" for name, number in found.versions.items())),
        ("device", found.device),
        ("threads", str(found.threads)),
        ("precision", f"{found.precision}: {found.precision_reason}"),
        *(
            (f"weights of {weights.backbone}", weights.fault or weights.source or "not here")
            for weights in found.weights
        ),
        ("cache", f"{in_words(found.cache_bytes)} in {found.cache_folder}"),
        ("free disk there", in_words(found.free_bytes)),
        ("ledger", found.data_folder),
    ]
