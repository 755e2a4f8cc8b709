"""`moulage audit`: is an external test set really external?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from moulage import actions
from moulage.cli.progress import shown_progress
from moulage.cli.tables import print_table

_MOST_SHOWN = 20


def audit(
    dataset: Annotated[
        Path, typer.Argument(help="What was trained on: a data set or a study file.")
    ],
    other: Annotated[Path, typer.Argument(help="What is meant to be external, likewise.")],
    out: Annotated[Path, typer.Option(help="The CSV of pairs to write.")] = Path(
        "near_duplicates.csv"
    ),
    threshold: Annotated[
        float | None, typer.Option(help="Least certainty of a pair; left out, the measured one.")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Exit with 1 where a lesion is shared.")] = False,
) -> None:
    """Look for lesions that two data sets share: is an external test set really external?"""
    with shown_progress() as progress:
        found = actions.audit(dataset, other, out=out, threshold=threshold, progress=progress)
    if found.pairs:
        table = Table(found.names[0], found.names[1], "evidence", "certainty", box=None)
        for pair in found.pairs[:_MOST_SHOWN]:
            table.add_row(pair.image_id, pair.other_id, pair.evidence, f"{pair.certainty:.2f}")
        print_table(table)
    for sentence in found.sentences():
        print(sentence)
    print(out)
    if strict and found.pairs:
        raise SystemExit(1)
