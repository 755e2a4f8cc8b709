"""Two data sets held against each other: which images show one lesion.

In:  two data sets of any layout.   Out: an `Audit`, its pairs the most certain first.
Knows nothing of pages.
Why: a test set that shares lesions with training is not external, whatever its name.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from moulage.catalogue import Catalogue
from moulage.data.pixels import build_pixels
from moulage.data.sources import Sources
from moulage.errors import ConfigError
from moulage.runs.material import open_described
from moulage.runs.progress import Progress, named
from moulage.surveying.duplicates import SIDE, THRESHOLD, Gallery, Pair, find_near_duplicates


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What two data sets share.

    names, n_images, n_skipped: of both; skipped are files that cannot be read.
    """

    names: tuple[str, str]
    n_images: tuple[int, int]
    n_skipped: tuple[int, int]
    threshold: float
    pairs: tuple[Pair, ...]

    def __repr__(self) -> str:
        return (
            f"Audit(names={self.names!r}, n_images={self.n_images}, n_shared={self.n_shared}, "
            f"n_pairs={len(self.pairs)})"
        )

    @property
    def n_shared(self) -> int:
        """Images of the second data set that have a partner in the first."""
        return len({pair.other_id for pair in self.pairs})

    def sentences(self) -> tuple[str, ...]:
        """Say what was found."""
        n_images = self.n_images[1]
        skipped = (
            f"{n:,} images of {name} were left out: they cannot be read."
            for name, n in zip(self.names, self.n_skipped, strict=True)
            if n
        )
        verdict = (
            f"{self.n_shared:,} of {n_images:,} images of {self.names[1]} "
            f"({self.n_shared / max(1, n_images):.1%}) show a lesion that {self.names[0]} shows, "
            f"at a certainty of {self.threshold:g} or more."
        )
        if not self.pairs:
            verdict += " Nothing speaks against its being external."
        return (*skipped, verdict)


def compare_datasets(
    dataset: Path, other: Path, *, threshold: float | None, progress: Progress
) -> Audit:
    """Find the images of two data sets that show one lesion."""
    least = THRESHOLD if threshold is None else threshold
    if not 0 < least <= 1:
        raise ConfigError(
            f"`threshold` must be a certainty above 0 and at most 1; got {least:g}. Write 0.55 for "
            "55 %, or leave it out."
        )
    catalogues = [open_described(path, absent="note").catalogue for path in (dataset, other)]
    with ExitStack() as stack:
        first, second = (_gallery(found, stack, progress) for found in catalogues)
        pairs = find_near_duplicates(
            first,
            second,
            threshold=least,
            progress=named("comparing images", progress),
        )
    names = _names(catalogues[0].name, catalogues[1].name)
    return Audit(
        names=names,
        n_images=(len(first), len(second)),
        n_skipped=(len(catalogues[0]) - len(first), len(catalogues[1]) - len(second)),
        threshold=least,
        pairs=pairs,
    )


def _gallery(catalogue: Catalogue, stack: ExitStack, progress: Progress) -> Gallery:
    pixels = build_pixels(
        catalogue,
        size_px=SIDE,
        resize="squash",
        unreadable="skip",
        progress=named("decoding images", progress),
    )
    sources = stack.enter_context(Sources(catalogue.root))
    paths = catalogue.frame["path"].to_numpy(dtype=str)[pixels.rows]
    return Gallery(
        thumbnails=pixels.array,
        image_ids=pixels.image_ids,
        lesion_ids=catalogue.lesion_ids[pixels.rows],
        read=lambda row: sources.read(str(paths[row])),
    )


def _names(one: str, other: str) -> tuple[str, str]:
    """Tell two data sets of one name apart."""
    return (one, other) if one != other else (f"{one} (first)", f"{other} (second)")
