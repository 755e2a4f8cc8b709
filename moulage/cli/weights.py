"""`moulage weights`: a folder of pretrained weights, filled and verified."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moulage import actions
from moulage.cli.progress import shown_progress
from moulage.errors import DataError, examples

if TYPE_CHECKING:
    from moulage.networks.shelf import Finding

app = typer.Typer(no_args_is_help=True, help="Fetch pretrained weights, and verify them.")


@app.command()
def fetch(
    to: Annotated[Path, typer.Option(help="The folder to fill.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Any names of timm; without, the paper's four.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="A mirror of the hub, as HF_ENDPOINT names one.")
    ] = None,
) -> None:
    """Fill a folder with ImageNet weights, their digests and licences; goes on if cut off."""
    with shown_progress() as progress:
        findings = actions.fetch_weights(to, names or (), endpoint=endpoint, progress=progress)
    _print(findings)
    print(f"To use them, here or on a machine without internet: MOULAGE_WEIGHTS={to.resolve()}")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder to look through.")],
) -> None:
    """Hold every file against its backbone's names and shapes, and against its digest."""
    findings = actions.verify_weights(folder)
    _print(findings)
    faults = [found.file for found in findings if found.is_fault]
    if faults:
        raise DataError(
            f"Every file in `{folder}` must be fit for use; got {len(faults)} that are not: "
            f"{examples(faults)}. Fetch them again with `moulage weights fetch --to {folder}`."
        )


def _print(findings: "tuple[Finding, ...]") -> None:
    for found in findings:
        print(f"{found.file}: {found.words}")
