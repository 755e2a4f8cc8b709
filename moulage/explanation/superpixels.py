"""Cut an image into exactly S connected superpixels.

In:  pixels (H, W, 3) uint8, S.   Out: segments (H, W) int64 in [0, S), each 4-connected.
Knows nothing of classifiers. Equal pixels give equal segments.
Why: an algorithm asked for ten superpixels returns between four and nine. So it is asked for
more, and neighbours that are most alike are merged until S are left.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.errors import ConfigError, ShapeError

Method = Literal["slic", "felzenszwalb", "grid"]
METHODS: tuple[Method, ...] = ("slic", "felzenszwalb", "grid")

N_SEGMENTS = 10
# Fragments asked for, for each superpixel wanted: enough for merging to have a choice.
_FRAGMENTS_EACH = 4
# One superpixel's width weighs as much as this distance in CIELAB: in SLIC, and in merging, where
# long things such as rulers should stay whole.
_COMPACTNESS, _LOOSENESS = 10.0, 5.0
# How far lightness lies from its mean nearby weighs this much in merging; nearby: within this
# share of a superpixel's width, as standard deviation.
_TEXTURE, _NEARBY = 2.0, 0.1
# Larger photographs are cut at this size, and the cut enlarged: 24 megapixels take minutes.
_LONGEST_PX = 512


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fragments:
    """Pieces to merge, and which of them touch.

    sizes (F,); means (F, 6) of colour, place and texture; touching (E, 2).
    """

    sizes: NDArray[np.float64]
    means: NDArray[np.float64]
    touching: NDArray[np.int64]


def segment(
    pixels: NDArray[np.uint8], *, n_segments: int = N_SEGMENTS, method: Method = "slic"
) -> NDArray[np.int64]:
    """Return segments (H, W) int64 in [0, S), numbered by their first pixel in reading order.

    Raises ConfigError for an unknown method, or S outside [1, H·W].
    """
    check_pixels(pixels)
    height, width = pixels.shape[:2]
    if method not in METHODS:
        raise ConfigError(
            f"`method` must be one of {', '.join(METHODS)}; got {method!r}. Choose one of them."
        )
    if not 1 <= n_segments <= height * width:
        raise ConfigError(
            f"`n_segments` must lie in [1, {height * width}], the number of pixels; got "
            f"{n_segments}. Ask for 5 to 50."
        )
    if method == "grid":
        return grid(height, width, n_segments)
    small = _shrink(pixels, n_segments)
    return _enlarge(_cut(small, n_segments, method), height, width)


def check_pixels(pixels: NDArray[np.uint8]) -> None:
    """Raise ShapeError unless pixels are (H, W, 3) uint8 with at least one pixel."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size or pixels.dtype != np.uint8:
        raise ShapeError(
            f"`pixels` must have shape (H, W, 3) and type uint8; got {pixels.shape} of "
            f"{pixels.dtype}. Give a grey image three channels: `np.stack([grey] * 3, axis=-1)`."
        )


def grid(height: int, width: int, n_segments: int) -> NDArray[np.int64]:
    """Return S rectangles of nearly equal area: rows of cells, a row as high as it has cells."""
    wanted = round(math.sqrt(n_segments * height / width))
    n_rows = min(max(wanted, math.ceil(n_segments / width), 1), height, n_segments)
    edges = [n_segments * row // n_rows for row in range(n_rows + 1)]
    tops = [row + round((height - n_rows) * edge / n_segments) for row, edge in enumerate(edges)]
    segments = np.empty((height, width), dtype=np.int64)
    for row in range(n_rows):
        n_cells = edges[row + 1] - edges[row]
        cells = (np.arange(width) + 1) * n_cells
        segments[tops[row] : tops[row + 1]] = edges[row] + (cells - 1) // width
    return segments


def _shrink(pixels: NDArray[np.uint8], n_segments: int) -> NDArray[np.uint8]:
    """Bring the longer side down to the limit, unless superpixels would be a few pixels each."""
    height, width = pixels.shape[:2]
    scale = _LONGEST_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if scale >= 1 or size[0] * size[1] < 64 * n_segments:
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _enlarge(segments: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Repeat rows and columns: a connected superpixel stays connected."""
    rows = np.arange(height) * segments.shape[0] // height
    columns = np.arange(width) * segments.shape[1] // width
    return np.asarray(segments[rows[:, None], columns])


def _cut(pixels: NDArray[np.uint8], n_segments: int, method: Method) -> NDArray[np.int64]:
    from skimage.color import rgb2lab

    colours = rgb2lab(pixels)
    cut = _slic if method == "slic" else _felzenszwalb
    pieces = _connected(cut(pixels, n_segments))
    if pieces.max() + 1 < n_segments:  # an even image: nothing to follow but the ruler
        height, width = pieces.shape
        n_cells = min(_FRAGMENTS_EACH * n_segments, pieces.size)
        pieces = _connected(pieces * n_cells + grid(height, width, n_cells))
    fragments = _describe(pieces, colours, n_segments)
    return _in_reading_order(_merge(fragments, n_segments)[pieces])


def _slic(pixels: NDArray[np.uint8], n_segments: int) -> NDArray[np.int64]:
    from skimage.segmentation import slic

    n_fragments = min(_FRAGMENTS_EACH * n_segments, pixels.shape[0] * pixels.shape[1])
    found = slic(
        pixels, n_segments=n_fragments, compactness=_COMPACTNESS, start_label=0, channel_axis=-1
    )
    return np.asarray(found, dtype=np.int64)


def _felzenszwalb(pixels: NDArray[np.uint8], n_segments: int) -> NDArray[np.int64]:
    """Lower the scale until there are fragments enough, or no scale gives more."""
    from skimage.segmentation import felzenszwalb

    area = pixels.shape[0] * pixels.shape[1]
    found = np.zeros(pixels.shape[:2], dtype=np.int64)
    for scale in (400.0, 100.0, 25.0, 5.0, 1.0):
        least = max(1, round(area / (2 * _FRAGMENTS_EACH * n_segments)))
        pieces = felzenszwalb(pixels, scale=scale, sigma=0.8, min_size=least, channel_axis=-1)
        found = np.asarray(pieces, dtype=np.int64)
        if found.max() + 1 >= 2 * n_segments:
            break
    return found


def _connected(pieces: NDArray[np.int64]) -> NDArray[np.int64]:
    from skimage.measure import label

    return np.asarray(label(pieces, connectivity=1, background=-1), dtype=np.int64) - 1


def _describe(
    pieces: NDArray[np.int64], colours: NDArray[np.float64], n_segments: int
) -> _Fragments:
    height, width = pieces.shape
    side = math.sqrt(height * width / n_segments)
    ys, xs = np.mgrid[:height, :width] * _LOOSENESS / side
    lightness = colours[..., 0]
    contrast = np.abs(lightness - cv2.GaussianBlur(lightness, (0, 0), _NEARBY * side))
    features = np.dstack([colours, ys, xs, _TEXTURE * contrast]).reshape(-1, 6)
    flat = pieces.ravel()
    sizes = np.bincount(flat).astype(np.float64)
    sums = [np.bincount(flat, weights=column) for column in features.T]
    beside = np.stack([pieces[:, :-1].ravel(), pieces[:, 1:].ravel()], axis=1)
    below = np.stack([pieces[:-1].ravel(), pieces[1:].ravel()], axis=1)
    pairs = np.sort(np.concatenate([beside, below]), axis=1)
    touching = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return _Fragments(sizes=sizes, means=np.stack(sums, axis=1) / sizes[:, None], touching=touching)


def _merge(fragments: _Fragments, n_segments: int) -> NDArray[np.int64]:
    """Return the superpixel of each fragment (F,): the cheapest touching pair first [ward1963].

    The price is the growth of the sum of squares in colour, place and texture; equal prices go by
    number.
    """
    sizes, means = fragments.sizes.copy(), fragments.means.copy()
    owner = np.arange(len(sizes))
    neighbours: dict[int, set[int]] = {place: set() for place in range(len(sizes))}
    for one, other in fragments.touching.tolist():
        neighbours[one].add(other)
        neighbours[other].add(one)
    births = np.zeros(len(sizes), dtype=np.int64)  # how often a fragment has grown
    queue = [
        (_price(sizes, means, one, other), one, other, 0)
        for one, other in fragments.touching.tolist()
    ]
    heapq.heapify(queue)
    for _ in range(len(sizes) - n_segments):
        kept, lost = _cheapest(queue, births, neighbours)
        means[kept] = np.average(means[[kept, lost]], axis=0, weights=sizes[[kept, lost]])
        sizes[kept] += sizes[lost]
        owner[owner == lost] = kept
        births[kept] += 1
        for other in _inherit(neighbours, kept, lost):
            pair = (min(kept, other), max(kept, other))
            stamp = int(births[kept] + births[other])
            heapq.heappush(queue, (_price(sizes, means, *pair), *pair, stamp))
    return owner


def _price(sizes: NDArray[np.float64], means: NDArray[np.float64], one: int, other: int) -> float:
    apart = float(((means[one] - means[other]) ** 2).sum())
    return float(sizes[one] * sizes[other] / (sizes[one] + sizes[other])) * apart


def _cheapest(
    queue: list[tuple[float, int, int, int]],
    births: NDArray[np.int64],
    neighbours: dict[int, set[int]],
) -> tuple[int, int]:
    """Pop prices until one is of today: both still exist, and neither has grown since."""
    while True:
        _, one, other, stamp = heapq.heappop(queue)
        if other in neighbours.get(one, ()) and stamp == births[one] + births[other]:
            return one, other


def _inherit(neighbours: dict[int, set[int]], kept: int, lost: int) -> Iterator[int]:
    """Give the neighbours of a merged fragment to its new owner; yield all that he has now."""
    for other in neighbours.pop(lost):
        neighbours[other].discard(lost)
        if other != kept:
            neighbours[other].add(kept)
            neighbours[kept].add(other)
    return iter(sorted(neighbours[kept]))


def _in_reading_order(segments: NDArray[np.int64]) -> NDArray[np.int64]:
    _, first, place = np.unique(segments, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[place.reshape(segments.shape)]
