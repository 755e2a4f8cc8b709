"""Decode one image file to RGB bytes, and lay it out as a square.

In:  a file's bytes.   Out: (H, W, 3) uint8 in [0, 255], RGB; an `ImageError` with a cause.
Knows nothing of catalogues or caches.

Turned as EXIF says; grey, palette and CMYK become RGB; 16 bits are scaled to 8, not cut; what
is transparent is laid on white.
A JPEG is read at a half, a quarter or an eighth where what is left is 1.5 times the wanted side
or more. Against decoding it whole that moves a grey level by 0.33 in the mean and 9 at most
(HAM10000 enlarged to 600 × 450 … 3008 × 2000, to 96, 128 and 224 px); at 1.0 times it would be
0.94 and 29.
What no decoder tells stays unseen: noise within a compressed TIFF, which has no checksums.
"""

from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from moulage.data.complaints import listening
from moulage.data.headers import Header, read_header
from moulage.errors import ConfigError, ImageError

Resize = Literal["squash", "crop", "pad"]
RESIZES: tuple[Resize, ...] = get_args(Resize)

MOST_PIXELS = 1 << 27  # 134 million: 400 MB decoded; whole-body photographs have 50 million
_MARGIN = 1.5
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
# libjpeg's words for image data that are lost; "extraneous bytes" are no loss
_LOSSES = ("premature end", "Premature end", "bad Huffman", "instead of RST", "bad arithmetic")
# EXIF orientation → quarter turns counter-clockwise, then a left-right mirror
_TURNS = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


def decode(content: bytes) -> NDArray[np.uint8]:
    """Decode a whole image to (H, W, 3) uint8, RGB."""
    with listening() as ear:
        image = _decode(content, read_header(content), flag=cv2.IMREAD_COLOR)
        check_complaints(ear.news())
    return image


def decode_square(content: bytes, *, size_px: int, resize: Resize) -> NDArray[np.uint8]:
    """Decode to (size_px, size_px, 3) uint8, RGB; a large JPEG is read at reduced size."""
    with listening() as ear:
        square = decode_aloud(content, size_px=size_px, resize=resize)
        check_complaints(ear.news())
    return square


def decode_aloud(content: bytes, *, size_px: int, resize: Resize) -> NDArray[np.uint8]:
    """Do as `decode_square` does, for threads, of which one listens for all.

    Speaks to the C library's stderr where a file is corrupt: call it within `listening`, and
    `check_complaints` of what was heard.
    """
    header = read_header(content)
    flag = _reduced_flag(header, size_px=size_px, resize=resize)
    return resize_image(_decode(content, header, flag=flag), size_px=size_px, resize=resize)


def check_complaints(heard: str) -> None:
    """Raise ImageError where a decoder said that image data are lost."""
    if any(loss in heard for loss in _LOSSES):
        raise ImageError(
            "corrupt",
            f"An image file must be whole; got '{heard.splitlines()[0]}'. Download it again.",
        )


def resize_image(image: NDArray[np.uint8], *, size_px: int, resize: Resize) -> NDArray[np.uint8]:
    """Lay `image (H, W, 3) uint8` out as (size_px, size_px, 3).

    squash: each axis on its own. crop: the centre square. pad: all of it, centred on black.
    """
    check_layout(size_px=size_px, resize=resize)
    if resize == "crop":
        image = _centre_square(image)
    if resize == "pad":
        return _pad(image, size_px)
    return _scale(image, height=size_px, width=size_px)


def check_layout(*, size_px: int, resize: str) -> None:
    """Raise ConfigError where the size or the rule is none, before any file is opened."""
    if resize not in RESIZES or size_px < 1:
        raise ConfigError(
            f"`resize` must be one of {', '.join(RESIZES)} and `size_px` at least 1; got "
            f"{resize!r} and {size_px}. Correct them."
        )


def _decode(content: bytes, header: Header, *, flag: int) -> NDArray[np.uint8]:
    n_pixels = header.height * header.width
    if not 0 < n_pixels <= MOST_PIXELS:
        raise ImageError(
            "too large" if n_pixels else "corrupt",
            f"An image must have 1 … {MOST_PIXELS} pixels; got {header.width} × {header.height}. "
            "Make it smaller, or remove it.",
        )
    raw = np.frombuffer(content, dtype=np.uint8)
    if header.format == "JPEG" or header.is_cmyk:
        return _to_rgb(_call_decoder(raw, flag))
    stored = _call_decoder(raw, cv2.IMREAD_UNCHANGED)
    return _turned(_to_rgb(_flattened(_to_8_bits(stored), header)), header.turn)


def _call_decoder(raw: NDArray[np.uint8], flag: int) -> NDArray[np.generic]:
    try:
        image = cv2.imdecode(raw, flag)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(
            "corrupt", "An image file must be whole; got one that the decoder refuses. Replace it."
        )
    return np.asarray(image)


def _to_8_bits(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale 16 bits to 8 by 257, so that black and white stay what they are."""
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    if image.dtype == np.uint16:
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise ImageError(
        "unsupported",
        f"An image must have 8 or 16 bits a channel; got {image.dtype}. Convert it to 8 bits.",
    )


def _flattened(image: NDArray[np.uint8], header: Header) -> NDArray[np.uint8]:
    """Lay (H, W, 4) on white; the decoder hands an 8-bit TIFF's colours already weighted."""
    if image.ndim == 2 or image.shape[2] < 4:
        return image
    alpha = image[..., 3:].astype(np.float32) / 255
    weight = np.float32(1) if header.format == "TIFF" else alpha
    return np.rint(image[..., :3] * weight + 255 * (1 - alpha)).clip(0, 255).astype(np.uint8)


def _to_rgb(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    code = cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)


def _turned(image: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    n_quarters, is_mirrored = _TURNS.get(turn, (0, False))
    turned = np.rot90(image, k=n_quarters)
    return np.ascontiguousarray(turned[:, ::-1] if is_mirrored else turned)


def _reduced_flag(header: Header, *, size_px: int, resize: Resize) -> int:
    sides = (header.height, header.width)
    side = max(sides) if resize == "pad" else min(sides)
    fits = [flag for factor, flag in _REDUCED.items() if side // factor >= _MARGIN * size_px]
    return fits[0] if fits else cv2.IMREAD_COLOR


def _centre_square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _pad(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    height, width = (max(1, round(n * size_px / max(image.shape[:2]))) for n in image.shape[:2])
    square = np.zeros((size_px, size_px, 3), dtype=np.uint8)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    square[top : top + height, left : left + width] = _scale(image, height=height, width=width)
    return square


def _scale(image: NDArray[np.uint8], *, height: int, width: int) -> NDArray[np.uint8]:
    """Shrink by averaging areas, enlarge linearly; an image may need one of each."""
    smaller = (min(width, image.shape[1]), min(height, image.shape[0]))
    shrunk = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    if smaller == (width, height):
        return np.asarray(shrunk, dtype=np.uint8)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
