"""`moulage trust`, `card`: how sure a finished run is, for whom it fails; its model card."""

from pathlib import Path
from typing import Annotated

import typer

from moulage import actions


def trust(run: Annotated[Path, typer.Argument(help="A finished run's folder.")]) -> None:
    """Say how far a finished run's answers can be trusted: calibration, sets, subgroups."""
    print(actions.trust(run))


def card(run: Annotated[Path, typer.Argument(help="A finished run's folder.")]) -> None:
    """Write a finished run's model card, as Markdown and as a page."""
    for path in actions.card(run):
        print(path)
