"""One thin function a verb: the only place where rooms are joined.

The public door (`import moulage`) hands these on, the command line calls them. Rooms that load
torch, pandas or scikit-learn are imported inside the functions that need them, so that listing
runs stays quick.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moulage import store
from moulage.runs.folder import REPORT, RunFolder, find_runs, open_run

if TYPE_CHECKING:
    from moulage.catalogue import Catalogue
    from moulage.runs.application import Answers, Foreign
    from moulage.runs.schedule import Outcome
    from moulage.split import Part, Split

Progress = Callable[[str, int, int], None]
StrPath = str | Path

COMPARISON, COMPARISON_PAGE = "comparison", "comparison.html"


def _silently(what: str, done: int, total: int) -> None:
    """Report progress to nobody."""


def train(
    study: StrPath,
    *,
    data: StrPath | None = None,
    out: StrPath = "runs",
    only: Sequence[str] = (),
    changes: Sequence[str] = (),
    fresh: bool = False,
    progress: Progress = _silently,
) -> "Outcome":
    """Run a study file, or go on with it; write each run's page and the study's.

    data: in place of the file's `dataset.path`. only: names of experiments. changes:
    `key=value`. fresh: start over where a run with another recipe stands. progress is called
    with (what, done, total). Raises MoulageError.
    """
    from moulage.runs.config import read_study
    from moulage.runs.schedule import run_study

    config = read_study(Path(study), changes=changes, data=Path(data) if data else None)
    outcome = run_study(config, out=Path(out), only=tuple(only), fresh=fresh, progress=progress)
    for run in outcome.finished:
        if not (run.path / REPORT).is_file():
            report(run.path)
    compare(outcome.folder, description=config.description, not_run=outcome.not_run)
    return outcome


def list_runs(root: StrPath = "runs") -> list[RunFolder]:
    """List the runs below a folder, finished or not."""
    return find_runs(Path(root))


def report(run: StrPath) -> Path:
    """Write the page of a finished run anew, and return where it is."""
    from moulage.dossier import run_record
    from moulage.pages.report import report_page

    folder = open_run(Path(run))
    page = folder.path / REPORT
    store.write_text(page, report_page(run_record(folder)))
    return page


def compare(
    study: StrPath, *, description: str = "", not_run: Sequence[tuple[str, str]] = ()
) -> Path:
    """Write `comparison.csv`, `comparison.json` and the page of a study's finished runs."""
    from moulage.dossier import study_record
    from moulage.pages.comparison import comparison_table
    from moulage.pages.study import study_page

    folder = Path(study)
    finished = [run for run in find_runs(folder) if run.is_finished]
    record = study_record(finished, name=folder.name, description=description, not_run=not_run)
    table = comparison_table(record)
    store.write_text(folder / f"{COMPARISON}.csv", table.to_csv(index=False, lineterminator="\n"))
    store.write_text(folder / f"{COMPARISON}.json", table.to_json(orient="records", indent=2))
    store.write_text(folder / COMPARISON_PAGE, study_page(record))
    return folder / COMPARISON_PAGE


def predict(
    run: StrPath, images: Sequence[StrPath], *, progress: Progress = _silently
) -> "Answers":
    """Classify image files, and all images in folders and zips, with a finished run."""
    from moulage.runs.application import classify_files

    paths = [Path(image) for image in images]
    return classify_files(open_run(Path(run)), paths, progress=progress)


def evaluate(
    run: StrPath,
    dataset: StrPath,
    *,
    mapping: Mapping[str, str] | None = None,
    out: StrPath | None = None,
    progress: Progress = _silently,
    **layout: Any,
) -> "Foreign":
    """Measure a finished run on a labelled foreign set; `mapping` is their code → ours.

    Writes `predictions.parquet` and `metrics.json` to `out`, if given. layout: further
    arguments of `read_dataset`. Images of unmapped diagnoses are counted and left out.
    """
    from moulage.predictions import write_predictions
    from moulage.runs.application import classify_catalogue
    from moulage.runs.outcome import scores_of

    catalogue = read_dataset(dataset, **layout)
    folder = open_run(Path(run))
    foreign = classify_catalogue(folder, catalogue, theirs=mapping or {}, progress=progress)
    if out is not None:
        write_predictions(foreign.predictions, Path(out) / "predictions.parquet")
        content = {
            "run": str(folder.path),
            "dataset": catalogue.name,
            "n_unmapped": dict(foreign.n_unmapped),
            "parts": {"test": scores_of(foreign.predictions)},
        }
        store.write_json(Path(out) / "metrics.json", content)
    return foreign


def read_dataset(dataset: StrPath, **layout: Any) -> "Catalogue":
    """Read a data set into a checked catalogue; see `moulage.data.dataset.read_dataset`."""
    from moulage.data import dataset as reader

    return reader.read_dataset(Path(dataset), **layout)


def make_split(
    dataset: StrPath,
    *,
    ratios: "Mapping[Part, float] | None" = None,
    seed: int = 0,
    out: StrPath | None = None,
    **layout: Any,
) -> "Split":
    """Split a data set so that no lesion is in two parts; write it to `out`, if given."""
    from moulage.split import write_split
    from moulage.splits.grouped import split_by_group

    catalogue = read_dataset(dataset, **layout)
    made = split_by_group(
        image_ids=catalogue.image_ids,
        lesion_ids=catalogue.lesion_ids,
        labels=catalogue.labels,
        ratios=ratios or {"train": 0.6, "validation": 0.2, "test": 0.2},
        seed=seed,
    )
    if out is not None:
        write_split(made, Path(out))
    return made
