"""`moulage train`, `report`, `runs`: studies run, their pages, and what came of them."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from moulage import actions
from moulage.cli.progress import shown_progress
from moulage.cli.tables import print_table
from moulage.errors import ConfigError, RunError
from moulage.runs.folder import REPORT, RunFolder

_RUNS = Path("runs")
Fresh = Annotated[
    bool,
    typer.Option(
        help="Start over where a run of another recipe stands, one that is torn, or an "
        "unfinished one of other versions."
    ),
]


def train(
    study: Annotated[Path, typer.Argument(help="A study file; `studies/` holds ready ones.")],
    data: Annotated[Path | None, typer.Option(help="The images, in place of the file's.")] = None,
    out: Annotated[Path, typer.Option(help="Where runs are kept.")] = _RUNS,
    only: Annotated[list[str] | None, typer.Option(help="Run this experiment; repeatable.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key, as split.seeds=[0,1].")
    ] = None,
    fresh: Fresh = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Know images and caches by their bytes, not by size and time."
        ),
    ] = False,
    jobs: Annotated[
        int, typer.Option(help="Runs at once, each with its share of the threads.")
    ] = 1,
) -> None:
    """Run a study, or go on with it where it stopped."""
    with _saying_how_to_go_on(), shown_progress() as progress:
        outcome = actions.train(
            study,
            data=data,
            out=out,
            only=only or (),
            changes=(*(set_ or ()), *(("images.verify=true",) if verify else ())),
            fresh=fresh,
            jobs=jobs,
            progress=progress,
        )
    print_table(_table(list(outcome.finished)))
    for name, reason in outcome.not_run:
        print(f"{name} was not run: {reason}")
    for pooled in outcome.pooled:
        print(f"Out-of-fold predictions and their metrics: {pooled}")
    print(f"The study's page: {outcome.folder / actions.COMPARISON_PAGE}")


def report(
    run: Annotated[Path, typer.Argument(help="A finished run's folder, or a study's.")],
) -> None:
    """Write the page of a finished run, or of all of a study's, anew."""
    with shown_progress() as progress:
        reported = actions.write_reports(run, progress=progress)
    for page in reported.pages:
        print(page)
    for fault in reported.faults:
        print(f"moulage: {fault}", file=sys.stderr)
    if reported.faults:
        raise SystemExit(2)


def runs(
    root: Annotated[Path, typer.Argument(help="Where to look.")] = _RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List runs, finished or not, with their test scores."""
    if root != _RUNS and not root.is_dir():
        raise ConfigError(f"`ROOT` must be a folder; got '{root}'. Name one that is there.")
    found = actions.list_runs(root)
    if as_json:
        print(json.dumps([_facts(run) for run in found], indent=2))
        return
    if not found:
        print(f"No runs below {root}. Start one with `moulage train STUDY`.")
        return
    print_table(_table(found))
    for run in found:
        if fault := _fault(run):
            print(f"moulage: {fault}", file=sys.stderr)


@contextmanager
def _saying_how_to_go_on() -> Iterator[None]:
    """Turn Ctrl-C into one line with the command that goes on, and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        words = shlex.join(sys.argv[1:])
        print(
            f"moulage: stopped; what was done is kept. Go on with: moulage {words}",
            file=sys.stderr,
        )
        raise SystemExit(130) from None


def _facts(run: RunFolder) -> dict[str, object]:
    facts: dict[str, object] = {
        "run": str(run.path),
        "finished": run.is_finished,
        "page": str(run.path / REPORT),
    }
    if fault := _fault(run):
        facts["torn"] = fault
    elif run.is_finished:
        test = run.metrics()["parts"].get("test", {})
        for rule, name in (("natural", "accuracy"), ("balanced", "balanced_accuracy")):
            facts[f"test_{name}_{rule}"] = test.get(rule, {}).get(name)
    return facts


def _fault(run: RunFolder) -> str:
    """Say what is torn of the files that a list reads, or nothing."""
    try:
        run.study()
        if run.is_finished:
            run.metrics()
    except RunError as error:
        return str(error)
    return ""


def _table(runs_: list[RunFolder]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("run", "accuracy (natural)", "balanced accuracy (balanced)", "page"):
        table.add_column(
            name, justify="left" if name in ("run", "page") else "right", overflow="fold"
        )
    for run in runs_:
        facts = _facts(run)
        scores = (
            facts.get("test_accuracy_natural"),
            facts.get("test_balanced_accuracy_balanced"),
        )
        said = [f"{value:.3f}" if isinstance(value, float) else "–" for value in scores]
        place = str(facts["page"]) if facts["finished"] else "unfinished: train it again to go on"
        place = "torn" if "torn" in facts else place
        table.add_row(run.path.name, *said, place)
    return table
