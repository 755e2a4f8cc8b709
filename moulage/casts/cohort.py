"""Draw the table of a cast data set: who has which lesion where, and how often it was photographed.

In:  the number of photographs, a seed.   Out: a data frame in HAM10000's columns.
Knows nothing of pixels.
Why: shares follow HAM10000's own summary (7,470 lesions, 10,015 photographs), so that class
imbalance, siblings and telltale columns are as they are there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.seeding import generator

METADATA_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")

# A diagnosis is shown by this many lesions at least, wherever so many photographs are asked for.
FEWEST_LESIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """How one diagnosis is distributed: photographs, photographs a lesion, patients, sites.

    n_images in HAM10000; photographs[n - 1]: lesions with n of them; age as mean and standard
    deviation; the other tables hold weights, which need not sum to 1.
    """

    n_images: int
    photographs: tuple[int, ...]
    age: tuple[float, float]
    male: float
    confirmed: Mapping[str, float]
    sites: Mapping[str, float]


BACKGROUNDS: Mapping[str, Background] = {
    "nv": Background(
        n_images=6705, photographs=(4415, 699, 268, 18, 2, 1), age=(46.5, 15.2), male=0.51,
        confirmed={"follow_up": 0.552, "histo": 0.373, "consensus": 0.075},
        sites={"lower extremity": 22, "back": 21, "trunk": 19, "abdomen": 13, "upper extremity": 10,
               "foot": 4, "chest": 3, "face": 2, "neck": 1, "hand": 1, "genital": 1, "scalp": 1},
    ),
    "mel": Background(
        n_images=1113, photographs=(230, 278, 100, 4, 1, 1), age=(60.7, 15.2), male=0.62,
        confirmed={"histo": 1},
        sites={"back": 29, "upper extremity": 19, "lower extremity": 17, "face": 9, "abdomen": 6,
               "chest": 6, "trunk": 4, "neck": 3, "foot": 3, "ear": 1, "scalp": 1},
    ),
    "bkl": Background(
        n_images=1099, photographs=(440, 220, 55, 8, 2, 2), age=(64.3, 14.1), male=0.57,
        confirmed={"histo": 0.697, "consensus": 0.240, "confocal": 0.063},
        sites={"face": 29, "back": 19, "lower extremity": 16, "upper extremity": 10, "trunk": 7,
               "chest": 7, "abdomen": 4, "neck": 3, "scalp": 3, "hand": 1},
    ),
    "bcc": Background(
        n_images=514, photographs=(175, 118, 33, 1), age=(66.8, 13.7), male=0.62,
        confirmed={"histo": 1},
        sites={"back": 36, "face": 20, "lower extremity": 11, "upper extremity": 10, "chest": 9,
               "scalp": 4, "abdomen": 4, "neck": 3, "trunk": 2, "foot": 1},
    ),
    "akiec": Background(
        n_images=327, photographs=(151, 57, 18, 2), age=(66.5, 11.5), male=0.68,
        confirmed={"histo": 1},
        sites={"face": 35, "lower extremity": 20, "upper extremity": 19, "back": 9, "scalp": 4,
               "hand": 4, "chest": 4, "neck": 3, "abdomen": 2, "ear": 1},
    ),
    "vasc": Background(
        n_images=142, photographs=(64, 25, 8, 1), age=(51.4, 21.6), male=0.49,
        confirmed={"consensus": 0.528, "histo": 0.472},
        sites={"trunk": 22, "abdomen": 19, "lower extremity": 19, "back": 15, "upper extremity": 8,
               "face": 6, "chest": 4, "hand": 4, "neck": 2, "scalp": 1},
    ),
    "df": Background(
        n_images=115, photographs=(39, 26, 8), age=(53.0, 13.6), male=0.55,
        confirmed={"consensus": 0.522, "histo": 0.478},
        sites={"lower extremity": 71, "upper extremity": 21, "abdomen": 4, "back": 2, "foot": 2},
    ),
}  # fmt: skip

DIAGNOSES = tuple(BACKGROUNDS)

_AGE_MISSING = 0.006
_SEX_UNKNOWN = 0.006
_SITE_UNKNOWN = 0.023


def draw_cohort(*, n_images: int, seed: int) -> pd.DataFrame:
    """Return `n_images` rows in the columns of `METADATA_COLUMNS`, and `photograph` (1, 2, …).

    Lesions come in an order that says nothing of their diagnosis; the photographs of one
    lesion follow each other.
    """
    lesions = [
        (diagnosis, n_photographs)
        for diagnosis, quota in image_quotas(n_images).items()
        for n_photographs in photograph_counts(
            diagnosis, quota, rng=generator("casts", seed, "photographs", diagnosis)
        )
    ]
    order = generator("casts", seed, "order").permutation(len(lesions))
    rows: list[dict[str, object]] = []
    for number, place in enumerate(order, start=1):
        diagnosis, n_photographs = lesions[place]
        lesion = draw_lesion(diagnosis, number, seed)
        rows += [
            {**lesion, "image_id": image_id(len(rows) + k), "photograph": k}
            for k in range(1, n_photographs + 1)
        ]
    return pd.DataFrame(rows)[[*METADATA_COLUMNS, "photograph"]]


def draw_lesion(diagnosis: str, number: int, seed: int) -> dict[str, object]:
    """Return what the table says of lesion `number`, but for its photographs."""
    rng = generator("casts", seed, "patient", number)
    background = BACKGROUNDS[diagnosis]
    sex = "male" if rng.random() < background.male else "female"
    age = 5 * round(float(np.clip(rng.normal(*background.age), 5, 85)) / 5)
    site = _pick(background.sites, rng)
    missing = rng.random(3) < (_AGE_MISSING, _SEX_UNKNOWN, _SITE_UNKNOWN)
    return {
        "lesion_id": lesion_id(number),
        "dx": diagnosis,
        "dx_type": draw_dx_type(diagnosis, rng),
        "age": np.nan if missing[0] else float(age),
        "sex": "unknown" if missing[1] else sex,
        "localization": "unknown" if missing[2] else site,
    }


def draw_dx_type(diagnosis: str, rng: np.random.Generator) -> str:
    """Return how the diagnosis was confirmed; only moles are followed up."""
    return _pick(BACKGROUNDS[diagnosis].confirmed, rng)


def image_id(number: int) -> str:
    """Return the id of image `number`, counted from 1."""
    return f"CAST_{number:07d}"


def lesion_id(number: int) -> str:
    """Return the id of lesion `number`, counted from 1."""
    return f"CASTLESION_{number:07d}"


def lesion_number(identity: str) -> int:
    """Return the number in a lesion's id."""
    return int(identity.rpartition("_")[2])


def image_quotas(n_images: int) -> dict[str, int]:
    """Share photographs among diagnoses as in HAM10000, rare ones lifted to a few.

    Below seven photographs the most frequent diagnoses come first.
    """
    n_classes = len(DIAGNOSES)
    if n_images < n_classes:
        return {diagnosis: int(place < n_images) for place, diagnosis in enumerate(DIAGNOSES)}
    floor = max(1, min(2 * FEWEST_LESIONS, n_images // 20))
    shares = np.array([background.n_images for background in BACKGROUNDS.values()], dtype=float)
    exact = shares / shares.sum() * n_images
    lifted = np.maximum(np.floor(exact).astype(int), floor)
    rest = n_images - int(lifted.sum())
    if rest >= 0:
        lifted[np.argsort(lifted - exact, kind="stable")[:rest]] += 1
    else:
        lifted[0] += rest
    return dict(zip(DIAGNOSES, lifted.tolist(), strict=True))


def photograph_counts(diagnosis: str, quota: int, *, rng: np.random.Generator) -> list[int]:
    """Return the number of photographs of each lesion; they sum to `quota`."""
    weights = np.array(BACKGROUNDS[diagnosis].photographs, dtype=float)
    counts: list[int] = []
    left = quota
    while left > 0:
        drawn = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
        reserved = max(0, FEWEST_LESIONS - 1 - len(counts))
        counts.append(max(1, min(drawn, left - reserved)))
        left -= counts[-1]
    return counts


def _pick(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    shares: NDArray[np.float64] = np.array(list(weights.values()), dtype=float)
    return list(weights)[rng.choice(len(shares), p=shares / shares.sum())]
