"""How the images look: colour, brightness, contrast, sharpness, border; who stands out.

In:  pixels (N, H, W, 3) uint8 in [0, 255], RGB, squares of one size.   Out: a table, a row an
image; outliers.
Knows nothing of files or diagnoses.
Why: sharpness is compared at one size, so that it tells the focus and not the camera's resolution.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

MEASURES = {
    "brightness": "brightness (grey level, 0–255)",
    "contrast": "contrast (deviation, levels)",
    "sharpness": "sharpness (log2 edge variance)",
    "saturation": "saturation (0–255)",
}
COLOURS = ("red", "green", "blue")
BORDER = ("border_red", "border_green", "border_blue", "corners")
EXTREME = 6.0
"""Robust deviations from the median beyond which an image is shown as an outlier."""
_BORDER_SHARE = 0.06
_CORNER_SHARE = 0.1
_MAD_TO_DEVIATION = 1.4826  # of a normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """An image far from the others in one measure, `deviations` robust ones away."""

    row: int
    measure: str
    value: float
    deviations: float


def measure_pixels(
    pixels: NDArray[np.uint8], *, progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Return `MEASURES`, `COLOURS` and `BORDER`, a row an image; reads one image at a time.

    corners: mean grey level of the four corners.
    """
    frame, corners = border_masks(pixels.shape[1])
    rows = np.empty((len(pixels), len(MEASURES) + len(COLOURS) + len(BORDER)))
    for place, image in enumerate(pixels):
        rows[place] = _measure(np.asarray(image), frame, corners)
        if progress and (place % 1024 == 0 or place == len(pixels) - 1):
            progress(place + 1, len(pixels))
    return pd.DataFrame(rows, columns=[*MEASURES, *COLOURS, *BORDER])


def find_outliers(
    looks: pd.DataFrame, *, measures: Sequence[str] = tuple(MEASURES), most: int = 12
) -> tuple[Outlier, ...]:
    """Return the images furthest from the median, each once, the furthest first.

    A measure that hardly varies (no spread of its middle half) has no outliers.
    """
    found: dict[int, Outlier] = {}
    for measure in measures:
        values = looks[measure].to_numpy(dtype=np.float64)
        deviations = robust_deviations(values)
        for row in np.flatnonzero(np.abs(deviations) > EXTREME).tolist():
            one = Outlier(
                row=row, measure=measure, value=float(values[row]),
                deviations=float(deviations[row]),
            )  # fmt: skip
            found[row] = max(found.get(row, one), one, key=lambda o: abs(o.deviations))
    ordered = sorted(found.values(), key=lambda outlier: (-abs(outlier.deviations), outlier.row))
    return tuple(ordered[:most])


def robust_deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return distances from the median in deviations estimated by the median distance."""
    distances = values - np.median(values) if len(values) else values
    scale = _MAD_TO_DEVIATION * float(np.median(np.abs(distances))) if len(values) else 0.0
    return distances / scale if scale > 0 else np.zeros_like(values)


def border_masks(side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return masks (side, side) of the outermost pixels and of the four corners, 255 within."""
    frame = np.full((side, side), 255, dtype=np.uint8)
    width, corner = (max(1, round(share * side)) for share in (_BORDER_SHARE, _CORNER_SHARE))
    frame[width : side - width, width : side - width] = 0
    corners = np.zeros_like(frame)
    for rows in (slice(0, corner), slice(side - corner, side)):
        for columns in (slice(0, corner), slice(side - corner, side)):
            corners[rows, columns] = 255
    return frame, corners


def _measure(
    image: NDArray[np.uint8], frame: NDArray[np.uint8], corners: NDArray[np.uint8]
) -> list[float]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean, deviation = (float(found[0, 0]) for found in cv2.meanStdDev(grey))
    edges = float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))[1][0, 0]) ** 2
    spread = image.max(axis=2).astype(np.float32) - image.min(axis=2)
    return [
        mean,
        deviation,
        float(np.log2(edges + 1)),
        float(spread.mean()),
        *cv2.mean(image)[:3],
        *cv2.mean(image, mask=frame)[:3],
        cv2.mean(grey, mask=corners)[0],
    ]
