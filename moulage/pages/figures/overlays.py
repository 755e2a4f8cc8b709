"""Pictures of an explanation: superpixels outlined, coloured by weight, the highest ones alone.

In:  pixels (H, W, 3) uint8 with segments, masks, weights or maps laid over them.
Out: pictures (h, w, 3) uint8, enlarged to a legible size.
Knows nothing of records and pages.
Orange speaks for a diagnosis and blue against it, so that no colour-blind eye mistakes them;
lines are white beside black, so that they show on any skin.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

SIDE_PX = 256
_FOR, _AGAINST = np.array([230, 120, 0.0]), np.array([0, 100, 210.0])
_DEEPEST = 0.62
_DIMMED = 0.25
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def draw_segments(pixels: Picture, segments: NDArray[np.int64]) -> Picture:
    """Outline every superpixel and write its number in it, from 1."""
    picture = _outlined(enlarged(pixels), _laid(segments))
    for number in range(int(segments.max()) + 1):
        _write(picture, str(number + 1), _middle(_laid(segments) == number))
    return picture


def draw_lesion(picture: Picture, lesion: NDArray[np.bool_] | None) -> Picture:
    """Outline the lesion by a yellow line, where it is known."""
    if lesion is None:
        return picture
    laid = _laid(lesion.astype(np.int64)).astype(np.uint8)
    around, _ = cv2.findContours(laid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = picture.copy()
    cv2.drawContours(drawn, around, -1, _BLACK, 3)
    cv2.drawContours(drawn, around, -1, (255, 225, 0), 1)
    return drawn


def draw_top(pixels: Picture, segments: NDArray[np.int64], top: NDArray[np.int64]) -> Picture:
    """Leave some superpixels as they are, with their rank, and dim all others to grey."""
    laid, shown = _laid(segments), enlarged(pixels)
    is_top = np.isin(laid, top)
    dimmed = _grey(shown) * _DIMMED + 255 * (0.9 - _DIMMED)
    picture = _outlined(np.where(is_top[..., None], shown, dimmed).astype(np.uint8), laid, is_top)
    for rank, number in enumerate(top.tolist(), start=1):
        _write(picture, str(rank), _middle(laid == number))
    return picture


def draw_weights(
    pixels: Picture, segments: NDArray[np.int64], weights: NDArray[np.float64]
) -> Picture:
    """Colour each superpixel by its weight: orange above 0, blue below, deepest at the largest."""
    laid = _laid(segments)
    return _outlined(_tinted(pixels, weights[laid]), laid)


def draw_heat(pixels: Picture, heat: NDArray[np.floating]) -> Picture:
    """Colour places by a map (h, w) in the same way."""
    laid = cv2.resize(heat.astype(np.float64), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)
    return _tinted(pixels, np.asarray(laid))


def as_png(picture: Picture) -> bytes:
    """Return a picture as a PNG file."""
    return bytes(cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes())


def enlarged(pixels: Picture) -> Picture:
    """Return the image at the size of the pictures, nothing drawn on it."""
    rule = cv2.INTER_AREA if pixels.shape[0] > SIDE_PX else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (SIDE_PX, SIDE_PX), interpolation=rule), dtype=np.uint8)


def _laid(segments: NDArray[np.int64]) -> NDArray[np.int64]:
    """Repeat rows and columns of numbers, which must not be averaged."""
    places = [np.arange(SIDE_PX) * side // SIDE_PX for side in segments.shape]
    return np.asarray(segments[places[0][:, None], places[1]])


def _tinted(pixels: Picture, values: NDArray[np.float64]) -> Picture:
    largest = float(np.abs(values).max())
    depth = np.abs(values)[..., None] / largest * _DEEPEST if largest > 0 else 0 * values[..., None]
    colour = np.where(values[..., None] > 0, _FOR, _AGAINST)
    mixed = (1 - depth) * _grey(enlarged(pixels)) + depth * colour
    return np.asarray(mixed.round(), dtype=np.uint8)


def _grey(picture: Picture) -> NDArray[np.float64]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.repeat(np.asarray(grey, dtype=np.float64)[..., None], 3, axis=2)


def _outlined(
    picture: Picture, laid: NDArray[np.int64], where: NDArray[np.bool_] | None = None
) -> Picture:
    """Draw white lines with black ones beside them between pieces, or around some of them."""
    pieces = laid if where is None else np.where(where, laid, -1)
    line = np.zeros(laid.shape, dtype=np.uint8)
    line[:, 1:] |= pieces[:, 1:] != pieces[:, :-1]
    line[1:] |= pieces[1:] != pieces[:-1]
    shadow = cv2.dilate(line, np.ones((3, 3), np.uint8))
    drawn = picture.copy()
    drawn[shadow > 0] = (drawn[shadow > 0] * 0.45).astype(np.uint8)
    drawn[line > 0] = _WHITE
    return drawn


def _middle(piece: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the place (x, y) in a piece that is farthest from its edge."""
    padded = np.pad(piece.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(x) - 1, int(y) - 1


def _write(picture: Picture, said: str, place: tuple[int, int]) -> None:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    (width, height), _ = cv2.getTextSize(said, font, scale, 1)
    x = min(max(place[0] - width // 2, 2), SIDE_PX - width - 2)
    y = min(max(place[1] + height // 2, height + 2), SIDE_PX - 3)
    cv2.putText(picture, said, (x, y), font, scale, _BLACK, 4, cv2.LINE_AA)
    cv2.putText(picture, said, (x, y), font, scale, _WHITE, 1, cv2.LINE_AA)
