"""Run folders: what a run leaves on disk, found and read again.

In:  a folder.   Out: plain values and the waist's records.
Knows nothing of networks or study files; listing runs reads small JSON and TOML files only, and
imports so little that the command line's help need not wait for it.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moulage import files
from moulage.errors import ConfigError, DataError, MoulageError, RunError, examples
from moulage.runs.contents import AGAIN, read_json, read_table, read_toml, torn
from moulage.split import Split, read_split

if TYPE_CHECKING:  # load pandas and Arrow
    import pandas as pd

    from moulage.catalogue import Catalogue
    from moulage.predictions import Predictions

STUDY, METRICS, HISTORY, SPLIT = "study.toml", "metrics.json", "history.csv", "split.csv"
PREDICTIONS, REPORT, CATALOGUE, LEDGER = (
    "predictions.parquet",
    "report.html",
    "catalogue.parquet",
    "ledger.json",
)
TRUST, TRUST_PAGE, TRUST_TEST = "trust.json", "trust.html", "trust-test.json"
FAMILIARITY, UNFAMILIARITY = "familiarity.safetensors", "unfamiliarity.csv"
CARD, CARD_PAGE = "card.md", "card.html"
EXPLANATIONS_PAGE, UNITS_PAGE = "explanations.html", "units.html"
PAGES = {
    TRUST_PAGE: "how far it can be trusted",
    CARD_PAGE: "its model card",
    EXPLANATIONS_PAGE: "explained images",
    UNITS_PAGE: "what its hidden units tell",
}
"""Pages that later commands write beside the report, and what stands there."""
LAYOUT = "study.json"
_FREE = ("dataset.path", "name", "dataset.name", "split.merge", "split.file")
_RESOLVED = "resolved"
_TABLES = ("name", "dataset", "images", "split", "experiment", _RESOLVED)
_ANEW = "Delete this file: the same `moulage train` command writes it anew."
N_MEASURED = 2000
"""Of so many test images, at most, a run notes how unfamiliar they are."""
_MEANT = {
    "dataset.digest": " (the table of images, or their diagnoses)",
    "images.digest": " (their pixels)",
    "split.digest": " (which image is in which part)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """One run on disk."""

    path: Path

    @property
    def is_finished(self) -> bool:
        """Say whether the run's numbers are all there; they are written last."""
        return (self.path / METRICS).is_file()

    def study(self) -> dict[str, Any]:
        """Return the resolved study file; this and all below raise RunError where it is torn."""
        content = read_toml(self.path / STUDY, keys=_TABLES)
        _ = content[_RESOLVED]["versions"]  # the last table: what breaks off before it is torn
        return content

    def metrics(self) -> dict[str, Any]:
        """Return `metrics.json`."""
        return read_json(self.path / METRICS, keys=("parts", "phases", "run"))

    def split(self) -> Split:
        """Return the run's split; it must be the one that `study.toml` states."""
        path = self.path / SPLIT
        try:
            found = read_split(path)
        except DataError as error:
            raise torn(path, _told(error, path, "no split"), self._cure) from error
        self._refuse_other(path, found.digest, self.study()["split"].get("digest"))
        return found

    def catalogue(self) -> "Catalogue":
        """Return the run's catalogue; it must be the one that `study.toml` states."""
        from moulage.catalogue import read_catalogue

        path = self.path / CATALOGUE
        try:
            found = read_catalogue(path)
        except (OSError, ValueError, KeyError, TypeError) as error:  # Arrow's own are ValueErrors
            raise torn(path, _told(error, path, "no catalogue"), self._cure) from error
        self._refuse_other(path, found.digest, self.study()["dataset"].get("digest"))
        return found

    def predictions(self, phase: str | None = None) -> "Predictions":
        """Return what the kept weights predict, or the best ones at a phase's end."""
        from moulage.predictions import read_predictions

        path = self.path / PREDICTIONS if phase is None else self.predictions_of(phase)
        try:
            return read_predictions(path)
        except (OSError, ValueError) as error:
            raise torn(path, _told(error, path, "no predictions")) from error

    def history(self) -> "pd.DataFrame":
        """Return a row an epoch, as many as `metrics.json` counts."""
        path = self.path / HISTORY
        found = read_table(path, columns=("phase", "epoch"), texts=("phase",))
        n_epochs = sum(phase["epochs"] for phase in self.metrics()["phases"])
        if len(found) != n_epochs:
            raise torn(path, f"{len(found)} of the {n_epochs} epochs in `{METRICS}`")
        return found

    def unfamiliarity(self, n_test: int) -> dict[str, float]:
        """Return image_id → unfamiliarity of the test images measured; old runs have none.

        n_test: how many images the test part has.
        """
        path = self.path / UNFAMILIARITY
        if not path.is_file():
            return {}
        found = read_table(path, columns=("image_id", "unfamiliarity"), texts=("image_id",))
        n_measured = min(n_test, N_MEASURED)
        if len(found) != n_measured:
            raise torn(path, f"{len(found)} of {n_measured} test images")
        return dict(zip(found["image_id"], found["unfamiliarity"].astype(float), strict=True))

    def pages(self) -> dict[str, str]:
        """Return the pages beside the report that are there: file -> what stands in it."""
        return {name: said for name, said in PAGES.items() if (self.path / name).is_file()}

    def predictions_of(self, phase: str) -> Path:
        """Return where the predictions at a phase's end lie."""
        return self.path / f"predictions-{phase}.parquet"

    @property
    def _cure(self) -> str:
        """Say what mends the split or the catalogue: before the end both are written anew."""
        return AGAIN if self.is_finished else _ANEW

    def _refuse_other(self, path: Path, found: str, stated: str | None) -> None:
        if stated is not None and found != stated:  # runs of before state none
            raise RunError(
                f"`{path}` must have the digest {stated}, as `{STUDY}` says; got {found}. "
                f"{self._cure}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a study's folder remembers of the study file that its runs came from.

    experiments: names in the file's order, ensembles last. not_run: (experiment, reason).
    """

    description: str = ""
    experiments: tuple[str, ...] = ()
    not_run: tuple[tuple[str, str], ...] = ()


def keep_layout(layout: Layout, folder: Path) -> None:
    """Write the layout of a study into its folder."""
    files.write_json(folder / LAYOUT, asdict(layout))


def read_layout(folder: Path) -> Layout:
    """Return the layout kept in a study's folder; an empty one where there is none."""
    if not (folder / LAYOUT).is_file():
        return Layout()
    cure = "Delete it: the next `moulage train` of this study writes it anew."
    kept = read_json(folder / LAYOUT, cure=cure)
    return Layout(
        description=kept["description"],
        experiments=tuple(kept["experiments"]),
        not_run=tuple((name, reason) for name, reason in kept["not_run"]),
    )


def find_runs(root: Path) -> list[RunFolder]:
    """Return the runs below a folder, studies in order of name; a run folder finds itself."""
    if (root / STUDY).is_file():
        return [RunFolder(path=root)]
    return [RunFolder(path=path.parent) for path in sorted(root.glob(f"**/{STUDY}"))]


def open_run(path: Path) -> RunFolder:
    """Return a finished run; raises ConfigError where there is none."""
    folder = RunFolder(path=path)
    if folder.is_finished and (path / STUDY).is_file():  # tables of other commands have no recipe
        return folder
    near = [str(run.path) for run in find_runs(path.parent) if run.is_finished]
    state = "an unfinished one" if (path / STUDY).is_file() else "none"
    raise ConfigError(
        f"`RUN` must be the folder of a finished run; got {state} at {path}. "
        + (f"Finished runs here: {examples(near)}." if near else "`moulage runs` lists runs.")
    )


def open_study(path: Path) -> list[RunFolder]:
    """Return the finished runs of a study's folder; raises ConfigError for any other folder."""
    finished = [run for run in find_runs(path) if run.is_finished]
    studies = sorted({str(run.path.parent) for run in finished})
    if studies == [str(path)]:
        return finished
    state, cure = "none in", "`moulage runs` lists runs."
    if (path / STUDY).is_file():
        state, cure = "the run", f"Name the folder above it, {path.parent}."
    elif studies:
        state, cure = f"{len(studies)} studies below", f"Name one: {examples(studies)}."
    raise ConfigError(
        f"`STUDY` must be a study's folder with a finished run; got {state} {path}. {cure}"
    )


def pooled_below(study: Path) -> tuple[str, ...]:
    """Return the folders of a study that hold cross-validations pooled out of fold, by name."""
    return tuple(sorted(path.parent.name for path in study.glob(f"*-pooled/{METRICS}")))


def drop_pages(path: Path, *pages: str) -> None:
    """Delete pages that no longer hold, and what stands beside them; the report links them."""
    beside = {TRUST_PAGE: (TRUST_TEST,), CARD_PAGE: (CARD,)}
    for name in (REPORT, *pages, *(file for page in pages for file in beside.get(page, ()))):
        (path / name).unlink(missing_ok=True)


def claim(
    path: Path,
    resolved: dict[str, Any],
    *,
    fresh: bool,
    present: dict[str, str],
    before: Callable[[], None] = lambda: None,
) -> dict[str, Any] | None:
    """Clear a folder for a run, and return what stands there as `read_begun` does.

    fresh: what cannot go on under these libraries, or is of another recipe, is deleted. before:
    called ahead of that; what it raises keeps the folder as it is.
    """
    if fresh and path.exists() and not _may_go_on(path, resolved, present):
        before()
        shutil.rmtree(path)
    for left in (*path.glob(".*.part"), *path.glob(".tmp*")):  # what a killed run was writing
        left.unlink(missing_ok=True)
    return read_begun(path, resolved)


def _may_go_on(path: Path, resolved: dict[str, Any], present: dict[str, str]) -> bool:
    try:
        kept = read_begun(path, resolved)
        if kept is not None and not RunFolder(path=path).is_finished:
            refuse_other_versions(path, begun=kept, present=present)
    except (ConfigError, RunError):
        return False
    return True


def read_begun(path: Path, resolved: dict[str, Any]) -> dict[str, Any] | None:
    """Return the machine of a run that may go on here, or None where nothing stands yet.

    Raises ConfigError, naming the keys, where the folder belongs to another recipe.
    """
    if not (path / STUDY).is_file():
        return None
    kept = RunFolder(path=path).study()
    machine = kept.pop(_RESOLVED)
    changed = [
        f"{key}{_MEANT.get(key, '')}" for key in differing_keys(kept, resolved) if not _is_free(key)
    ]
    if changed:
        raise ConfigError(
            f"A run must go on with the recipe it began with; got other values of "
            f"{examples(changed, 5)} in {path}. Give the experiment another name, or start over "
            "with `--fresh`."
        )
    return dict(machine)


def refuse_other_versions(path: Path, *, begun: dict[str, Any], present: dict[str, str]) -> None:
    """Raise RunError where an unfinished run began under other libraries, or from other weights.

    begun: as `read_begun` returns it. present: versions by name, and the digest of `weights`.
    """
    kept = {**begun["versions"], "weights": begun["weights"]}
    changed = [
        f"{name} {kept[name]} (here {present.get(name, 'none')})"
        for name in kept
        if kept[name] != present.get(name)
    ]
    if changed:
        raise RunError(
            f"A run must end under the versions it began with, or its bits differ; got "
            f"{examples(changed)} in {path}. Put those back, or start over with `--fresh`."
        )


def differing_keys(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Return the dotted keys at which two nested values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            key
            for name in sorted({*old, *new})
            for key in differing_keys(old.get(name), new.get(name), f"{prefix}.{name}".lstrip("."))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            key
            for index, (a, b) in enumerate(zip(old, new, strict=True))
            for key in differing_keys(a, b, f"{prefix}.{index}")
        ]
    return [] if old == new else [prefix]


def _told(error: Exception, path: Path, what: str) -> str:
    """Say what was met, without the cure that a reader gives for a file of the user's own."""
    if not path.is_file():
        return "no such file"
    cause = error.__cause__ or error
    return what if isinstance(cause, MoulageError) else f"{what} ({cause})"


def _is_free(key: str) -> bool:
    """Say whether a key may change: where things lie, names, what comes after the training.

    What a merge or a file does to a split is seen in the split's digest.
    """
    is_later = key == "decisions" or key.startswith(("machine.", "decisions."))
    return is_later or key in _FREE
