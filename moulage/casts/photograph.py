"""Photograph a scene: framing, light, focus and noise differ from one photograph to the next.

In:  a scene and a generator.   Out: pixels and the lesion's mask, at the size asked for.
Knows nothing of diagnoses, files or plantings.
Why: photographs of one lesion are alike but not equal, which is what makes them leak.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.casts.lesion import Scene


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photograph:
    """pixels (H, W, 3) uint8, RGB; mask (H, W) bool, True in the lesion."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def photograph(scene: Scene, *, size: tuple[int, int], rng: np.random.Generator) -> Photograph:
    """Take one photograph of `size` (width, height) pixels."""
    frame = _frame(scene, size, rng)
    flags = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
    seen = cv2.warpAffine(scene.reflectance, frame, size, **flags)
    depth = cv2.warpAffine(scene.depth, frame, size, **flags)
    lit = _light(seen, rng)
    focused = cv2.GaussianBlur(lit, (0, 0), 0.25 + min(size) / 150 * rng.uniform(0, 0.35))
    grain = rng.normal(0, 0.006, (size[1], size[0], 1)).astype(np.float32)
    pixels = np.clip(np.rint((focused + grain) * 255), 0, 255).astype(np.uint8)
    return Photograph(pixels=pixels, mask=np.asarray(depth > 0))


def _frame(scene: Scene, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """(2, 3) affine map from the canvas to the photograph."""
    zoom = min(size) / scene.canvas.unit_px * float(np.exp(np.clip(rng.normal(0, 0.10), -0.2, 0.2)))
    turned_far = rng.random() < 0.2
    angle = rng.uniform(-180, 180) if turned_far else rng.normal(0, 12)
    middle = scene.canvas.side_px / 2 - 0.5
    frame = np.asarray(cv2.getRotationMatrix2D((middle, middle), angle, zoom))
    shift = np.clip(rng.normal(0, 0.045, 2), -0.1, 0.1) * min(size)
    frame[:, 2] += np.array(size) / 2 - 0.5 - middle + shift
    return frame


def _light(seen: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Exposure, white balance, contrast, and light that falls off across the picture."""
    height, width = seen.shape[:2]
    exposure = np.exp(rng.normal(0.05, 0.07) + rng.normal(0, 0.025, 3)).astype(np.float32)
    gamma = np.float32(np.exp(rng.normal(0, 0.08)))
    xs, ys = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    slope = rng.normal(0, 0.03, 2)
    fall_off = rng.uniform(0.02, 0.12) * (xs**2 + ys**2)
    lamp = (1 + slope[0] * xs + slope[1] * ys - fall_off).astype(np.float32)
    return np.asarray(np.clip(seen, 1e-3, 1) ** gamma * exposure * lamp[..., None])
