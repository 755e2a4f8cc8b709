"""`moulage features`: what a backbone or a finished run makes of each image, as numbers."""

from pathlib import Path
from typing import Annotated

import typer

from moulage import actions
from moulage.cli.progress import shown_progress


def features(
    source: Annotated[
        str, typer.Argument(metavar="RUN_OR_BACKBONE", help='A run, "starter", or a backbone.')
    ],
    dataset: Annotated[
        Path, typer.Argument(help="The data set, or a study file that describes it.")
    ],
    out: Annotated[Path, typer.Option(help="A .npy (ids in a .csv beside it) or a .parquet.")],
    weights: Annotated[
        str | None, typer.Option(help="Of a backbone: imagenet, starter, random or a file.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Of a backbone: side of its inputs, in pixels; else 128.")
    ] = None,
    at: Annotated[str, typer.Option(help="The boundary: head, or a stage such as blocks.4.")] = (
        "head"
    ),
    kind: Annotated[str, typer.Option(help="The data set's layout.")] = "auto",
) -> None:
    """Write the pooled activations of every image, with its id, lesion and diagnosis."""
    with shown_progress() as progress:
        found = actions.extract_features(
            source, dataset, out=out, weights=weights, size=size, at=at, kind=kind,
            progress=progress,
        )  # fmt: skip
    n_images, n_features = found.values.shape
    print(f"{n_images:,} images, {n_features:,} features each: {out}")
