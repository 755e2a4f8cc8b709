"""`moulage lr`: which learning rates a phase bears."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moulage import actions
from moulage.cli.progress import shown_progress

if TYPE_CHECKING:
    from moulage.training.range_test import RangeTest


def lr(
    source: Annotated[
        Path, typer.Argument(metavar="RUN_OR_STUDY", help="A run's folder or a study file.")
    ],
    experiment: Annotated[
        str | None, typer.Option(help="Of a study file: which one, by default the first.")
    ] = None,
    phase: Annotated[
        str | None, typer.Option(help="By default the first; those before it are trained as usual.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The images, in place of the file's.")] = None,
    highest: Annotated[float, typer.Option(help="The last rate; the first is a millionth.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Steps from the first rate to the last.")] = 100,
    out: Annotated[Path, typer.Option(help="An .svg or .png; its numbers go to a .csv.")] = Path(
        "learning-rate.svg"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a phase while its learning rate climbs, and plot where the loss falls and breaks."""
    with shown_progress() as progress:
        found = actions.range_test(
            source,
            experiment=experiment,
            phase=phase,
            data=data,
            highest=highest,
            n_steps=steps,
            out=out,
            progress=progress,
        )
    if as_json:
        print(json.dumps({**_facts(found), "picture": str(out)}, indent=2))
        return
    print(_words(found))
    print(f"{out}, numbers in {out.with_suffix('.csv')}")


def _facts(found: "RangeTest") -> dict[str, object]:
    return {
        "phase": found.phase,
        "suggested": found.suggested,
        "never_fell": found.never_fell,
        "still_fell": found.still_fell,
        "lowest_loss_at": found.lowest_at,
        "diverged": found.diverged,
        "n_steps": len(found.rates),
    }


def _words(found: "RangeTest") -> str:
    if found.never_fell:
        return (
            f"In phase {found.phase} no rate up to {found.rates[-1]:.2g} lowered the loss of "
            f"{found.start:.3g}: try more --steps, or look at labels and input scaling."
        )
    if found.still_fell:
        return (
            f"In phase {found.phase} the loss was still falling at {found.rates[-1]:.2g}: "
            f"try again with --highest {10 * found.rates[-1]:.2g}."
        )
    return (
        f"In phase {found.phase} the loss was lowest at {found.lowest_at:.2g}: a tenth of that, "
        f"{found.suggested:.2g}, is a good learning rate to begin with."
    )
