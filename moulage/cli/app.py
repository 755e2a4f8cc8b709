"""The command line's front door: one command a verb, one line an error.

Knows nothing but words: it parses them, calls `moulage.actions`, prints what comes back.
"""

import logging
import os
import sys
from typing import Annotated

import typer

from moulage.cli import application, splits, studies
from moulage.errors import MoulageError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Transfer learning for skin-lesion images that can be trusted. Not a medical device.",
)


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
    quiet: Annotated[bool, typer.Option(help="Say only what goes wrong.")] = False,
) -> None:
    os.environ["MOULAGE_DEBUG"] = "1" if debug else ""
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr, force=True)


for command in (
    studies.train,
    studies.report,
    studies.runs,
    application.predict,
    application.evaluate,
    splits.split,
):
    app.command()(command)


def main() -> None:
    """Run the command line; a MoulageError becomes one line on stderr and exit code 2."""
    try:
        app()
    except MoulageError as error:
        if os.environ.get("MOULAGE_DEBUG"):
            raise
        print(f"moulage: {error}", file=sys.stderr)
        raise SystemExit(2) from error
