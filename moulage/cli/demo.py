"""`moulage demo`: the whole of moulage in minutes, without a data set or a model hub."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from moulage import actions
from moulage.cli.progress import shown_progress
from moulage.cli.studies import Fresh
from moulage.cli.tables import print_table

if TYPE_CHECKING:
    from moulage.runs.demonstration import TestScore

_STARTS = {"starter": "shipped starter", "random": "random weights", "imagenet": "ImageNet"}


def demo(
    out: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    fresh: Fresh = False,
) -> None:
    """Draw synthetic lesions, train on them from several starts, write the page: in minutes."""
    with shown_progress() as progress:
        shown = actions.demo(out=out, fresh=fresh, progress=progress)
    print(
        f"\nmoulage drew {shown.n_images:,} photographs of {shown.n_lesions:,} synthetic lesions "
        "(casts) in HAM10000's layout, split them so that no lesion is in two parts, and trained "
        "from several starts in two phases: the new head alone on kept activations, then every "
        f"layer. On the {shown.n_test:,} test images, which had no say in any of it:\n"
    )
    print_table(_table(shown.scores))
    print(f"\n{_lesson(shown.scores)}")
    print(f"\nThe page:  {shown.page}\nOne a run: {shown.page.parent}/*/report.html\n")
    print("Next, with a folder of your own (one folder a diagnosis, or HAM10000 as it comes):")
    print(f"  {_called()} train {shown.study_file} --data FOLDER --set name=mine --out {out}")
    print("The images are synthetic: these numbers say nothing about patients.")


def _called() -> str:
    """Return how this command was called, where that was by a path from here."""
    name = sys.argv[0]
    is_path_from_here = "/" in name and not Path(name).is_absolute()
    return name if is_path_from_here else "moulage"


def _table(scores: "tuple[TestScore, ...]") -> Table:
    table = Table("start", box=None, pad_edge=False)
    for heading in ("accuracy (rule: natural)", "balanced accuracy (rule: balanced)"):
        table.add_column(heading, justify="right")
    for score in scores:
        table.add_row(
            _STARTS[score.experiment],
            f"{score.accuracy:.3f}",
            f"{score.balanced_accuracy:.3f}",
        )
    return table


def _lesson(scores: "tuple[TestScore, ...]") -> str:
    """Say what the shipped weights are worth here, whatever it is."""
    found = {score.experiment: score for score in scores}
    points = 100 * (found["starter"].balanced_accuracy - found["random"].balanced_accuracy)
    accuracy = 100 * (found["starter"].accuracy - found["random"].accuracy)
    return (
        f"Starting from the shipped weights instead of random ones is worth {points:+.1f} points "
        f"of balanced accuracy (rule: balanced) and {accuracy:+.1f} of accuracy (rule: natural) "
        "here; the page has the intervals."
    )
