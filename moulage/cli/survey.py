"""`moulage survey`: what a data set is, and what in it leaks or looks wrong, before training."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from moulage import actions
from moulage.cli.progress import shown_progress
from moulage.cli.tables import print_table


def survey(
    dataset: Annotated[
        Path, typer.Argument(help="The data set, or a study file that describes it.")
    ],
    out: Annotated[Path, typer.Option(help="The folder for survey.html and its tables.")] = Path(
        "survey"
    ),
    split: Annotated[
        Path | None, typer.Option(help="A split file to hold against the lesions.")
    ] = None,
    merge: Annotated[
        str,
        typer.Option(
            help="Lesion ids that splits tie already: the CSV that `moulage split` was given; "
            "auto, those known for HAM10000; or none."
        ),
    ] = "auto",
    strict: Annotated[bool, typer.Option(help="Exit with 1 where a finding says stop.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed, other samples.")] = 0,
    kind: Annotated[str, typer.Option(help="The data set's layout.")] = "auto",
) -> None:
    """Look at a data set before training: distributions, telltales, wrong labels, faults."""
    with shown_progress() as progress:
        _, verdict = actions.survey(
            dataset, out=out, split=split, merge=merge, seed=seed, kind=kind, progress=progress
        )
    table = Table(show_header=False, box=None, pad_edge=False)
    for line in verdict:
        table.add_row(line.level, line.subject, line.sentence)
    print_table(table)
    print(out / actions.SURVEY_PAGE)
    if strict and any(line.level == "stop" for line in verdict):
        raise SystemExit(1)
