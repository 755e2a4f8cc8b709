"""`moulage cache`: what is kept to save time, and how to be rid of it."""

import json
import re
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from moulage import actions
from moulage.cli.sizes import in_words, moment
from moulage.cli.tables import print_table
from moulage.errors import ConfigError
from moulage.runs.holdings import TORN, Holding
from moulage.store import Entry

app = typer.Typer(help="List the cache, or prune it. All in it can be computed again.")

_SECONDS = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_BYTES = {"": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def cache(context: typer.Context, as_json: AsJson = False) -> None:
    """List the cache by kind and data set, or prune it. All in it can be computed again."""
    if context.invoked_subcommand is not None:
        return
    folder, holdings = actions.list_cache()
    if as_json:
        rows = [asdict(holding) for holding in holdings]
        print(json.dumps({"folder": str(folder), "holdings": rows}, indent=2))
        return
    if holdings:
        print_table(_table(holdings))
    print(f"{in_words(sum(row.size_bytes for row in holdings))} in {folder}")
    if any(row.dataset == TORN for row in holdings):
        print("What is torn is computed anew where it is needed; `moulage cache prune` deletes it.")


@app.command()
def prune(
    older_than: Annotated[
        str | None, typer.Option(help="Delete what was unused for so long: 12h, 30d or 8w.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Then delete the longest unused until so much is left: 5GB.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delete what was not used for long, or is too much; never what a process uses now."""
    deleted, in_use = actions.prune_cache(
        older_than_s=_number(older_than, "--older-than", _SECONDS, "30d"),
        keep_bytes=_number(keep, "--keep", _BYTES, "5GB"),
    )
    freed = sum(entry.size_bytes for entry in deleted)
    if as_json:
        facts = {"deleted": _folders(deleted), "freed_bytes": freed, "in_use": _folders(in_use)}
        print(json.dumps(facts, indent=2))
        return
    print(f"{len(deleted)} entries deleted, {in_words(freed)} freed.")
    if in_use:
        print(f"{len(in_use)} more are in use by a running process and stay.")


def _table(holdings: tuple[Holding, ...]) -> Table:
    table = Table("kind", "data set", box=None, pad_edge=False)
    for heading in ("entries", "size", "last used"):
        table.add_column(heading, justify="right")
    for row in holdings:
        used = moment(time.time() - row.used_at)
        table.add_row(row.kind, row.dataset, f"{row.n_entries:,}", in_words(row.size_bytes), used)
    return table


def _folders(entries: list[Entry]) -> list[str]:
    return [str(entry.folder) for entry in entries]


def _number(text: str | None, option: str, units: dict[str, float], like: str) -> float | None:
    """Read a number with its unit, such as 30d or 5GB."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    known = {unit.lower(): factor for unit, factor in units.items()}
    if match is None or match[2].lower() not in known:
        raise ConfigError(
            f"`{option}` must be a number with one of the units {', '.join(filter(None, units))}; "
            f"got {text!r}. Write, say, {like}."
        )
    return float(match[1]) * known[match[2].lower()]
