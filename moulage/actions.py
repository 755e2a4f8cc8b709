"""One thin function a verb: the only place where rooms are joined.

The public door (`import moulage`) hands these on, the command line calls them. Rooms that load
torch, pandas or scikit-learn are imported inside the functions that need them, so that listing
runs stays quick.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moulage import files, store
from moulage.arguments import known_keywords, mapping_of, names_of, path_of, paths_of, whole_number
from moulage.errors import MoulageError
from moulage.runs.folder import (
    CARD,
    CARD_PAGE,
    REPORT,
    TRUST_PAGE,
    TRUST_TEST,
    find_runs,
    open_run,
    open_study,
    pooled_below,
    read_layout,
)
from moulage.runs.folder import EXPLANATIONS_PAGE as EXPLANATIONS_PAGE
from moulage.runs.folder import UNITS_PAGE as UNITS_PAGE
from moulage.runs.folder import RunFolder as RunFolder
from moulage.runs.progress import Progress, silently

if TYPE_CHECKING:
    from moulage.casts.generator import Casts
    from moulage.catalogue import Catalogue
    from moulage.explanation.casebook import Casebook
    from moulage.explanation.layers import HiddenLayer
    from moulage.networks.inventory import Stocked
    from moulage.networks.shelf import Finding
    from moulage.runs.application import Answers
    from moulage.runs.audit import Audit
    from moulage.runs.checkup import Checkup
    from moulage.runs.demonstration import Demonstration
    from moulage.runs.features import Features
    from moulage.runs.foreign import Foreign
    from moulage.runs.holdings import Holding
    from moulage.runs.schedule import Outcome
    from moulage.split import Part, Split
    from moulage.surveying.record import Survey
    from moulage.surveying.verdict import Line
    from moulage.training.range_test import RangeTest

logger = logging.getLogger(__name__)

StrPath = str | Path

COMPARISON, COMPARISON_PAGE = "comparison", "comparison.html"
EXPLANATIONS, UNITS = "explanations", "units"
SURVEY_PAGE, NEAR_DUPLICATES = "survey.html", "near_duplicates.csv"
SUSPECT_LABELS = "suspect_labels.csv"
_RATIOS: "Mapping[Part, float]" = {"train": 0.6, "validation": 0.2, "test": 0.2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """Pages that were written, a study's own last, and what kept others from it."""

    pages: tuple[Path, ...]
    faults: tuple[MoulageError, ...] = ()


def train(
    study: StrPath,
    *,
    data: StrPath | None = None,
    out: StrPath = "runs",
    only: Sequence[str] | str = (),
    changes: Sequence[str] | str = (),
    fresh: bool = False,
    jobs: int = 1,
    progress: Progress = silently,
) -> "Outcome":
    """Run a study file, or go on with it; write each run's page and the study's.

    data: in place of the file's `dataset.path`. only: names of experiments. changes:
    `key=value`. fresh: start over where a run of another recipe or version stands. jobs: how
    many runs at once, each in a process with its share of the threads; a script that asks for
    several must do so below `if __name__ == "__main__":`. progress is called with (what, done,
    total). Raises MoulageError.
    """
    from moulage.runs.schedule import run_study
    from moulage.runs.studyfile import read_study

    config = read_study(
        path_of(study, "study"),
        changes=names_of(changes, "changes"),
        data=None if data is None else path_of(data, "data"),
    )
    outcome = run_study(
        config,
        out=path_of(out, "out"),
        only=names_of(only, "only"),
        fresh=fresh,
        progress=progress,
        n_jobs=whole_number(jobs, "jobs", least=1),
    )
    for run in outcome.finished:
        if not (run.path / REPORT).is_file():
            _write_report(run.path)
    compare(outcome.folder)
    return outcome


def list_runs(root: StrPath = "runs") -> list[RunFolder]:
    """List the runs below a folder, finished or not."""
    return find_runs(path_of(root, "root"))


def report(run: StrPath) -> Path:
    """Write the page of a finished run anew, and return where it is.

    run: a run's folder, or a study's: then the pages of all its finished runs, and its own, which
    is returned. What can be written is, before the first fault is raised; further ones are its
    notes.
    """
    reported = write_reports(run)
    if not reported.faults:
        return reported.pages[-1]
    first, *others = reported.faults
    for other in others:
        first.add_note(str(other))
    raise first


def write_reports(run: StrPath, *, progress: Progress = silently) -> Reported:
    """Write the page of a finished run, or those of a study's runs and its own, as far as it goes.

    Raises MoulageError where `run` is neither, or a run alone is torn.
    """
    path = path_of(run, "run")
    if not any(found.is_finished for found in find_runs(path) if found.path != path):
        return Reported(pages=(_write_report(path),))
    runs = open_study(path)
    writers = [*(partial(_write_report, one.path) for one in runs), partial(compare, path)]
    pages: list[Path] = []
    faults: dict[str, MoulageError] = {}
    for done, write in enumerate(writers, 1):
        try:
            pages.append(write())
        except MoulageError as error:
            faults.setdefault(str(error), error)  # without a whole run, the comparison's is a run's
        progress("writing pages", done, len(writers))
    return Reported(pages=tuple(pages), faults=tuple(faults.values()))


def _write_report(path: Path) -> Path:
    from moulage.dossier import run_record
    from moulage.pages.report import report_page

    folder = open_run(path)
    page = folder.path / REPORT
    files.write_text(page, report_page(run_record(folder)))
    return page


def trust(run: StrPath) -> Path:
    """Write `trust.html` and `trust-test.json` of a finished run, and return the page's place."""
    from moulage.dossier import trust_record
    from moulage.evaluation.examination import as_json
    from moulage.evaluation.lesions import counted_as
    from moulage.pages.trust import trust_page

    folder = open_run(path_of(run, "run"))
    record = trust_record(folder)
    found = counted_as(as_json(record.found), record.leak.groups)
    files.write_json(folder.path / TRUST_TEST, found)
    files.write_text(folder.path / TRUST_PAGE, trust_page(record))
    _link(folder, folder.path)
    return folder.path / TRUST_PAGE


def card(run: StrPath) -> tuple[Path, Path]:
    """Write the model card of a finished run, `card.md` and `card.html`; return their places."""
    from moulage.dossier import card_record
    from moulage.pages.card import card_markdown, card_page

    folder = open_run(path_of(run, "run"))
    record = card_record(folder)
    files.write_text(folder.path / CARD, card_markdown(record))
    files.write_text(folder.path / CARD_PAGE, card_page(record))
    _link(folder, folder.path)
    return folder.path / CARD, folder.path / CARD_PAGE


def _link(folder: RunFolder, place: Path) -> None:
    """Write a run's page anew, so that it names a page just written, where that is beside it."""
    if place.resolve() == folder.path.resolve() and (folder.path / REPORT).is_file():
        _write_report(folder.path)


def compare(study: StrPath) -> Path:
    """Write `comparison.csv`, `comparison.json` and the page of a study's finished runs.

    study: its folder, in which runs have folders of their own. Runs that are torn are named there
    and in the log; RunError where no other is left.
    """
    from moulage.dossier import study_record
    from moulage.pages.account import account_of
    from moulage.pages.comparison import comparison_table
    from moulage.pages.standing import standing_of
    from moulage.pages.study import study_page

    folder = path_of(study, "study")
    finished, layout = open_study(folder), read_layout(folder)
    record = study_record(finished, name=folder.name, layout=layout, pooled=pooled_below(folder))
    table = comparison_table(record)
    files.write_text(folder / f"{COMPARISON}.csv", table.to_csv(index=False, lineterminator="\n"))
    standing = standing_of(record)
    files.write_json(folder / f"{COMPARISON}.json", account_of(record, standing, table))
    files.write_text(folder / COMPARISON_PAGE, study_page(record, standing, table))
    return folder / COMPARISON_PAGE


def predict(
    run: StrPath,
    images: Sequence[StrPath] | StrPath,
    *,
    covariates: StrPath | None = None,
    page: StrPath | None = None,
    progress: Progress = silently,
) -> "Answers":
    """Classify image files, and all images in folders and zips, with a finished run.

    covariates: a table of image_id and what the classifier reads beside an image. page: an HTML
    file to write, with a picture of each image.
    """
    from moulage.runs.application import classify_files

    paths, folder = paths_of(images, "images"), open_run(path_of(run, "run"))
    table = None if covariates is None else Path(covariates)
    if page is None:
        return classify_files(folder, paths, covariates=table, progress=progress)
    from moulage.dossier import answers_record
    from moulage.pages.answers import MOST, answers_page

    answers = classify_files(folder, paths, covariates=table, progress=progress, n_pictures=MOST)
    files.write_text(Path(page), answers_page(answers_record(folder, answers)))
    return answers


def evaluate(
    run: StrPath,
    dataset: StrPath,
    *,
    mapping: Mapping[str, str] | None = None,
    out: StrPath | None = None,
    progress: Progress = silently,
    **layout: Any,
) -> "Foreign":
    """Measure a finished run on a labelled foreign set; `mapping` is their code → ours.

    Writes `predictions.parquet` and `metrics.json` to `out`, if given; what another run or data
    set left there is refused. layout: further arguments of `read_dataset`. Images of unmapped
    diagnoses are counted and left out, and files that cannot be read where a study file says so.
    """
    from moulage.runs.foreign import evaluate_run

    theirs = mapping_of(mapping, "mapping", '{"NV": "nv"}')
    return evaluate_run(
        open_run(path_of(run, "run")),
        path_of(dataset, "dataset"),
        layout,
        theirs=theirs,
        out=None if out is None else Path(out),
        progress=progress,
    )


def read_dataset(dataset: StrPath, **layout: Any) -> "Catalogue":
    """Read a data set into a checked catalogue.

    dataset: its path, or a study file that describes it in `[dataset]`. layout: arguments of
    `moulage.data.dataset.read_dataset`, which go before what the file says.
    """
    from moulage.runs.material import open_described

    return open_described(path_of(dataset, "dataset"), layout).catalogue


def make_split(
    dataset: StrPath,
    *,
    ratios: "Mapping[Part, float] | None" = None,
    seed: int = 0,
    merge: str = "auto",
    out: StrPath | None = None,
    **layout: Any,
) -> "Split":
    """Split a data set so that no lesion is in two parts; write it to `out`, if given.

    merge: a CSV of confirmed pairs that show one lesion under two ids; "auto", those known for
    HAM10000; or "none". What is merged is logged, and which parts lack a diagnosis.
    """
    from moulage.runs.material import open_described, split_dataset
    from moulage.split import write_split

    shares = _RATIOS if ratios is None else mapping_of(ratios, "ratios", str(_RATIOS))
    opened = open_described(path_of(dataset, "dataset"), layout)
    made = split_dataset(opened, ratios=shares, seed=seed, merge=merge)
    if out is not None:
        write_split(made, Path(out))
    return made


def audit(
    dataset: StrPath,
    other: StrPath,
    *,
    out: StrPath | None = None,
    threshold: float | None = None,
    progress: Progress = silently,
) -> "Audit":
    """Look for lesions that two data sets share; write their pairs to the CSV `out`, if given.

    threshold: the least certainty of a pair; left out, the measured one.
    """
    from moulage.runs.audit import compare_datasets
    from moulage.surveying.duplicates import pairs_table
    from moulage.surveying.marks import write_pairs

    found = compare_datasets(
        path_of(dataset, "dataset"),
        path_of(other, "other"),
        threshold=threshold,
        progress=progress,
    )
    if out is not None:
        write_pairs(pairs_table(found.pairs), Path(out))
    return found


def backbones(names: Sequence[str] = ()) -> "tuple[Stocked, ...]":
    """Describe backbones: sizes, scaling, licences, and where each one's weights lie here."""
    from moulage.networks.inventory import inventory

    return inventory(names)


def fetch_weights(
    to: StrPath,
    names: Sequence[str] = (),
    *,
    endpoint: str | None = None,
    progress: Progress = silently,
) -> "tuple[Finding, ...]":
    """Fill a folder with ImageNet weights from the hub, those of the paper without names."""
    from moulage.networks import shelf
    from moulage.networks.registry import BACKBONES, backbone_named

    chosen = [backbone_named(name) for name in names or BACKBONES]
    return shelf.fetch_weights(chosen, to=Path(to), endpoint=endpoint, progress=progress)


def verify_weights(folder: StrPath) -> "tuple[Finding, ...]":
    """Hold each file of a weights folder against its names, shapes and digest."""
    from moulage.networks import shelf

    return shelf.verify_weights(Path(folder))


def demo(
    *, out: StrPath = "runs", fresh: bool = False, progress: Progress = silently
) -> "Demonstration":
    """Train on casts from the starter, from random weights and from ImageNet's if they are here.

    The study file is copied to `out`, so that it can be changed and run on other images.
    """
    from moulage.runs.demonstration import STUDY_FILE, demonstrated, draw_programme

    programme = draw_programme()
    logger.info(programme.note)
    copied = Path(out) / STUDY_FILE.name
    files.write_text(copied, STUDY_FILE.read_text())
    outcome = train(
        STUDY_FILE,
        out=out,
        only=programme.experiments,
        changes=programme.changes,
        fresh=fresh,
        progress=progress,
    )
    page = outcome.folder / COMPARISON_PAGE
    return demonstrated(outcome.finished, page=page, study_file=copied)


def make_casts(
    folder: StrPath,
    *,
    n_images: int = 1000,
    seed: int = 0,
    size: tuple[int, int] = (200, 150),
    hair: float = 0.20,
    dark_corners: float = 0.12,
    rulers: Sequence[tuple[str, float, float]] = (),
    wrong_labels: float = 0.0,
    near_duplicates: int = 0,
) -> "Casts":
    """Draw a folder of synthetic lesion images; shares in [0, 1] say how much is planted.

    rulers: (diagnosis, share of it, share elsewhere). near_duplicates: of each kind.
    """
    from moulage.casts import generator, planting

    plantings: list[planting.Planting] = [
        planting.Hair(share=hair),
        planting.DarkCorners(share=dark_corners),
        planting.WrongLabels(share=wrong_labels),
        *(planting.Ruler(diagnosis=d, share=s, share_elsewhere=e) for d, s, e in rulers),
    ]
    if near_duplicates:
        plantings.append(planting.NearDuplicates(n_each=near_duplicates))
    return generator.make_casts(
        Path(folder), n_images=n_images, seed=seed, size=size, plantings=plantings
    )


def survey(
    dataset: StrPath,
    *,
    out: StrPath | None = None,
    split: StrPath | None = None,
    merge: str = "auto",
    seed: int = 0,
    progress: Progress = silently,
    **layout: Any,
) -> "tuple[Survey, tuple[Line, ...]]":
    """Say what a data set is and what may leak or be wrong in it; return this and the verdict.

    out: a folder for `survey.html`, `near_duplicates.csv` and `suspect_labels.csv`. split: a file
    to hold against the groups. merge: lesion ids that are tied already, as for `make_split`.
    seed: of the samples shown. layout: further arguments of `read_dataset`.
    """
    from moulage.pages.survey import survey_page
    from moulage.runs.survey import survey_dataset
    from moulage.surveying.duplicates import pairs_table
    from moulage.surveying.labels import suspects_table
    from moulage.surveying.marks import write_pairs
    from moulage.surveying.verdict import verdict_of

    found = survey_dataset(
        path_of(dataset, "dataset"),
        layout,
        split=Path(split) if split else None,
        merge=merge,
        seed=seed,
        progress=progress,
    )
    verdict = verdict_of(found)
    if out is not None:
        write_pairs(pairs_table(found.pairs), Path(out) / NEAR_DUPLICATES)
        suspects = suspects_table(found.review, found.catalogue.image_ids.tolist())
        table = suspects.to_csv(index=False, lineterminator="\n")
        files.write_text(Path(out) / SUSPECT_LABELS, table)
        files.write_text(Path(out) / SURVEY_PAGE, survey_page(found, verdict))
    return found, verdict


def list_cache() -> "tuple[Path, tuple[Holding, ...]]":
    """Return the cache's folder and what it holds, by kind and data set."""
    from moulage.runs.holdings import list_holdings

    return files.cache_folder(), list_holdings()


def prune_cache(
    *, older_than_s: float | None = None, keep_bytes: float | None = None
) -> tuple[list[store.Entry], list[store.Entry]]:
    """Delete what was long unused or is too much; returns (deleted, still in use)."""
    return store.prune(
        older_than_s=older_than_s, keep_bytes=None if keep_bytes is None else int(keep_bytes)
    )


def examine() -> "Checkup":
    """Say what this machine has, what a run on it would do, and what is missing for what."""
    from moulage.runs import checkup

    return checkup.examine()


def extract_features(
    source: StrPath,
    dataset: StrPath,
    *,
    out: StrPath | None = None,
    weights: str | None = None,
    size: int | None = None,
    at: str = "head",
    progress: Progress = silently,
    **layout: Any,
) -> "Features":
    """Return pooled activations with their ids, of a finished run or of a backbone.

    out: a .npy or .parquet to write. weights, size: of a backbone. at: the boundary. layout:
    further arguments of `read_dataset`.
    """
    from moulage.runs import features
    from moulage.runs.material import open_described

    if out is not None:
        files.check_ending(Path(out), features.FORMATS)
    place = path_of(dataset, "dataset")
    catalogue = open_described(place, layout, absent="note").catalogue
    classifier = features.open_source(str(source), catalogue, weights=weights, size_px=size)
    found = features.compute_features(classifier, catalogue, boundary=at, progress=progress)
    if out is not None:
        features.write_features(found, Path(out))
    return found


def range_test(
    source: StrPath,
    *,
    experiment: str | None = None,
    phase: str | None = None,
    data: StrPath | None = None,
    highest: float = 1.0,
    n_steps: int = 100,
    out: StrPath | None = None,
    progress: Progress = silently,
) -> "RangeTest":
    """Train one phase of a run or a study file while its learning rate climbs; keep nothing.

    out: an .svg or .png for the curve; its numbers go to a .csv beside it.
    """
    from moulage.pages.figures.rates import FORMATS, draw_rates
    from moulage.runs.rates import cell_of, climb_rates

    if out is not None:
        files.check_ending(Path(out), FORMATS)
    cell = cell_of(Path(source), experiment=experiment, data=Path(data) if data else None)
    found = climb_rates(cell, phase=phase, highest=highest, n_steps=n_steps, progress=progress)
    if out is not None:
        picture = draw_rates(
            rates=found.rates,
            losses=found.losses,
            smoothed=found.smoothed,
            suggested=found.suggested,
            title=f"{cell.name}, phase {found.phase}",
            file_format=Path(out).suffix[1:].lower(),
        )
        files.write_table_beside(Path(out), found.as_csv())
        files.write_bytes(Path(out), picture)
    return found


def explain(
    run: StrPath,
    images: Sequence[StrPath] | StrPath = (),
    *,
    part: "Part" = "test",
    sample: int = 50,
    diagnosis: str | None = None,
    covariates: StrPath | None = None,
    out: StrPath | None = None,
    progress: Progress = silently,
    **manner: Any,
) -> "Casebook":
    """Explain a finished run on image files, or on a sample of a part of its own images.

    Writes `explanations.html`, `explanations.json` and a sheet of pictures an image to `out`,
    by default the run's folder. part, sample: where no files are named. diagnosis: a code, or
    each image's most probable one. covariates: of named files, as `predict` takes them. manner:
    fields of `explanation.examination.Manner`.
    """
    from moulage.explanation.examination import Manner
    from moulage.runs.explaining import Chosen, explain_run

    known = [name for name in Manner.__dataclass_fields__ if name != "diagnosis"]
    known_keywords(manner, known, "explain")
    paths = paths_of(images, "images")
    whole_number(sample, "--sample", least=1)
    folder, asked = open_run(path_of(run, "run")), Manner(**manner)
    casebook = explain_run(
        folder,
        paths or Chosen(part=part, sample=sample, seed=asked.seed),
        manner=asked,
        diagnosis=diagnosis,
        covariates=None if covariates is None else Path(covariates),
        progress=progress,
    )
    to = Path(out) if out is not None else folder.path
    _write_explanations(folder, casebook, to)
    _link(folder, to)
    return casebook


def _write_explanations(run: RunFolder, casebook: "Casebook", folder: Path) -> None:
    from moulage.dossier import inner_notes
    from moulage.pages.explanations import draw_sheet, explanations_page
    from moulage.pages.figures.overlays import as_png

    files.write_json(folder / f"{EXPLANATIONS}.json", casebook.as_dict())
    page = explanations_page(casebook, first=inner_notes(run))
    files.write_text(folder / EXPLANATIONS_PAGE, page)
    for case in casebook.cases:
        name = files.file_name(case.image_id)  # an id may look like a path
        files.write_bytes(folder / EXPLANATIONS / f"{name}.png", as_png(draw_sheet(case)))


def units(
    run: StrPath, *, out: StrPath | None = None, progress: Progress = silently
) -> "HiddenLayer":
    """Characterise the last hidden layer of a finished run's head on its own data.

    Writes `units.html`, `units.json` and a picture a map to `out`, by default the run's folder.
    """
    from moulage.dossier import inner_notes
    from moulage.pages.units import N_BEST, draw_maps, units_page
    from moulage.runs.anatomy import dissect

    folder = open_run(path_of(run, "run"))
    anatomy = dissect(folder, progress=progress)
    layer = anatomy.layer
    maps = draw_maps(layer, [one.colour for one in anatomy.catalogue.diagnoses])
    pictures = anatomy.pictures(layer.shown(N_BEST))
    page = units_page(layer, maps, pictures, first=inner_notes(folder))
    to = Path(out) if out is not None else folder.path
    for name, picture in maps.files.items():
        files.write_bytes(to / f"{UNITS}-{name}.png", picture)
    files.write_json(to / f"{UNITS}.json", layer.as_dict())
    files.write_text(to / UNITS_PAGE, page)
    _link(folder, to)
    return layer
