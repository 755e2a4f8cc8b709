"""`moulage predict` and `evaluate`: finished runs applied to new images."""

import math
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from moulage import actions, files
from moulage.cli.progress import shown_progress
from moulage.cli.tables import print_table
from moulage.errors import ConfigError, examples
from moulage.pages import words

_SCORES = (
    ("accuracy (natural)", "accuracy", "natural"),
    ("balanced accuracy (balanced)", "balanced_accuracy", "balanced"),
    ("macro AUROC", "macro_auroc", "natural"),
    ("log loss", "log_loss", "natural"),
)


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
        files.write_text(out, content)
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
    out: Annotated[
        Path | None,
        typer.Option(help="Where predictions and metrics go; else evaluation/DATASET/RUN."),
    ] = None,
    kind: Annotated[str, typer.Option(help="The data set's layout.")] = "auto",
) -> None:
    """Measure a finished run on a labelled foreign set."""
    mapping = _pairs(map_ or ())
    place = out or Path("evaluation", dataset.resolve().stem, run.resolve().name)
    with shown_progress() as progress:
        foreign = actions.evaluate(
            run, dataset, mapping=mapping, out=place, kind=kind, progress=progress
        )
    for code, count in foreign.n_unmapped.items():
        pair = shlex.quote(f"{code}=OURS")
        print(f"{count:,} images of {code!r} were left out: map them with --map {pair}")
    for note in foreign.notes:
        print(note)
    own = actions.RunFolder(path=run)
    here = f"test part of {run.resolve().name}"
    print_table(_table({foreign.catalogue.name: foreign.metrics, here: own.metrics()}))
    unit, n_units = foreign.predictions.unit, len(set(foreign.predictions.lesion_ids))
    print(
        f"{words.counted(len(foreign.predictions), 'image')} measured, of "
        f"{words.counted(n_units, unit)}; 95 % intervals over "
        f"{drawn(unit, own.split().unit, run.resolve().name)}: {place / 'metrics.json'}"
    )


def drawn(unit: str, own: str, name: str) -> str:
    """Say what intervals are over, in the run's own column too where that is another."""
    return f"{unit}s" if unit == own else f"{unit}s, of {name} over {own}s"


def _table(measured: Mapping[str, Mapping[str, Any]]) -> Table:
    """Lay the scores of each `metrics.json` side by side, by what they are of."""
    table = Table(box=None, pad_edge=False)
    for name in ("score", *measured):
        table.add_column(escape(name), overflow="fold")
    for said, metric, rule in _SCORES:
        table.add_row(said, *(_score(each, metric, rule) for each in measured.values()))
    return table


def _score(metrics: Mapping[str, Any], metric: str, rule: str) -> str:
    """Write a test score and its interval, as far as they were measured."""
    value = metrics["parts"].get("test", {}).get(rule, {}).get(metric)
    if value is None:
        return "–"
    ends = metrics.get("certainty", {}).get("intervals", {}).get(rule, {}).get(metric)
    low, high = (math.nan if end is None else end for end in ends or (None, None))
    return f"{value:.3f} ({words.bounds(low, high)})"


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
