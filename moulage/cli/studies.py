"""`moulage train` and `moulage runs`: studies run, and what came of them listed."""

from pathlib import Path
from typing import Annotated

import typer

from moulage import actions
from moulage.cli.progress import shown_progress


def train(
    study: Annotated[Path, typer.Argument(help="A study file; `studies/` holds ready ones.")],
    data: Annotated[Path | None, typer.Option(help="The images, in place of the file's.")] = None,
    out: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    only: Annotated[list[str] | None, typer.Option(help="Run this experiment; repeatable.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key, as split.seeds=[0,1].")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Start over where another recipe stands.")] = False,
) -> None:
    """Run a study, or go on with it where it stopped."""
    with shown_progress() as progress:
        outcome = actions.train(
            study,
            data=data,
            out=out,
            only=only or (),
            changes=set_ or (),
            fresh=fresh,
            progress=progress,
        )
    for run in outcome.finished:
        print(run.path)
    for name, reason in outcome.not_run:
        print(f"{name} was not run: {reason}")
