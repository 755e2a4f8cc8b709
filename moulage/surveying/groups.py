"""Groups and parts: what a split shares, and what a split of single images would leak.

In:  a Split; or ids and labels, of which image splits are made here.   Out: counts and shares.
Knows nothing of training, which refuses a leak by itself.
Why: a share of leaked test images says more than a promise that there are none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.evaluation.undefined import mean_defined, ratio
from moulage.split import Part, Split
from moulage.splits.leakage import has_sibling_in_training, shared_groups, split_by_image

RATIOS: Mapping[Part, float] = {"train": 60, "validation": 20, "test": 20}
SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage:
    """What a 60/20/20 split of single images leaks, the mean of five seeds.

    share: of the test images, those with a photograph of their lesion in training. by_diagnosis:
    the same within each; NaN where no test image has it.
    """

    share: float
    by_diagnosis: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitAudit:
    """A split held against its groups.

    shared: lesions in each pair of parts that share any, sorted. n_leaked of n_test test images
    have a sibling, or themselves, in training.
    """

    shared: Mapping[tuple[Part, Part], tuple[str, ...]]
    n_test: int
    n_leaked: int
    digest: str

    @property
    def lesions(self) -> tuple[str, ...]:
        """Every lesion that stands in more than one part, sorted."""
        return tuple(sorted({name for names in self.shared.values() for name in names}))


def image_split_leakage(catalogue: Catalogue) -> Leakage | None:
    """Split single images and count siblings; None where there are too few for a test image."""
    if len(catalogue) < len(RATIOS):
        return None
    leaks = (_leak(catalogue, seed) for seed in SEEDS)
    shares = [leak for leak in leaks if not np.isnan(leak[0])]
    if not shares:
        return None
    by_diagnosis = np.array([each for _, each in shares])
    means = mean_defined(by_diagnosis.T)
    return Leakage(
        share=float(np.mean([share for share, _ in shares])),
        by_diagnosis=dict(zip(catalogue.codes, means.tolist(), strict=True)),
    )


def audit_split(split: Split) -> SplitAudit:
    """Find the lesions that stand in more than one part."""
    leaked = has_sibling_in_training(split)
    return SplitAudit(
        shared=shared_groups(split),
        n_test=len(leaked),
        n_leaked=int(leaked.sum()),
        digest=split.digest,
    )


def _leak(catalogue: Catalogue, seed: int) -> tuple[float, NDArray[np.float64]]:
    split = split_by_image(
        image_ids=catalogue.image_ids,
        lesion_ids=catalogue.lesion_ids,
        labels=catalogue.labels,
        ratios=RATIOS,
        seed=seed,
    )
    leaked = has_sibling_in_training(split)
    labels = catalogue.labels[split.rows_of("test")]
    n_classes = len(catalogue.codes)
    of_each = np.bincount(labels, weights=leaked, minlength=n_classes)
    shares = ratio(of_each, np.bincount(labels, minlength=n_classes))
    return float(leaked.mean()) if len(leaked) else float("nan"), shares
