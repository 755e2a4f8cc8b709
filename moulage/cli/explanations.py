"""`moulage explain` and `units`: why a finished run says so, and whether that can be trusted."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from moulage import actions
from moulage.cli.progress import shown_progress
from moulage.pages import words
from moulage.split import Part

_Method = Literal["designed", "exact", "sampled"]
_Cut = Literal["slic", "felzenszwalb", "grid"]
_Fill = Literal["mean", "dataset", "blur", "black"]


def explain(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    images: Annotated[
        list[Path] | None, typer.Argument(help="Image files, folders or zips of them.")
    ] = None,
    part: Annotated[Part, typer.Option(help="Without images: the part to draw from.")] = "test",
    sample: Annotated[int, typer.Option(help="Without images: how many to draw.")] = 50,
    diagnosis: Annotated[
        str | None, typer.Option(help="Which one; otherwise each image's most probable.")
    ] = None,
    covariates: Annotated[
        Path | None, typer.Option(help="Of named images: a table, if the run reads any.")
    ] = None,
    method: Annotated[_Method, typer.Option(help="How many copies are asked, and which.")] = (
        "designed"
    ),
    evaluations: Annotated[
        int | None, typer.Option(help="Copies an image: 128 designed, 1,000 sampled.")
    ] = None,
    segments: Annotated[_Cut, typer.Option(help="How superpixels are cut.")] = "slic",
    superpixels: Annotated[int, typer.Option(help="How many superpixels.")] = 10,
    fill: Annotated[_Fill, typer.Option(help="What is seen of superpixels taken away.")] = "mean",
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Where to; otherwise the run's folder.")] = None,
) -> None:
    """Explain answers by superpixels, score each explanation, and look for shortcuts."""
    manner: dict[str, Any] = {
        "method": method,
        "n_evaluations": evaluations,
        "cut": segments,
        "n_segments": superpixels,
        "fill": fill,
        "seed": seed,
    }
    with shown_progress() as progress:
        casebook = actions.explain(
            run, images or (), part=part, sample=sample, diagnosis=diagnosis,
            covariates=covariates, out=out, progress=progress, **manner,
        )  # fmt: skip
    for sentence in casebook.left_out:
        print(sentence)
    n_doubted = sum(bool(case.examination.doubts) for case in casebook.cases)
    explained = words.counted(len(casebook.cases), "image")
    print(f"{explained} explained, {words.count(n_doubted)} with doubts:")
    print((out or run) / actions.EXPLANATIONS_PAGE)


def units(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    out: Annotated[Path | None, typer.Option(help="Where to; otherwise the run's folder.")] = None,
) -> None:
    """Say what each hidden unit tells of each diagnosis; map images, and find cases alike."""
    with shown_progress() as progress:
        layer = actions.units(run, out=out, progress=progress)
    n_dead, n_groups = int(layer.units.is_dead.sum()), len(layer.units.duplicates)
    print(f"{len(layer.units.areas):,} units, {n_dead} dead, {n_groups} groups that repeat:")
    print((out or run) / actions.UNITS_PAGE)
