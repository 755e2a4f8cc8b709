"""A finished classifier explained on images: files, or a sample of a part of its own data.

In:  a run folder, image files or a part; how to explain.   Out: a casebook.
Every image goes through the classifier's contract; lesion masks are used where the data has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.covariates import Covariate
from moulage.data.decoding import decode_batches, list_image_files
from moulage.data.masks import find_masks, read_mask
from moulage.data.pixels import build_pixels
from moulage.data.sources import stem_of
from moulage.errors import ConfigError, DataError, examples, nearest
from moulage.explanation.casebook import Casebook, Explained
from moulage.explanation.examination import Manner, examine
from moulage.networks.classifier import InputContract
from moulage.networks.machine import resolve_answering
from moulage.networks.saved import load_classifier
from moulage.networks.witness import Witness, call_witness
from moulage.runs.folder import RunFolder
from moulage.runs.patients import Told, told_of_files, told_of_table
from moulage.runs.progress import Progress, named
from moulage.seeding import generator
from moulage.split import PARTS, Part, Split, positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which images of a part: at most `sample`, as evenly over diagnoses as there are lesions."""

    part: Part = "test"
    sample: int = 50
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """One image to explain: where it lies, and what is known of it."""

    image_id: str
    path: str
    truth: str = ""
    mask: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inquiry:
    """Who is asked, and how."""

    witness: Witness
    manner: Manner


def explain_run(
    run: RunFolder,
    images: Sequence[Path] | Chosen,
    *,
    manner: Manner,
    diagnosis: str | None = None,
    covariates: Path | None = None,
    progress: Progress,
) -> Casebook:
    """Explain image files, or those chosen of the run's own, in a manner.

    diagnosis: a code, or each image's most probable one. covariates: a table, of files alone.
    """
    witness = open_witness(run)
    place = None if diagnosis is None else index_of(diagnosis, witness)
    if covariates is not None and isinstance(images, Chosen):
        raise ConfigError(
            f"`--covariates` must go with images that are named; got {covariates} for the run's "
            "own, whose records it knows. Leave the option out."
        )
    asked = replace(manner, diagnosis=place)
    asked = coloured(asked, run=run, witness=witness, progress=progress)
    inquiry = Inquiry(witness=witness, manner=asked)
    if isinstance(images, Chosen):
        return explain_part(run, images, inquiry=inquiry, progress=progress)
    return explain_files(run, images, inquiry=inquiry, covariates=covariates, progress=progress)


def open_witness(run: RunFolder) -> Witness:
    """Put a run's classifier on this machine, at the run's precision where it has units for it."""
    machine = resolve_answering(run.study()["resolved"]["precision"])
    return call_witness(load_classifier(run.path), machine)


def index_of(diagnosis: str, witness: Witness) -> int:
    """Return a diagnosis' place among the classifier's; ConfigError for one it does not know."""
    codes = witness.saved.classifier.recipe.contract.diagnoses
    if diagnosis in codes:
        return codes.index(diagnosis)
    raise ConfigError(
        f"`--diagnosis` must be one of {', '.join(codes)}; got {diagnosis!r}."
        + (nearest(diagnosis, codes) or " Choose one of them.")
    )


def coloured(manner: Manner, *, run: RunFolder, witness: Witness, progress: Progress) -> Manner:
    """Return the manner with the colour that the fill "dataset" needs: that of the training part.

    Raises DataError where the run's own images no longer lie there.
    """
    if manner.fill != "dataset" or manner.colour is not None:
        return manner
    catalogue, split = own_images(run), run.split()
    contract = witness.saved.classifier.recipe.contract
    pixels = build_pixels(
        catalogue,
        size_px=contract.size_px,
        resize=contract.resize,
        progress=named("decoding images", progress),
    )
    rows = positions(split, catalogue.image_ids)[split.rows_of("train")].tolist()
    means = np.mean([pixels.array[row].mean(axis=(0, 1)) for row in rows], axis=0)
    return replace(manner, colour=tuple(means.tolist()))


def explain_files(
    run: RunFolder,
    paths: Sequence[Path],
    *,
    inquiry: Inquiry,
    covariates: Path | None = None,
    progress: Progress,
) -> Casebook:
    """Explain image files, and all images in folders and zips; truth and lesions are unknown.

    covariates: a table, for a classifier that reads some. An image's copies vary, these stay.
    """
    files = list_image_files(paths)
    told = told_of_files(_covariates(inquiry), files, table=covariates)
    names = _told_apart([stem_of(file) for file in files])
    subjects = [Subject(image_id=name, path=file) for name, file in zip(names, files, strict=True)]
    source = "those that were named"
    return _explain(run, subjects, inquiry, root=None, told=told, source=source, progress=progress)


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return names of which each is there once, since pictures are written under them.

    >>> _told_apart(["a", "b", "a", "a-2"])
    ['a', 'b', 'a-2', 'a-2-2']
    """
    found: dict[str, None] = {}
    for name in names:
        tries = (name, *(f"{name}-{n}" for n in range(2, len(names) + 2)))
        found[next(one for one in tries if one not in found)] = None
    return list(found)


def explain_part(
    run: RunFolder, chosen: Chosen, *, inquiry: Inquiry, progress: Progress
) -> Casebook:
    """Explain a sample of the run's own images."""
    catalogue = own_images(run)
    rows = draw_rows(run, catalogue, chosen)
    masks = find_masks(catalogue.take(rows))
    columns = [catalogue.frame[name].iloc[rows] for name in ("image_id", "path", "diagnosis")]
    subjects = [
        Subject(image_id=image_id, path=path, truth=truth, mask=masks.get(image_id, ""))
        for image_id, path, truth in zip(*columns, strict=True)
    ]
    source = _source(run.split(), chosen)
    told = told_of_table(_covariates(inquiry), catalogue.frame.iloc[rows])
    return _explain(
        run, subjects, inquiry, root=catalogue.root, told=told, source=source, progress=progress
    )


def _source(split: Split, chosen: Chosen) -> str:
    what = (
        f"images of unknown {split.unit}s" if split.is_blind else f"one photograph a {split.unit}"
    )
    return (
        f"drawn from the {chosen.part} part: {what}, as evenly over true diagnoses as the part "
        "allows"
    )


def _covariates(inquiry: Inquiry) -> tuple[Covariate, ...]:
    return inquiry.witness.saved.classifier.recipe.covariates


def own_images(run: RunFolder) -> Catalogue:
    """Return a run's catalogue; raises DataError where its images no longer lie there."""
    catalogue = run.catalogue()
    if not catalogue.root.is_dir():
        raise DataError(
            f"A run's own images must lie where they lay when it was trained; got no folder at "
            f"{catalogue.root}, for {run.path}. Put them back, or a link to where they are now."
        )
    return catalogue


def draw_rows(run: RunFolder, catalogue: Catalogue, chosen: Chosen) -> NDArray[np.int64]:
    """Draw rows of the catalogue, one photograph a lesion, and return them in its order.

    Lesions come in random order, one of each diagnosis in turn.
    """
    split = run.split()
    if not split.has(chosen.part):
        parts = [part for part in PARTS if split.has(part)]
        raise ConfigError(
            f"`--part` must be a part of the run's split ({', '.join(parts)}); got "
            f"{chosen.part!r}. Choose one of them."
        )
    if chosen.sample < 1:
        raise ConfigError(f"`--sample` must be at least 1; got {chosen.sample}. Ask for 50.")
    rows = positions(split, catalogue.image_ids)[split.rows_of(chosen.part)]
    rng = generator("explained", chosen.part, chosen.seed)
    shuffled = rng.permutation(rows)
    _, photographs = np.unique(catalogue.lesion_ids[shuffled], return_index=True)
    lesions = rng.permutation(shuffled[photographs])  # or the ids would order them
    labels = catalogue.labels[lesions]
    turns = np.zeros(len(lesions), dtype=np.int64)  # the how-manieth of its diagnosis
    for label in np.unique(labels):
        turns[labels == label] = np.arange((labels == label).sum())
    return np.sort(lesions[np.argsort(turns, kind="stable")[: chosen.sample]])


def _explain(
    run: RunFolder,
    subjects: Sequence[Subject],
    inquiry: Inquiry,
    *,
    root: Path | None,
    told: Told,
    source: str,
    progress: Progress,
) -> Casebook:
    contract = inquiry.witness.saved.classifier.recipe.contract
    cases: list[Explained] = []
    left_out = list(told.notes)
    paths = [subject.path for subject in subjects]
    for batch in decode_batches(paths, root=root, size_px=contract.size_px, resize=contract.resize):
        left_out += [f"{fault.path} was left out: {fault.cause}." for fault in batch.unreadable]
        for row, pixels in zip(batch.rows.tolist(), batch.pixels, strict=True):
            try:
                lesion = _lesion(subjects[row], root, contract)
            except (DataError, OSError) as error:
                lesion = None
                left_out.append(f"The mask {subjects[row].mask} was left out: {error}")
            witness = inquiry.witness.told(told.of(np.array([row])))
            asked = replace(inquiry, witness=witness)
            cases.append(_examined(subjects[row], pixels, lesion, asked))
            progress("explaining", row + 1, len(subjects))
    if not cases:
        raise DataError(
            f"At least one image must be readable; got {examples(left_out) or 'none'} Name others."
        )
    return Casebook(
        run=run.path.name,
        study=run.path.parent.name,
        diagnoses=contract.diagnoses,
        manner=inquiry.manner,
        source=source,
        cases=tuple(cases),
        left_out=tuple(left_out),
    )


def _lesion(
    subject: Subject, root: Path | None, contract: InputContract
) -> NDArray[np.bool_] | None:
    if root is None or not subject.mask:
        return None
    lesion = read_mask(root, subject.mask, size_px=contract.size_px, resize=contract.resize)
    if not lesion.any():
        raise DataError(
            f"A mask must have a pixel of lesion; got none at {contract.size_px} pixels a side. "
            "Outline the lesion in white."
        )
    return lesion


def _examined(
    subject: Subject,
    pixels: NDArray[np.uint8],
    lesion: NDArray[np.bool_] | None,
    inquiry: Inquiry,
) -> Explained:
    witness = inquiry.witness
    examination = examine(
        witness.classify_with_random_heads,
        pixels,
        n_classes=witness.n_classes,
        manner=inquiry.manner,
        lesion=lesion,
    )
    diagnosis = np.array([examination.explanation.diagnosis])
    return Explained(
        image_id=subject.image_id,
        truth=subject.truth,
        pixels=pixels,
        lesion=lesion,
        examination=examination,
        contributions=witness.contributions(pixels[None], diagnosis)[0],
    )
