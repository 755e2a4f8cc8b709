"""`moulage split`: a data set split so that no lesion is in two parts."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from moulage import actions
from moulage.cli.tables import print_table
from moulage.errors import ConfigError
from moulage.split import PARTS, Part


def split(
    dataset: Annotated[
        Path, typer.Argument(help="The data set, or a study file that describes it.")
    ],
    out: Annotated[Path, typer.Option(help="The CSV to write.")] = Path("split.csv"),
    ratios: Annotated[
        str, typer.Option(help="Shares of train, validation, test and, if given, calibration.")
    ] = "60:20:20",
    seed: Annotated[int, typer.Option(help="Another seed, another split.")] = 0,
    merge: Annotated[
        str,
        typer.Option(
            help="Lesion ids that show one lesion: a CSV of pairs, confirmed by a yes; auto, those "
            "known for HAM10000; or none."
        ),
    ] = "auto",
    kind: Annotated[str, typer.Option(help="The data set's layout.")] = "auto",
) -> None:
    """Split a data set by lesion, as evenly by diagnosis as whole lesions allow."""
    made = actions.make_split(
        dataset, ratios=_ratios(ratios), seed=seed, merge=merge, out=out, kind=kind
    )
    table = Table("part", "images", f"{made.unit}s", box=None, pad_edge=False)
    for part in PARTS:
        rows = made.rows_of(part)
        if len(rows):
            table.add_row(part, f"{len(rows):,}", f"{len(set(made.lesion_ids[rows])):,}")
    print_table(table)
    print(f"{out}, digest {made.digest}")


def _ratios(text: str) -> dict[Part, float]:
    names: tuple[Part, ...] = ("train", "validation", "test", "calibration")
    try:
        shares = [float(share) for share in text.split(":")]
    except ValueError:
        shares = []
    if not 2 <= len(shares) <= 4:
        raise ConfigError(
            f"`--ratios` must be two to four numbers such as 60:20:20; got {text!r}. "
            "Give train, validation, test and, if wanted, calibration."
        )
    return dict(zip(names, shares, strict=False))
