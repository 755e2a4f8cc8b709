"""The command line's front door: one command a verb, one line an error.

Knows nothing but words: it parses them, calls `moulage.actions`, prints what comes back.
"""

import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from moulage.cli import (
    application,
    audit,
    backbones,
    cache,
    casts,
    demo,
    doctor,
    explanations,
    features,
    learning_rate,
    splits,
    studies,
    survey,
    trust,
    weights,
)
from moulage.errors import MoulageError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Transfer learning for skin-lesion images that can be trusted. Not a medical device.",
)


def _say_version(is_asked: bool) -> None:
    if is_asked:
        print(f"moulage {version('moulage')}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
    quiet: Annotated[bool, typer.Option(help="Say only what goes wrong.")] = False,
    _: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which version this is.", callback=_say_version, is_eager=True
        ),
    ] = False,
) -> None:
    os.environ["MOULAGE_DEBUG"] = "1" if debug else ""
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr, force=True)


for command in (
    demo.demo,
    studies.train,
    studies.report,
    studies.runs,
    trust.trust,
    trust.card,
    application.predict,
    application.evaluate,
    explanations.explain,
    explanations.units,
    features.features,
    learning_rate.lr,
    survey.survey,
    splits.split,
    audit.audit,
    casts.casts,
    backbones.backbones,
    doctor.doctor,
):
    app.command()(command)
app.add_typer(weights.app, name="weights")
app.add_typer(cache.app, name="cache")


def main() -> None:
    """Run the command line; what goes wrong becomes one line on stderr and exit code 2."""
    try:
        app()
    except (MoulageError, OSError) as error:
        if os.environ.get("MOULAGE_DEBUG"):
            raise
        print(f"moulage: {_sentence(error)}", file=sys.stderr)
        raise SystemExit(2) from error


def _sentence(error: MoulageError | OSError) -> str:
    """Put a fault into one sentence; the system's own know only a file and a reason."""
    if isinstance(error, MoulageError):
        return str(error)
    what = f"`{error.filename}`" if error.filename else "A file"
    reason = error.strerror or str(error)
    return f"{what} must be usable; got '{reason}'. Look where it is and who may use it."
