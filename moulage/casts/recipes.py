"""What each diagnosis looks like, in numbers, and how far diagnoses overlap.

In:  a diagnosis and a generator.   Out: the recipe of one lesion.
Knows nothing of pixels; `lesion` paints what a recipe says.
Why: every knob that makes classes easier or harder to tell apart is in this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

# A lesion is its own diagnosis mixed with one that it may be mistaken for. The weight of the
# other is OVERLAP times a Beta(1, 2) draw: 0 gives textbook lesions, 1 hopeless ones.
OVERLAP = 0.8
# Spread of each sign's strength around its recipe, of sizes and pigments around theirs.
SIGN_SPREAD = 0.30
PIGMENT_SPREAD = 0.30
# A sign weaker than this is not painted.
FAINTEST = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The amounts of everything that a lesion is made of.

    radius in units of the photograph's shorter side; pigments as optical depth at green;
    elongation, irregularity, softness relative to the radius; signs as strength in [0, 1].
    """

    radius: float
    elongation: float = 0.15
    irregularity: float = 0.05
    softness: float = 0.10
    # pigments
    melanin: float = 0.0
    mottle: float = 0.15
    asymmetry: float = 0.05
    blood: float = 0.05
    # signs
    network: float = 0.0
    disorder: float = 0.25
    globules: float = 0.0
    dark_centre: float = 0.0
    blotches: float = 0.0
    streaks: float = 0.0
    veil: float = 0.0
    regression: float = 0.0
    cysts: float = 0.0
    plugs: float = 0.0
    furrows: float = 0.0
    wax: float = 0.0
    vessels: float = 0.0
    nests: float = 0.0
    shine: float = 0.0
    ulcer: float = 0.0
    scale: float = 0.0
    strawberry: float = 0.0
    scar: float = 0.0
    halo: float = 0.0
    lacunes: float = 0.0
    sun: float = 0.0


RECIPES: Mapping[str, Recipe] = {
    "nv": Recipe(
        radius=0.26, irregularity=0.05, softness=0.14, melanin=0.66, blood=0.10,
        network=0.75, disorder=0.50, globules=0.30, dark_centre=0.40,
    ),
    "mel": Recipe(
        radius=0.31, elongation=0.25, irregularity=0.15, softness=0.08, melanin=0.70,
        mottle=0.45, asymmetry=0.60, blood=0.12, network=0.45, disorder=0.80, globules=0.30,
        blotches=0.75, streaks=0.65, veil=0.65, regression=0.35,
    ),
    "bkl": Recipe(
        radius=0.29, elongation=0.25, irregularity=0.10, softness=0.05, melanin=0.42,
        mottle=0.25, asymmetry=0.15, network=0.10, disorder=0.60, cysts=0.75, plugs=0.60,
        furrows=0.55, wax=0.65, sun=0.40,
    ),
    "bcc": Recipe(
        radius=0.25, elongation=0.20, irregularity=0.10, softness=0.16, melanin=0.06,
        mottle=0.20, asymmetry=0.20, blood=0.32, vessels=0.85, nests=0.60, shine=0.60,
        ulcer=0.40, sun=0.30,
    ),
    "akiec": Recipe(
        radius=0.33, elongation=0.20, irregularity=0.16, softness=0.25, melanin=0.10,
        mottle=0.35, asymmetry=0.20, blood=0.36, scale=0.75, strawberry=0.70, vessels=0.10,
        plugs=0.10, sun=0.75,
    ),
    "df": Recipe(
        radius=0.26, irregularity=0.05, softness=0.28, melanin=0.22, mottle=0.10, blood=0.14,
        network=0.25, disorder=0.15, scar=0.85, halo=0.65,
    ),
    "vasc": Recipe(
        radius=0.20, irregularity=0.05, softness=0.06, melanin=0.02, mottle=0.15, blood=0.75,
        lacunes=0.90, veil=0.10,
    ),
}  # fmt: skip

MISTAKEN_FOR: Mapping[str, tuple[str, ...]] = {
    "nv": ("mel", "mel", "bkl", "df"),
    "mel": ("nv", "nv", "bkl"),
    "bkl": ("nv", "mel", "akiec", "bcc"),
    "bcc": ("akiec", "bkl", "nv", "mel"),
    "akiec": ("bcc", "bkl", "df"),
    "df": ("nv", "bcc", "akiec"),
    "vasc": ("bcc", "mel", "nv"),
}

_GEOMETRY = {"radius", "elongation", "irregularity", "softness"}
_PIGMENTS = {"melanin", "mottle", "asymmetry", "blood", "disorder"}


def draw_recipe(diagnosis: str, rng: np.random.Generator) -> Recipe:
    """Return one lesion's recipe: its diagnosis, some of another, and a spread on everything."""
    other = RECIPES[MISTAKEN_FOR[diagnosis][rng.integers(len(MISTAKEN_FOR[diagnosis]))]]
    weight = OVERLAP * rng.beta(1, 2)
    mixed = {
        field.name: (1 - weight) * getattr(RECIPES[diagnosis], field.name)
        + weight * getattr(other, field.name)
        for field in fields(Recipe)
    }
    return Recipe(**{name: _spread(name, value, rng) for name, value in mixed.items()})


def _spread(name: str, value: float, rng: np.random.Generator) -> float:
    draw = float(np.clip(rng.standard_normal(), -2.2, 2.2))
    if name in _GEOMETRY:
        return value * float(np.exp(0.25 * draw))
    if name in _PIGMENTS:
        return value * float(np.exp(PIGMENT_SPREAD * draw))
    return float(np.clip(value + SIGN_SPREAD * (0.2 + value) * draw, 0, 1))
