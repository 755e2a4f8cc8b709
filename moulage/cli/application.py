"""`moulage predict` and `evaluate`: finished runs applied to new images."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from moulage import actions, store
from moulage.cli.progress import shown_progress
from moulage.errors import ConfigError, examples


def predict(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, folders or zips of them.")],
    out: Annotated[Path | None, typer.Option(help="A CSV; without it, standard output.")] = None,
    covariates: Annotated[
        Path | None, typer.Option(help="A table of image_id and age, sex …, if the run reads any.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="A page of the answers, pictures too.")] = None,
) -> None:
    """Say what a finished run makes of new images, and how sure: a CSV, a row an image."""
    with shown_progress() as progress:
        answers = actions.predict(run, images, covariates=covariates, page=html, progress=progress)
    content = answers.table.to_csv(index=False, float_format="%.6f", lineterminator="\n")
    if out is None:
        sys.stdout.write(content)
    else:
        store.write_text(out, content)
    for sentence in answers.missing:
        print(sentence, file=sys.stderr)
    for fault in answers.unreadable:
        print(f"{fault.path} was left out: {fault.cause}", file=sys.stderr)
    if answers.unreadable and answers.table.empty:
        raise SystemExit(2)


def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    dataset: Annotated[
        Path, typer.Argument(help="A labelled data set, or a study file that describes it.")
    ],
    map_: Annotated[
        list[str] | None, typer.Option("--map", help="theirs=ours, for a diagnosis; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where predictions and metrics go.")] = Path(
        "evaluation"
    ),
    kind: Annotated[str, typer.Option(help="The data set's layout.")] = "auto",
) -> None:
    """Measure a finished run on a labelled foreign set."""
    mapping = _pairs(map_ or ())
    with shown_progress() as progress:
        foreign = actions.evaluate(
            run, dataset, mapping=mapping, out=out, kind=kind, progress=progress
        )
    for code, count in foreign.n_unmapped.items():
        print(f"{count:,} images of '{code}' were left out: map them with --map {code}=OURS")
    for note in foreign.notes:
        print(note)
    print(f"{len(foreign.predictions):,} images measured: {out / 'metrics.json'}")


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = [_pair(text) for text in texts]
    twice = [theirs for theirs, n in Counter(theirs for theirs, _ in pairs).items() if n > 1]
    if twice:
        raise ConfigError(
            f"`--map` must give a diagnosis of theirs one of ours; got {examples(twice)} more than "
            "once. Keep one of each."
        )
    return dict(pairs)


def _pair(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours):
        raise ConfigError(f"`--map` must read theirs=ours; got {text!r}. Write, say, --map NV=nv.")
    return theirs, ours
