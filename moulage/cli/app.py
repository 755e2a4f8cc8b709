"""The command line's front door: one command a verb, one line an error.

Knows nothing but words: it parses them, calls `moulage.actions`, prints what comes back.
"""

import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from moulage.cli import application, backbones, splits, studies, weights
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
    backbones.backbones,
):
    app.command()(command)
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Run the command line; a MoulageError becomes one line on stderr and exit code 2."""
    try:
        app()
    except MoulageError as error:
        if os.environ.get("MOULAGE_DEBUG"):
            raise
        _end(str(error), error)
    except OSError as error:  # a folder that may not be read, a disk that fails
        if os.environ.get("MOULAGE_DEBUG"):
            raise
        where = f"`{error.filename}`" if error.filename else "A file"
        reason = error.strerror or str(error)
        _end(
            f"{where} must be usable; got '{reason}'. Check where it is and who may use it.", error
        )


def _end(message: str, error: Exception) -> NoReturn:
    print(f"moulage: {message}", file=sys.stderr)
    raise SystemExit(2) from error
