"""Plant known faults: what a survey should find and an explanation should blame.

In:  records that say what to plant and how much; pixels (H, W, 3) uint8.
Out: pixels with a hair, a ruler or dark corners on them; choices of rows.
Knows nothing of folders: `generator` writes what is planted here, and the list of it.
Why: a detector can be scored only where the truth is known.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.casts.disguise import KINDS, Kind
from moulage.errors import ConfigError

# A ruler's bounding box covers at most this share of the image.
MOST_RULER_AREA = 0.03


def _check_share(planting: object, name: str) -> None:
    value = getattr(planting, name)
    if not 0 <= value <= 1:
        raise ConfigError(
            f"`{name}` of {type(planting).__name__} must lie in [0, 1]; got {value}. "
            "Say a share, such as 0.2 for a fifth."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicates:
    """Add `n_each` disguised copies of each kind, under lesion ids of their own."""

    n_each: int
    kinds: tuple[Kind, ...] = KINDS

    def __post_init__(self) -> None:
        if self.n_each < 1 or not self.kinds:
            raise ConfigError(
                f"`n_each` must be at least 1, of at least one kind; got {self.n_each} of "
                f"{len(self.kinds)}. Leave the planting out if you want none."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruler:
    """Lay a ruler beside the lesion in a share of a diagnosis and of the others."""

    diagnosis: str
    share: float
    share_elsewhere: float = 0.0

    def __post_init__(self) -> None:
        _check_share(self, "share")
        _check_share(self, "share_elsewhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hair:
    """Lay hairs across a share of the images."""

    share: float

    def __post_init__(self) -> None:
        _check_share(self, "share")


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkCorners:
    """Photograph a share of the images through a round tube that leaves the corners dark."""

    share: float

    def __post_init__(self) -> None:
        _check_share(self, "share")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongLabels:
    """Write another diagnosis for a share of the lesions, the same for all photographs of one."""

    share: float

    def __post_init__(self) -> None:
        _check_share(self, "share")


Planting = NearDuplicates | Ruler | Hair | DarkCorners | WrongLabels

# What photographs of skin have anyway.
EVERYDAY: tuple[Planting, ...] = (Hair(share=0.20), DarkCorners(share=0.12))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """A round opening; lengths are in units of half the image's longer side.

    Light falls from 1 to 0 between radius - softness and radius + softness from the centre,
    which lies `shift` (x, y) beside the image's.
    """

    radius: float
    softness: float
    shift: tuple[float, float]

    def light(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return what passes, (H, W) in [0, 1]."""
        height, width = shape
        half = max(height, width) / 2
        ys, xs = np.mgrid[:height, :width].astype(np.float32)
        away = np.hypot(
            (xs + 0.5 - width / 2) / half - self.shift[0],
            (ys + 0.5 - height / 2) / half - self.shift[1],
        )
        passes = (self.radius + self.softness - away) / (2 * self.softness)
        return np.asarray(np.clip(passes, 0, 1), dtype=np.float32)

    def covers(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return where more than half the light is lost, (H, W)."""
        return self.light(shape) < 0.5


def draw_tube(rng: np.random.Generator) -> Tube:
    """Return an opening that leaves dark corners or a dark frame."""
    tilt = rng.normal(0, 0.04, 2).tolist()
    return Tube(
        radius=float(rng.uniform(0.88, 1.08)),
        softness=float(rng.uniform(0.02, 0.10)),
        shift=(tilt[0], tilt[1]),
    )


def add_hair(
    pixels: NDArray[np.uint8], *, n_hairs: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Lay `n_hairs` dark curved hairs across the image (H, W, 3)."""
    height, width = pixels.shape[:2]
    fine = 4  # drawn finer, then shrunk: a hair is thinner than a pixel
    plate = np.zeros((fine * height, fine * width), dtype=np.uint8)
    leaning = rng.uniform(0, np.pi)
    for _ in range(n_hairs):
        curve = _hair_curve(fine * np.array([width, height]), leaning, rng)
        thickness = max(1, round(fine * min(height, width) / 150 * rng.uniform(0.4, 1.0)))
        ink = int(rng.integers(150, 256))
        cv2.polylines(plate, [curve], False, ink, thickness, cv2.LINE_AA)
    cover = cv2.resize(plate, (width, height), interpolation=cv2.INTER_AREA)
    colour = np.array([46, 33, 30]) + rng.integers(0, 40)
    return _blend(pixels, colour, cover.astype(np.float32) / 255)


def add_dark_corners(pixels: NDArray[np.uint8], tube: Tube) -> NDArray[np.uint8]:
    """Darken all of (H, W, 3) that the tube hides."""
    height, width = pixels.shape[:2]
    return _blend(pixels, np.array([6, 5, 6]), 1 - tube.light((height, width)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A box of pixels: its top left corner and its size."""

    x: int
    y: int
    width: int
    height: int

    def covers(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return where the box is, (H, W)."""
        inside = np.zeros(shape, dtype=np.bool_)
        inside[self.y : self.y + self.height, self.x : self.x + self.width] = True
        return inside


def ruler_spot(forbidden: NDArray[np.bool_], *, rng: np.random.Generator) -> Spot | None:
    """Find room for a ruler, or None.

    forbidden (H, W) bool: where the lesion is, and whatever else must stay free. Large rulers
    are tried first; either way the box is at most 3 % of the image.
    """
    for share in (0.62, 0.45, 0.32, 0.20):
        for upright in rng.permutation([False, True]):
            width, height = _ruler_size(forbidden.shape, share, upright=bool(upright))
            if min(width, height) < 2:
                continue
            free = _free_corners(forbidden, (width, height))
            if len(free):
                x, y = free[rng.integers(len(free))].tolist()
                return Spot(x=x, y=y, width=width, height=height)
    return None


def add_ruler(
    pixels: NDArray[np.uint8], *, spot: Spot, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw a scale's tick marks inside the spot."""
    upright = spot.height > spot.width
    length, thick = max(spot.width, spot.height), min(spot.width, spot.height)
    marks = np.zeros((thick, length), dtype=np.float32)
    step = max(3, round(length / rng.integers(9, 15)))
    for tick, place in enumerate(range(0, length, step)):
        reach = thick if tick % 5 == 0 else max(1, round(0.55 * thick))
        marks[:reach, place : place + max(1, step // 3)] = 0.9
    height, width = pixels.shape[:2]
    cover = np.zeros((height, width), dtype=np.float32)
    cover[spot.covers((height, width))] = (marks.T if upright else marks).ravel()
    return _blend(pixels, np.array([24, 22, 26]), cover)


def _ruler_size(shape: tuple[int, ...], share: float, *, upright: bool) -> tuple[int, int]:
    """Width and height of a box as long as a share of a side, and thin enough to be allowed."""
    height, width = shape
    length = int(share * (height if upright else width))
    thick = int(min(MOST_RULER_AREA * height * width / max(length, 1), 0.09 * height))
    return (thick, length) if upright else (length, thick)


def _hair_curve(
    size: NDArray[np.int64], leaning: float, rng: np.random.Generator
) -> NDArray[np.int32]:
    """A bent line (20, 2) in pixels, much longer than it is curved."""
    heading = leaning + rng.normal(0, 0.5)
    along = np.array([np.cos(heading), np.sin(heading)])
    half = min(size) * rng.uniform(0.10, 0.50)
    start, end = (rng.random(2) * size + sign * half * along for sign in (-1, 1))
    bend = (start + end) / 2 + rng.normal(0, 0.35, 2) * half
    t = np.linspace(0, 1, 20)[:, None]
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    return np.asarray(np.round(curve), dtype=np.int32)


def _free_corners(forbidden: NDArray[np.bool_], box: tuple[int, int]) -> NDArray[np.int64]:
    """Top left corners (n, 2) x, y of all boxes (width, height) that touch nothing forbidden."""
    total = np.pad(np.cumsum(np.cumsum(forbidden, axis=0), axis=1), ((1, 0), (1, 0)))
    width, height = box
    inside = (total[height:, width:] - total[:-height, width:] - total[height:, :-width]) + total[
        :-height, :-width
    ]
    rows, columns = np.nonzero(inside == 0)
    return np.stack([columns, rows], axis=1)


def _blend(
    pixels: NDArray[np.uint8], colour: NDArray[np.int64], cover: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Cover pixels (H, W, 3) with a colour (3,) at opacity `cover` (H, W)."""
    opacity = cover[..., None]
    return np.asarray(np.rint(pixels * (1 - opacity) + colour * opacity), dtype=np.uint8)
