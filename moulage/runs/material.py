"""What a study's cells share: its images as pixels, and the rows of each part.

In:  a study's configuration.   Out: images read once, and a material for each split.
A data set alone, or one that a study file describes, is opened and split in the same way.
Knows nothing of networks.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moulage.arguments import known_keywords, mapping_of
from moulage.catalogue import Catalogue
from moulage.data.dataset import Dataset, open_dataset, read_dataset
from moulage.data.decoding import Unreadable
from moulage.data.pixels import Pixels, build_pixels
from moulage.errors import DataError, examples
from moulage.evaluation.priors import class_prior
from moulage.runs.atelier import drawn_casts
from moulage.runs.config import StudyConfig
from moulage.runs.holdings import verify_computed
from moulage.runs.progress import Progress, named
from moulage.runs.study import DISHONEST, Cell
from moulage.runs.studyfile import read_described
from moulage.split import Part, Split, positions
from moulage.splits.folds import split_in_folds
from moulage.splits.fromfile import split_from_file
from moulage.splits.grouped import absence_notes, split_by_group
from moulage.splits.leakage import refuse_leak, split_by_image, train_on_test
from moulage.splits.merging import Merger, find_merger, tie

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """What every cell of a study on one split shares: images as pixels, rows by part.

    rows: for each row of the split, its image's row in the pixels and the catalogue. kind: the
    data set's layout.
    """

    catalogue: Catalogue
    pixels: Pixels
    split: Split
    rows: NDArray[np.int64]
    kind: str
    notes: tuple[str, ...]

    def of(self, part: Part) -> NDArray[np.int64]:
        """Return the pixel rows of a part."""
        return self.rows[self.split.rows_of(part)]

    @property
    def counts(self) -> NDArray[np.int64]:
        """The images of each class in the training part, (K,)."""
        labels = self.catalogue.labels[self.of("train")]
        return np.bincount(labels, minlength=len(self.catalogue.codes)).astype(np.int64)

    @property
    def prior(self) -> NDArray[np.float64]:
        """The natural prior (K,) of the training part."""
        return class_prior(self.catalogue.labels[self.of("train")], len(self.catalogue.codes))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """A study's images, read once; `listed` has those too that could not be read."""

    catalogue: Catalogue
    listed: Catalogue
    pixels: Pixels
    kind: str
    notes: tuple[str, ...]


def read_images(study: StudyConfig, progress: Progress) -> Images:
    """Read a study's catalogue and decode its images, or map them from the cache.

    Where a study asks to verify, what the cache has computed from them is read as well.
    """
    opened = open_dataset(study.dataset.path or drawn_casts(), **study.dataset.layout)
    pixels = build_pixels(
        opened.catalogue,
        size_px=study.images.size,
        resize=study.images.resize,
        unreadable=study.images.unreadable,
        verify=study.images.verify,
        progress=named("decoding images", progress),
    )
    if study.images.verify:
        verify_computed(pixels.key)
    return _keep_readable(opened, pixels)


def open_described(
    path: Path,
    layout: Mapping[str, Any] | None = None,
    *,
    absent: Literal["refuse", "note"] = "refuse",
) -> Dataset:
    """Open a data set at a path, or the one that a study file describes in `[dataset]`.

    layout: further arguments of `read_dataset`, which go before what the file says; a mapping, so
    that a caller's word never meets ours. absent: as for `open_dataset`.
    """
    given = layout or {}
    known_keywords(given, tuple(signature(read_dataset).parameters)[1:], "read_dataset")
    for name in ("columns", "classes"):
        mapping_of(given.get(name), name, '{"mel": "melanoma"}')
    if not _is_study(path):
        return open_dataset(path, absent=absent, **given)
    described = read_described(path).dataset
    said = {name: value for name, value in given.items() if value not in (None, "auto")}
    place = described.path or drawn_casts()
    return open_dataset(place, absent=absent, **{**described.layout, **said})


def unreadable_of(path: Path) -> Literal["refuse", "skip"]:
    """Say what to do with unreadable files of a data set: what its study file says, or refuse."""
    return read_described(path).images.unreadable if _is_study(path) else "refuse"


def left_out_notes(skipped: Sequence[Unreadable]) -> list[str]:
    """Return a sentence on each file that was skipped, and warn of all in one."""
    if skipped:
        names = examples(fault.path for fault in skipped)
        logger.warning("%d files cannot be read and are left out (%s)", len(skipped), names)
    return [f"{fault.path} was left out: {fault.cause}." for fault in skipped]


def prepare(cell: Cell, images: Images) -> Material:
    """Make a cell's split; raises LeakageError for a leak that the study did not ask for."""
    catalogue = images.catalogue
    merger = find_merger(cell.study.split.merge, catalogue=images.listed, kind=images.kind)
    split, n_moved = _split_of(cell, images, merger)
    if cell.split_kind not in DISHONEST:
        refuse_leak(split)
    _refuse_idle(catalogue, split)
    rows = positions(split, catalogue.image_ids)
    absences = absence_notes(split, labels=catalogue.labels[rows], codes=catalogue.codes)
    for note in absences:
        logger.info(note)
    return Material(
        catalogue=merger.renamed(catalogue),
        pixels=images.pixels,
        split=split,
        rows=rows,
        kind=images.kind,
        notes=(*images.notes, *merger.notes(n_moved), *absences),
    )


def split_dataset(
    dataset: Dataset, *, ratios: Mapping[Part, float], seed: int, merge: str
) -> Split:
    """Split a data set by lesion; log what is merged, and which parts lack a diagnosis."""
    catalogue = dataset.catalogue
    merger = find_merger(merge, catalogue=catalogue, kind=dataset.kind)
    dealt = _dealt(catalogue, split_by_group, ratios=ratios, seed=seed)
    split, n_moved = tie(dealt, merger)
    absences = absence_notes(split, labels=catalogue.labels, codes=catalogue.codes)
    for note in (*merger.notes(n_moved), *absences):
        logger.info(note)
    return split


def _is_study(path: Path) -> bool:
    return path.suffix.lower() == ".toml"


def _refuse_idle(catalogue: Catalogue, split: Split) -> None:
    """Refuse what nothing could be learnt from, or no epoch be chosen by."""
    if len(catalogue.codes) < 2:
        raise DataError(
            f"A classifier must have two or more diagnoses to tell apart; got "
            f"{examples(catalogue.codes)} in {catalogue.root}. Add images of another."
        )
    fewest: dict[Part, int] = {"train": 2, "validation": 1}  # BatchNorm cannot train on one image
    for part, least in fewest.items():
        n_images = len(split.rows_of(part))
        if n_images < least:
            raise DataError(
                f"The part {part!r} of a split must hold {least} or more images; got {n_images} "
                f"of {len(split):,}. Give it a greater share, or name more of it in the split file."
            )


def _keep_readable(opened: Dataset, pixels: Pixels) -> Images:
    """Drop the catalogue's rows whose files could not be read, and say so."""
    catalogue = opened.catalogue.take(pixels.rows)
    return Images(
        catalogue=catalogue,
        listed=opened.catalogue,
        pixels=pixels,
        kind=opened.kind,
        notes=(*opened.notes, *left_out_notes(pixels.skipped)),
    )


def _split_of(cell: Cell, images: Images, merger: Merger) -> tuple[Split, int]:
    """Return a cell's split and how many of its images a merge has moved.

    A file's parts are as they are, and so are those of single images. A file may name images
    that cannot be read: whoever wrote it need not have looked into them.
    """
    config, catalogue = cell.study.split, images.catalogue
    if config.kind == "file":
        assert config.file is not None
        renamed = merger.renamed(images.listed)
        listed = split_from_file(config.file, catalogue=renamed, names=merger.names)
        return listed.take(np.isin(listed.image_ids, catalogue.image_ids)), 0
    maker = split_by_image if cell.split_kind == "image" else split_by_group
    if cell.fold is not None:
        maker = partial(_folded, fold=cell.fold, n_folds=config.folds)
    dealt = _dealt(catalogue, maker, ratios=config.ratios, seed=cell.split_seed)
    if cell.split_kind == "leaky":
        honest, n_moved = tie(dealt, merger)
        return train_on_test(honest), n_moved
    return tie(dealt, merger, move=cell.split_kind not in DISHONEST)


def _dealt(
    catalogue: Catalogue, maker: Callable[..., Split], *, ratios: Mapping[Part, float], seed: int
) -> Split:
    """Deal images to parts by the catalogue's own lesion ids."""
    dealt = maker(
        image_ids=catalogue.image_ids,
        lesion_ids=catalogue.lesion_ids,
        labels=catalogue.labels,
        ratios=ratios,
        seed=seed,
    )
    return replace(dealt, unit=catalogue.unit)


def _folded(*, fold: int, ratios: Mapping[Part, float], **dealt: Any) -> Split:
    rest: dict[Part, float] = {part: share for part, share in ratios.items() if part != "test"}
    return split_in_folds(rest=rest, **dealt)[fold]
