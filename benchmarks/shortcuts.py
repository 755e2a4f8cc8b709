"""Is a classifier that looks at a ruler caught, and is one that does not left in peace?

In:  ImageNet's weights of MobileNetV3Small; casts are drawn, ruled and clean ones.
Out: shares of images and of sets.
Ruled: a ruler lies beside the lesion in 80 % of melanomas and 5 % of others, and a network is
fine-tuned on them. First, whether it uses the ruler: the same test images are drawn once more
without one. Then marked test melanomas are counted of which a superpixel with a quarter of the
ruler or more ranks among the two heaviest for melanoma, and whether the finder flags melanoma and
names such superpixels. Clean: sets of test images by explained diagnosis, drawn again and again;
counted are flagged ones. Run as `python -m benchmarks.shortcuts`.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks._folders import apart
from moulage import actions
from moulage.casts.generator import make_casts
from moulage.casts.planting import EVERYDAY, Planting, Ruler, Spot
from moulage.catalogue import read_catalogue
from moulage.data.images import decode_square
from moulage.data.masks import find_masks, read_mask
from moulage.explanation.lime import explain
from moulage.explanation.shortcuts import N_TOP, Case, find_shortcuts
from moulage.explanation.superpixels import segment
from moulage.networks.registry import backbone_named
from moulage.networks.weights import local_weights
from moulage.networks.witness import Witness
from moulage.runs.demonstration import STUDY_FILE
from moulage.runs.explaining import open_witness
from moulage.runs.folder import CATALOGUE, SPLIT, RunFolder
from moulage.runs.studyfile import read_study
from moulage.seeding import generator
from moulage.split import positions, read_split

RULER = Ruler(diagnosis="mel", share=0.80, share_elsewhere=0.05)
LEAST_HELD = 0.25
_EXPERIMENT = "imagenet"  # of the demo's study
_SIZE = (200, 150)
_PHASES = (
    'common.phases=[{{name="frozen",train_from="head",epochs=10,batch=32,learning_rate=3e-3}},'
    '{{name="fine-tuned",train_from="all",epochs={epochs},batch=16,optimizer="adamw",'
    'learning_rate=1e-3,schedule="one_cycle",warmup=0.2}}]'
)
# At the demo's 96 pixels a tick is hardly wider than one.
_SIZE_PX = 128
_N_SETS, _SET = 100, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Of marked test melanomas, with their ruler and drawn without it.

    Probabilities of melanoma are medians; recall: decided as melanoma by the natural rule.
    recall_unmarked: of melanomas that never had a ruler.
    """

    n_marked: int
    probability_with: float
    probability_without: float
    recall_with: float
    recall_without: float
    recall_unmarked: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """Of the ruled classifier: marked melanomas, those whose ruler is heavy, the finder's word.

    most_held: the share of a ruler in the superpixel that holds most of it, median. n_heavy: images
    of which one of the two heaviest superpixels holds a quarter of the ruler or more. n_named: of
    the finder's suspects, those that do.
    """

    n_marked: int
    most_held: float
    n_heavy: int
    is_flagged: bool
    n_suspects: int
    n_named: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """Of the clean classifier: sets of images looked at, and those that were flagged."""

    n_images: int
    n_sets: int
    n_flagged: int


def train_on_casts(
    folder: Path, *, n_images: int, plantings: Sequence[Planting], epochs: int
) -> RunFolder:
    """Draw casts, and fine-tune the demo's ImageNet network on them."""
    make_casts(folder / "casts", n_images=n_images, seed=1, size=_SIZE, plantings=plantings)
    outcome = actions.train(
        STUDY_FILE,
        data=folder / "casts",
        out=folder / "runs",
        only=(_EXPERIMENT,),
        changes=(_PHASES.format(epochs=epochs), f"images.size={_SIZE_PX}"),
    )
    return outcome.finished[0]


def measure_use(run: RunFolder, twins: Path) -> Used:
    """Draw the run's casts without rulers in a new folder, and ask about both.

    Every other draw is the same: hair and dark corners have generators of their own.
    """
    catalogue = read_catalogue(run.path / CATALOGUE)
    make_casts(twins, n_images=len(catalogue), seed=1, size=_SIZE, plantings=EVERYDAY)
    rows, mel = _test_rows(run), catalogue.codes.index("mel")
    rows = rows[catalogue.labels[rows] == mel]
    is_marked = np.isin(catalogue.image_ids[rows], list(_marks(catalogue.root)))
    witness, paths = open_witness(run), catalogue.frame["path"].iloc[rows]
    asked, told = (
        witness.classify(np.stack([_pixels(witness, root / path) for path in paths]))
        for root in (catalogue.root, twins)
    )
    called, called_without = (found.argmax(axis=1) == mel for found in (asked, told))
    return Used(
        n_marked=int(is_marked.sum()),
        probability_with=float(np.median(asked[is_marked, mel])),
        probability_without=float(np.median(told[is_marked, mel])),
        recall_with=float(called[is_marked].mean()),
        recall_without=float(called_without[is_marked].mean()),
        recall_unmarked=float(called[~is_marked].mean()),
    )


def measure_caught(run: RunFolder, *, most: int) -> Caught:
    """Explain melanoma on marked test melanomas."""
    catalogue = read_catalogue(run.path / CATALOGUE)
    marks = _marks(catalogue.root)
    mel = catalogue.codes.index("mel")
    rows = _test_rows(run)
    is_marked = np.isin(catalogue.image_ids[rows], list(marks)) & (catalogue.labels[rows] == mel)
    cases = list(_cases(run, rows[is_marked][:most], diagnosis=mel))
    held = {case.image_id: _held(case, marks[case.image_id]) for case in cases}
    (finding,) = find_shortcuts(cases)
    return Caught(
        n_marked=len(cases),
        most_held=float(np.median([shares.max() for shares in held.values()])),
        n_heavy=sum(_is_heavy(case, held[case.image_id]) for case in cases),
        is_flagged=finding.is_flagged,
        n_suspects=len(finding.suspects),
        n_named=sum(
            bool(held[suspect.image_id][suspect.superpixel] >= LEAST_HELD)
            for suspect in finding.suspects
        ),
    )


def measure_alarms(run: RunFolder, *, most: int) -> Alarms:
    """Explain test images of clean casts, and count flags over sets drawn from them."""
    rows = generator("alarms").permutation(_test_rows(run))[:most]
    cases = list(_cases(run, rows, diagnosis=None))
    n_sets = n_flagged = 0
    for number in range(_N_SETS):
        chosen = generator("set", number).choice(len(cases), size=min(_SET, len(cases)))
        findings = find_shortcuts(cases[place] for place in chosen)
        n_sets += len(findings)
        n_flagged += sum(finding.is_flagged for finding in findings)
    return Alarms(n_images=len(cases), n_sets=n_sets, n_flagged=n_flagged)


def _test_rows(run: RunFolder) -> NDArray[np.int64]:
    split = read_split(run.path / SPLIT)
    catalogue = read_catalogue(run.path / CATALOGUE)
    return positions(split, catalogue.image_ids)[split.rows_of("test")]


def _marks(folder: Path) -> dict[str, Spot]:
    """Return where the ruler lies in each image that has one, in pixels of the file."""
    table = pd.read_csv(folder / "plantings.csv")
    ruled = table[table["kind"] == "ruler"]
    numbers = [[int(found) for found in re.findall(r"\d+", said)] for said in ruled["numbers"]]
    spots = [Spot(x=x, y=y, width=width, height=height) for x, y, width, height in numbers]
    return dict(zip(ruled["image_id"], spots, strict=True))


def _cases(run: RunFolder, rows: NDArray[np.int64], *, diagnosis: int | None) -> Iterator[Case]:
    catalogue, witness = read_catalogue(run.path / CATALOGUE), open_witness(run)
    masks = find_masks(catalogue)
    for row in rows.tolist():
        image_id = str(catalogue.image_ids[row])
        path = catalogue.root / catalogue.frame["path"].iloc[row]
        yield _case(witness, image_id, path, catalogue.root / masks[image_id], diagnosis)


def _case(witness: Witness, image_id: str, path: Path, mask: Path, diagnosis: int | None) -> Case:
    contract = witness.saved.classifier.recipe.contract
    side, resize = contract.size_px, contract.resize
    pixels = _pixels(witness, path)
    return Case(
        image_id=image_id,
        explanation=explain(witness.classify, pixels, segment(pixels), diagnosis=diagnosis),
        lesion=read_mask(mask.parent, mask.name, size_px=side, resize=resize),
    )


def _pixels(witness: Witness, path: Path) -> NDArray[np.uint8]:
    contract = witness.saved.classifier.recipe.contract
    return decode_square(path.read_bytes(), size_px=contract.size_px, resize=contract.resize)


def _held(case: Case, spot: Spot) -> NDArray[np.float64]:
    """Return the share of the ruler that each superpixel holds (S,); images are squashed."""
    segments = case.explanation.segments
    ys, xs = (np.arange(n) * side // n for n, side in zip(segments.shape, _SIZE[::-1], strict=True))
    laid = spot.covers(_SIZE[::-1])[ys[:, None], xs]
    counts = np.bincount(segments[laid], minlength=len(case.explanation.weights))
    return np.asarray(counts / laid.sum(), dtype=np.float64)


def _is_heavy(case: Case, held: NDArray[np.float64]) -> bool:
    return bool((held[case.explanation.top(N_TOP)] >= LEAST_HELD).any())


def main(words: Sequence[str] | None = None) -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=5, help="of fine-tuning")
    parser.add_argument("--most", type=int, default=100, help="images explained of each kind")
    chosen = parser.parse_args(words)
    asked = {one.name: one.backbone for one in read_study(STUDY_FILE, data=Path()).experiments}
    backbone = asked[_EXPERIMENT]
    if local_weights(backbone_named(backbone)) is None:
        print(f"It begins from {backbone}'s ImageNet weights: `moulage weights fetch` gets them.")
        return
    numbers = {"n_images": chosen.images, "epochs": chosen.epochs}
    with apart() as folder:
        ruled = train_on_casts(folder / "ruled", plantings=[*EVERYDAY, RULER], **numbers)
        print(measure_use(ruled, folder / "twins"))
        print(measure_caught(ruled, most=chosen.most))
        clean = train_on_casts(folder / "clean", plantings=EVERYDAY, **numbers)
        print(measure_alarms(clean, most=chosen.most))


if __name__ == "__main__":
    main()
