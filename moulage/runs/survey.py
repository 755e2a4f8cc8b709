"""A data set surveyed: what every look at it needs is gathered here, and handed down as arrays.

In:  a data set's path and layout, perhaps a split file.   Out: `survey.record.Survey`.
Knows nothing of pages.
Why: pixels and activations come from the caches that training fills, so a survey of a known data
set costs little more than reading it.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.data.dataset import Dataset, open_dataset
from moulage.data.images import decode
from moulage.data.pixels import Pixels, build_pixels
from moulage.data.sources import Sources
from moulage.errors import ImageError
from moulage.networks.activations import activations_at
from moulage.networks.machine import resolve_machine
from moulage.networks.registry import backbone_named
from moulage.networks.weights import local_weights
from moulage.runs.features import open_source
from moulage.runs.material import Progress
from moulage.seeding import generator
from moulage.split import Split
from moulage.splits.fromfile import split_from_file
from moulage.splits.merging import find_merger
from moulage.survey import appearance, associations, exploration, faults, groups, labels, telltales
from moulage.survey.associations import Crosstab, Spread
from moulage.survey.duplicates import SIDE, Gallery, Pair, find_near_duplicates
from moulage.survey.files import examine_files
from moulage.survey.record import Survey
from moulage.survey.telltales import Column, Kind

SIZE_PX = 128
THUMBNAIL = (125, 100)
"""Width and height in pixels of every picture on the page, as in the study's figure 1."""
N_SAMPLES = 5
MOST_SUSPECTS, MOST_FAULTS, MOST_PAIRS = 20, 12, 20
_WORDS = ("sex", "localization", "dx_type")
_JUDGE = "mobilenetv2_100"
_METADATA: Kind = "metadata"
_FILE: Kind = "file"
_BORDER: Kind = "border"


def survey_dataset(
    path: Path,
    *,
    split: Path | None = None,
    seed: int = 0,
    progress: Progress,
    **layout: Any,
) -> Survey:
    """Look into everything. seed: of the samples shown; nothing else is drawn by it.

    Raises DataError where the data set cannot be read at all.
    """
    dataset = open_dataset(path, **layout)
    catalogue = dataset.catalogue
    audit = groups.audit_split(_read_split(split, dataset)) if split else None
    files = examine_files(
        catalogue.frame["path"].tolist(),
        root=catalogue.root,
        progress=_named("reading files", progress),
    )
    pixels = build_pixels(
        catalogue,
        size_px=SIZE_PX,
        resize="squash",
        unreadable="skip",
        progress=_named("decoding images", progress),
    )
    read = catalogue.take(pixels.rows)
    looks = appearance.measure_pixels(pixels.array, progress=_named("measuring", progress))
    review, not_reviewed = _review(read, pixels, progress)
    crosstabs, age_spread = _associations(catalogue)
    found = Survey(
        catalogue=catalogue,
        kind=dataset.kind,
        notes=dataset.notes,
        n_read=len(read),
        balance=exploration.balance_of(catalogue),
        ages=exploration.ages_of(catalogue.frame),
        distributions={
            name: exploration.distribution_of(catalogue.frame, name)
            for name in _WORDS
            if catalogue.frame[name].notna().any()
        },
        summaries=exploration.summarise(_numbers(catalogue, files, looks)),
        crosstabs=crosstabs,
        age_spread=age_spread,
        looks=_looks(read, looks, files.iloc[pixels.rows]),
        colours=_colours(read, looks),
        outliers=tuple(
            replace(outlier, row=int(pixels.rows[outlier.row]))
            for outlier in appearance.find_outliers(looks)
        ),
        leakage=groups.image_split_leakage(catalogue),
        split=audit,
        pairs=_pairs(catalogue, progress),
        telltales=_telltales(read, files.iloc[pixels.rows], looks),
        pure_levels=telltales.find_pure_levels(
            _words(catalogue),
            labels=catalogue.labels,
            lesion_ids=catalogue.lesion_ids,
            diagnoses=catalogue.codes,
        ),
        review=review,
        not_reviewed=not_reviewed,
        faults=faults.find_faults(
            files=files,
            looks=looks,
            looked_at=pixels.rows,
            unreadable={fault.row: fault.cause for fault in pixels.skipped},
            image_ids=catalogue.image_ids,
        ),
        samples=_samples(read, pixels.rows, seed=seed),
    )
    return replace(found, thumbnails=_thumbnails(catalogue, _shown(found)))


def _read_split(path: Path, dataset: Dataset) -> Split:
    """Read a split in which pairs known to show one lesion may be tied, and call them one."""
    merger = find_merger("auto", catalogue=dataset.catalogue, kind=dataset.kind)
    renamed = merger.renamed(dataset.catalogue)
    return split_from_file(path, catalogue=renamed, names=merger.names)


def _review(
    read: Catalogue, pixels: Pixels, progress: Progress
) -> tuple[labels.Review | None, str]:
    """Judge labels by activations, or say why that cannot be done."""
    sizes = np.bincount(
        read.labels[associations.first_of_each(read.lesion_ids)], minlength=len(read.codes)
    )
    if (sizes >= labels.FEWEST).sum() < 2:
        return None, f"fewer than two diagnoses have {labels.FEWEST} lesions"
    has_imagenet = local_weights(backbone_named(_JUDGE)) is not None
    classifier = open_source(
        _JUDGE if has_imagenet else "starter", read, weights=None, size_px=SIZE_PX
    )
    machine = resolve_machine()
    activations = activations_at(
        classifier.to(machine.device),
        classifier.boundary("head"),
        pixels=pixels.array,
        pixels_key=pixels.key,
        machine=machine,
        progress=_named("activations", progress),
    )
    found = labels.out_of_fold(
        activations.pooled(),
        labels=read.labels,
        folds=telltales.grouped_folds(lesion_ids=read.lesion_ids, labels=read.labels),
        n_classes=len(read.codes),
        progress=_named("judging labels", progress),
    )
    review = labels.review_labels(
        found,
        labels=read.labels,
        lesion_ids=read.lesion_ids,
        diagnoses=read.codes,
        judge="MobileNetV2 with ImageNet weights" if has_imagenet else "the starter backbone",
    )
    return _in_rows(review, pixels.rows), ""


def _in_rows(review: labels.Review, rows: NDArray[np.int64]) -> labels.Review:
    """Number the images of suspects as the whole catalogue does."""
    suspects = tuple(
        replace(suspect, rows=tuple(int(rows[row]) for row in suspect.rows))
        for suspect in review.suspects
    )
    return replace(review, suspects=suspects)


def _pairs(catalogue: Catalogue, progress: Progress) -> tuple[Pair, ...]:
    """Look for near-duplicates, and number them as the whole catalogue does."""
    small = build_pixels(
        catalogue,
        size_px=SIDE,
        resize="squash",
        unreadable="skip",
        progress=_named("decoding thumbnails", progress),
    )
    paths = catalogue.frame["path"].tolist()
    with Sources(catalogue.root) as sources:
        gallery = Gallery(
            thumbnails=small.array,
            image_ids=small.image_ids,
            lesion_ids=catalogue.lesion_ids[small.rows],
            read=lambda row: sources.read(paths[small.rows[row]]),
        )
        found = find_near_duplicates(gallery, progress=_named("comparing images", progress))
    rows = small.rows.tolist()
    return tuple(
        replace(pair, row=rows[pair.row], other_row=rows[pair.other_row]) for pair in found
    )


def _associations(catalogue: Catalogue) -> tuple[tuple[Crosstab, ...], Spread | None]:
    """Hold columns against each other, all tests of a survey as one family."""
    words = {name: exploration.words_of(catalogue.frame[name]) for name in (*_WORDS, "diagnosis")}
    shown = {name for name in _WORDS if catalogue.frame[name].notna().any()} | {"diagnosis"}
    wanted = (("localization", "sex"), ("localization", "diagnosis"), ("diagnosis", "sex"))
    tabs = [
        associations.crosstab(
            row,
            column,
            row_words=words[row],
            column_words=words[column],
            lesion_ids=catalogue.lesion_ids,
            row_order=catalogue.codes if row == "diagnosis" else None,
            column_order=catalogue.codes if column == "diagnosis" else None,
            rng=generator("survey", row, column),
        )
        for row, column in wanted
        if {row, column} <= shown
    ]
    ages = catalogue.frame["age"].to_numpy(dtype=np.float64, na_value=np.nan)
    spread = associations.spread(
        "age",
        values=ages,
        words=words["diagnosis"],
        order=catalogue.codes,
        lesion_ids=catalogue.lesion_ids,
    )
    assert spread.test is not None, "lesion ids were given"
    *tests, of_ages = associations.corrected([*(tab.test for tab in tabs), spread.test])
    judged = tuple(replace(tab, test=test) for tab, test in zip(tabs, tests, strict=True))
    return judged, None if np.isnan(ages).all() else replace(spread, test=of_ages)


def _looks(read: Catalogue, looks: pd.DataFrame, files: pd.DataFrame) -> tuple[Spread, ...]:
    words = exploration.words_of(read.frame["diagnosis"])
    width, height = (files[name].to_numpy(dtype=np.float64) for name in ("width", "height"))
    measures = {
        **{said: looks[name].to_numpy(dtype=np.float64) for name, said in _measures()},
        "size (megapixels)": width * height / 1e6,
        "aspect (width / height)": width / np.where(height > 0, height, np.nan),
    }
    return tuple(
        associations.spread(name, values=values, words=words, order=read.codes)
        for name, values in measures.items()
    )


def _measures() -> Iterable[tuple[str, str]]:
    return appearance.MEASURES.items()


def _colours(read: Catalogue, looks: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    means = looks[list(appearance.COLOURS)].groupby(read.frame["diagnosis"].to_numpy()).mean()
    return {
        code: (float(means["red"][code]), float(means["green"][code]), float(means["blue"][code]))
        for code in read.codes
        if code in means.index
    }


def _numbers(
    catalogue: Catalogue, files: pd.DataFrame, looks: pd.DataFrame
) -> dict[str, NDArray[np.float64]]:
    sizes = catalogue.frame.groupby("lesion_id").size().to_numpy(dtype=np.float64)
    return {
        "age (years)": catalogue.frame["age"].to_numpy(dtype=np.float64, na_value=np.nan),
        "photographs per lesion": sizes,
        "width (pixels)": files["width"].to_numpy(dtype=np.float64),
        "height (pixels)": files["height"].to_numpy(dtype=np.float64),
        "file size (KiB)": files["n_bytes"].to_numpy(dtype=np.float64) / 1024,
        **{said: looks[name].to_numpy(dtype=np.float64) for name, said in _measures()},
    }


def _words(catalogue: Catalogue) -> dict[str, NDArray[np.str_]]:
    return {
        name: exploration.words_of(catalogue.frame[name])
        for name in _WORDS
        if catalogue.frame[name].notna().any()
    }


def _telltales(
    read: Catalogue, files: pd.DataFrame, looks: pd.DataFrame
) -> tuple[telltales.Telltale, ...]:
    """Let metadata, facts about files and borders each predict the diagnosis alone."""
    if len(np.unique(read.labels)) < 2 or len(np.unique(read.lesion_ids)) < 2:
        return ()
    sides = files["width"].astype(str) + " × " + files["height"].astype(str)
    ages = read.frame["age"].to_numpy(dtype=np.float64, na_value=np.nan)
    columns: dict[str, Column] = {**({} if np.isnan(ages).all() else {"age": ages}), **_words(read)}
    marks: dict[str, Column] = {
        "file size": files["n_bytes"].to_numpy(dtype=np.float64),
        "file format": files["format"].to_numpy(dtype=str),
        "JPEG tables": files["tables"].to_numpy(dtype=str),
        "width × height": sides.to_numpy(dtype=str),
    }
    borders: dict[str, Column] = {
        "border colour": _border_words(looks),
        "corner brightness": looks["corners"].to_numpy(dtype=np.float64),
    }
    kinds: dict[str, Kind] = {
        **dict.fromkeys(columns, _METADATA),
        **dict.fromkeys(marks, _FILE),
        **dict.fromkeys(borders, _BORDER),
    }
    return telltales.find_telltales(
        columns | marks | borders,
        kinds=kinds,
        labels=read.labels,
        lesion_ids=read.lesion_ids,
        folds=telltales.grouped_folds(lesion_ids=read.lesion_ids, labels=read.labels),
        diagnoses=read.codes,
    )


def _border_words(looks: pd.DataFrame) -> NDArray[np.str_]:
    """Name the border's colour by which quarter each channel lies in: 64 words at most."""
    quarters = []
    for channel in ("border_red", "border_green", "border_blue"):
        values = looks[channel].to_numpy(dtype=np.float64)
        edges = np.quantile(values, [0.25, 0.5, 0.75])
        quarters.append(np.searchsorted(edges, values, side="right"))
    return np.array([f"{r}{g}{b}" for r, g, b in zip(*quarters, strict=True)])


def _samples(read: Catalogue, rows: NDArray[np.int64], *, seed: int) -> dict[str, tuple[int, ...]]:
    """Draw five images a diagnosis, of different lesions where there are as many."""
    once = associations.first_of_each(read.lesion_ids)
    drawn: dict[str, tuple[int, ...]] = {}
    for label, code in enumerate(read.codes):
        ours = np.flatnonzero(read.labels == label)
        firsts = np.intersect1d(ours, once)
        pool = firsts if len(firsts) >= N_SAMPLES else ours
        rng = generator("samples", seed, code)
        chosen = rng.permutation(len(pool))[:N_SAMPLES]
        drawn[code] = tuple(int(rows[row]) for row in np.sort(pool[chosen]))
    return drawn


def _shown(survey: Survey) -> list[int]:
    suspects = survey.review.suspects[:MOST_SUSPECTS] if survey.review else ()
    shown = [
        *(row for rows in survey.samples.values() for row in rows),
        *(outlier.row for outlier in survey.outliers),
        *(suspect.rows[0] for suspect in suspects),
        *(fault.row for fault in survey.faults[:MOST_FAULTS]),
        *(row for pair in survey.pairs[:MOST_PAIRS] for row in (pair.row, pair.other_row)),
    ]
    return sorted(set(shown))


def _thumbnails(catalogue: Catalogue, rows: Iterable[int]) -> dict[int, NDArray[np.uint8]]:
    """Decode what the page shows; a file that cannot be read has no picture."""
    paths = catalogue.frame["path"].tolist()
    found: dict[int, NDArray[np.uint8]] = {}
    with Sources(catalogue.root) as sources:
        for row in rows:
            try:
                image = decode(sources.read(paths[row]))
            except (OSError, ImageError):
                continue
            small = cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA)
            found[row] = np.asarray(small, dtype=np.uint8)
    return found


def _named(what: str, progress: Progress) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)
