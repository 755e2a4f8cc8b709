"""Disguise a photograph so that no hash knows it again, though it shows the same lesion.

In:  pixels (H, W, 3) uint8.   Out: pixels of the same picture, re-encoded, scaled, flipped,
turned, cropped or brightened; masks follow along.
Knows nothing of ids, tables or folders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, ShapeError, nearest
from moulage.views import apply_view

Kind = Literal["reencoded", "scaled", "flipped", "turned", "cropped", "brightened"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# The most that a side loses to a crop.
MOST_CROPPED = 0.10

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disguise:
    """What is done to one picture; the fields that a kind does not use keep their defaults.

    quality: of the JPEG it passes through; scale: of both sides; view: as in `moulage.views`;
    crop: shares cut from top, right, bottom and left; gain and offset: of the grey values.
    """

    kind: Kind
    quality: int = 95
    scale: float = 1.0
    view: int = 0
    crop: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    gain: float = 1.0
    offset: float = 0.0

    def __str__(self) -> str:
        """The kind's own numbers, as the ground truth lists them."""
        return {
            "reencoded": f"quality={self.quality}",
            "scaled": f"scale={self.scale:.3f}",
            "flipped": f"view={self.view}",
            "turned": f"view={self.view}",
            "cropped": "crop=" + "/".join(f"{share:.3f}" for share in self.crop),
            "brightened": f"gain={self.gain:.3f} offset={self.offset:.1f}",
        }[self.kind]


def plan_near_duplicates(
    n_images: int, *, n_each: int, rng: np.random.Generator, kinds: Sequence[Kind] = KINDS
) -> list[tuple[int, Disguise]]:
    """Choose sources in [0, n_images), all different, and a disguise for each, kind by kind."""
    n_copies = n_each * len(kinds)
    if n_copies > n_images:
        raise ConfigError(
            f"Near-duplicates must not outnumber the {n_images} images they copy; got {n_each} of "
            f"each of {len(kinds)} kinds. Plant fewer or make more images."
        )
    sources = rng.permutation(n_images)[:n_copies]
    wanted = [kind for kind in kinds for _ in range(n_each)]
    return [
        (int(source), draw_disguise(kind, rng=rng))
        for source, kind in zip(sources, wanted, strict=True)
    ]


def draw_disguise(kind: Kind, *, rng: np.random.Generator) -> Disguise:
    """Return a disguise of this kind with drawn numbers."""
    if kind == "reencoded":
        return Disguise(kind=kind, quality=int(rng.integers(40, 86)))
    if kind == "scaled":
        drawn = rng.uniform(0.6, 0.9) if rng.random() < 0.5 else rng.uniform(1.15, 1.5)
        return Disguise(kind=kind, scale=float(drawn))
    if kind == "flipped":
        return Disguise(kind=kind, view=int(rng.choice((4, 6))))
    if kind == "turned":
        return Disguise(kind=kind, view=int(rng.integers(1, 4)))
    if kind == "cropped":
        top, right, bottom, left = rng.uniform(0.02, MOST_CROPPED, 4).tolist()
        return Disguise(kind=kind, crop=(top, right, bottom, left))
    if kind == "brightened":
        gain, offset = rng.uniform(1.08, 1.25), rng.uniform(4, 14)
        darkens = rng.random() < 0.3
        return Disguise(
            kind=kind,
            gain=float(1 / gain if darkens else gain),
            offset=float(-offset if darkens else offset),
        )
    raise ConfigError(
        f"`kind` must be one of {', '.join(KINDS)}; got {kind!r}."
        + (nearest(kind, KINDS) or " Choose one of them.")
    )


def apply_disguise(pixels: NDArray[np.uint8], how: Disguise) -> NDArray[np.uint8]:
    """Return the disguised picture (H', W', 3) uint8; it passes through a JPEG on the way."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ShapeError(
            f"`pixels` must have shape (H, W, 3) and type uint8; got {pixels.shape} of "
            f"{pixels.dtype}. Decode the image as RGB first."
        )
    moved = _rescale(_move(pixels, how), how, smooth=True)
    lit = np.clip(np.rint(moved * np.float32(how.gain) + np.float32(how.offset)), 0, 255)
    return _through_jpeg(lit.astype(np.uint8), how.quality)


def apply_disguise_to_mask(mask: NDArray[np.bool_], how: Disguise) -> NDArray[np.bool_]:
    """Move a mask (H, W) bool as `apply_disguise` moves the picture."""
    moved = _rescale(_move(mask[..., None].astype(np.uint8), how), how, smooth=False)
    return np.asarray(moved.reshape(moved.shape[:2]) > 0)


def _move(pixels: NDArray[T], how: Disguise) -> NDArray[T]:
    """Crop, then turn and mirror (H, W, C)."""
    height, width = pixels.shape[:2]
    top, right, bottom, left = how.crop
    kept = pixels[
        int(top * height) : height - int(bottom * height),
        int(left * width) : width - int(right * width),
    ]
    return np.ascontiguousarray(apply_view(kept, how.view))


def _rescale(pixels: NDArray[np.uint8], how: Disguise, *, smooth: bool) -> NDArray[np.uint8]:
    if how.scale == 1.0:
        return pixels
    height, width = (max(1, round(how.scale * side)) for side in pixels.shape[:2])
    method = cv2.INTER_NEAREST
    if smooth:
        method = cv2.INTER_AREA if how.scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), dtype=np.uint8)


def _through_jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, code = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
