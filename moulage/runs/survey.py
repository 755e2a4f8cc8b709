"""A data set surveyed: what every look at it needs is gathered here, and handed down as arrays.

In:  a data set's path and layout, perhaps a split file.   Out: `survey.record.Survey`.
Knows nothing of pages.
Why: pixels and activations come from the caches that training fills, so a survey of a known data
set costs little more than reading it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.data.images import decode
from moulage.data.pixels import build_pixels
from moulage.data.sources import Sources
from moulage.data.thumbnails import read_thumbnails
from moulage.runs.description import columns_of, describe, find_telltales, look, see
from moulage.runs.material import open_described
from moulage.runs.progress import Progress, named
from moulage.runs.review import review_catalogue
from moulage.split import Split
from moulage.splits.fromfile import split_from_file
from moulage.splits.merging import AUTO, Merger, find_merger
from moulage.surveying import faults, groups, telltales
from moulage.surveying.duplicates import SIDE, Gallery, Pair, find_near_duplicates
from moulage.surveying.labels import Review
from moulage.surveying.record import MOST_FAULTS, MOST_PAIRS, MOST_SUSPECTS, Survey

THUMBNAIL = (125, 100)
"""Width and height in pixels of every picture on the page, as in the study's figure 1."""


def survey_dataset(
    path: Path,
    layout: Mapping[str, Any] | None = None,
    *,
    split: Path | None = None,
    merge: str = AUTO,
    seed: int = 0,
    progress: Progress,
) -> Survey:
    """Look into everything. seed: of the samples shown; nothing else is drawn by it.

    layout: as for `open_described`. merge: which lesion ids are tied already, as for
    `splits.merging.find_merger`.

    Raises DataError where the data set cannot be read at all.
    """
    dataset = open_described(path, layout)
    catalogue = dataset.catalogue
    merger = find_merger(merge, catalogue=catalogue, kind=dataset.kind)
    held = groups.audit_split(_read_split(split, catalogue, merger)) if split else None
    found = look(catalogue, progress)
    review, not_reviewed = review_catalogue(found.read, found.pixels, progress=progress)
    survey = Survey(
        catalogue=catalogue,
        kind=dataset.kind,
        notes=dataset.notes,
        described=describe(found),
        seen=see(found, seed=seed),
        leakage=groups.image_split_leakage(catalogue),
        split=held,
        pairs=_pairs(catalogue, merger, progress),
        telltales=find_telltales(found),
        pure_levels=telltales.find_pure_levels(
            columns_of(catalogue),
            labels=catalogue.labels,
            lesion_ids=catalogue.lesion_ids,
            diagnoses=catalogue.codes,
        ),
        review=_in_rows(review, found.pixels.rows),
        not_reviewed=not_reviewed,
        faults=faults.find_faults(
            files=found.files,
            looks=found.looks,
            looked_at=found.pixels.rows,
            unreadable={fault.row: fault.cause for fault in found.pixels.skipped},
            image_ids=catalogue.image_ids,
        ),
    )
    return replace(survey, thumbnails=read_thumbnails(catalogue, _shown(survey), decode=_small))


def _read_split(path: Path, catalogue: Catalogue, merger: Merger) -> Split:
    """Read a split in which tied lesions may bear one id, and call them one."""
    return split_from_file(path, catalogue=merger.renamed(catalogue), names=merger.names)


def _in_rows(review: Review | None, rows: NDArray[np.int64]) -> Review | None:
    """Number the images of suspects as the whole catalogue does."""
    if review is None:
        return None
    suspects = tuple(
        replace(suspect, rows=tuple(int(rows[row]) for row in suspect.rows))
        for suspect in review.suspects
    )
    return replace(review, suspects=suspects)


def _pairs(catalogue: Catalogue, merger: Merger, progress: Progress) -> tuple[Pair, ...]:
    """Look for near-duplicates, numbered as the whole catalogue is; those tied already last."""
    if len(np.unique(catalogue.lesion_ids)) < 2:
        return ()
    small = build_pixels(
        catalogue,
        size_px=SIDE,
        resize="squash",
        unreadable="skip",
        progress=named("decoding thumbnails", progress),
    )
    paths = catalogue.frame["path"].tolist()
    with Sources(catalogue.root) as sources:
        gallery = Gallery(
            thumbnails=small.array,
            image_ids=small.image_ids,
            lesion_ids=catalogue.lesion_ids[small.rows],
            read=lambda row: sources.read(paths[small.rows[row]]),
        )
        found = find_near_duplicates(gallery, progress=named("comparing images", progress))
    rows = small.rows.tolist()
    numbered = (
        replace(
            pair,
            row=rows[pair.row],
            other_row=rows[pair.other_row],
            tied_by=merger.source if merger.ties(pair.lesion_id, pair.other_lesion_id) else "",
        )
        for pair in found
    )
    return tuple(sorted(numbered, key=lambda pair: bool(pair.tied_by)))


def _shown(survey: Survey) -> list[int]:
    suspects = survey.review.suspects[:MOST_SUSPECTS] if survey.review else ()
    shown = [
        *(row for rows in survey.seen.samples.values() for row in rows),
        *(outlier.row for outlier in survey.seen.outliers),
        *(suspect.rows[0] for suspect in suspects),
        *(fault.row for fault in survey.faults[:MOST_FAULTS]),
        *(row for pair in survey.pairs[:MOST_PAIRS] for row in (pair.row, pair.other_row)),
    ]
    return sorted(set(shown))


def _small(content: bytes) -> NDArray[np.uint8]:
    small = cv2.resize(decode(content), THUMBNAIL, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)
