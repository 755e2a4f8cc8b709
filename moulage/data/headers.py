"""Read what an image file says of itself before it is decoded: format, size, turn, wholeness.

In:  a file's bytes.   Out: a frozen record, or an `ImageError` that names the cause.
Knows nothing of decoders.
Why: a decoder reserves memory for whatever size a header claims, and says of a broken file only
that it is broken.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from moulage.errors import ImageError

Format = Literal["JPEG", "PNG", "TIFF", "BMP", "WebP"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END, _TEMPORARY = 0xD9, 0x01  # the markers that have no length, besides those within a scan
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLES, _EXIF, _SCAN = 0xDB, 0xE1, 0xDA
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_WIDTH, _HEIGHT, _COLOURS, _TURN = 256, 257, 262, 274
_CMYK = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """height, width as stored; turn: the EXIF orientation in [1, 8], 1 where none is told.

    `turn` is told of PNG and WebP only: the decoder turns the others by itself.
    """

    format: Format
    height: int
    width: int
    turn: int = 1
    is_cmyk: bool = False


def read_header(content: bytes) -> Header:
    """Return the header; raises ImageError with the cause "empty", "not an image", "truncated"."""
    if not content:
        raise ImageError("empty", "An image file must hold an image; got zero bytes. Replace it.")
    for signature, read in _READERS.items():
        if content.startswith(signature):
            return _read(read, content)
    raise ImageError(
        "not an image",
        "An image must be JPEG, PNG, TIFF, BMP or WebP; got none of these by its first bytes. "
        "Convert the file or remove it.",
    )


def quantisation_steps(content: bytes) -> tuple[int, ...]:
    """Return a JPEG's first quantisation table, 64 steps as stored; nothing for other formats.

    The same camera or export at the same quality writes the same table.
    """
    for place in _before_scan(content, _TABLES):
        form = ">64H" if content[place + 2] >> 4 else ">64B"
        return struct.unpack_from(form, content, place + 3)
    return ()


def noted_turn(content: bytes, header: Header) -> int:
    """Return the EXIF orientation in [1, 8] that a file tells, whoever follows it; 1 if none."""
    if header.format == "JPEG":
        return jpeg_turn(content)
    return _turn_in(content) if header.format == "TIFF" else header.turn


def jpeg_turn(content: bytes) -> int:
    """Return the EXIF orientation in [1, 8] that a JPEG tells, 1 where it tells none."""
    for place in _before_scan(content, _EXIF):
        block = content[place + 2 : place + struct.unpack_from(">H", content, place)[0]]
        if block.startswith(b"Exif\0\0"):
            return _turn_in(block.removeprefix(b"Exif\0\0"))
    return 1


def truncated(what: str) -> ImageError:
    """Return the error of a file that ends too early."""
    return ImageError(
        "truncated", f"An image file must be whole; got {what}. Download or copy it again."
    )


def _read(read: Callable[[bytes], Header], content: bytes) -> Header:
    try:
        return read(content)
    except (struct.error, IndexError, KeyError) as error:  # KeyError: a PNG without its header
        raise truncated("one that ends within its header, or lacks it") from error


def _read_jpeg(content: bytes) -> Header:
    header: Header | None = None
    for marker, place in _jpeg_segments(content):
        if marker in _SIZES and header is None:
            height, width = struct.unpack_from(">HH", content, place + 3)
            header = Header(format="JPEG", height=height, width=width)
        if marker == _END and header is not None:
            return header
    raise truncated("a JPEG without its end marker")


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, place of its length); image data are skipped over, thumbnails too."""
    place = 2
    while match := _MARKER_IN_SCAN.search(content, place):
        marker, place = content[match.start() + 1], match.end()
        yield marker, place
        if marker not in (_END, _TEMPORARY):
            place += struct.unpack_from(">H", content, place)[0]


def _before_scan(content: bytes, wanted: int) -> Iterator[int]:
    """Yield the places of a JPEG's segments of one kind that stand before its image data."""
    if not content.startswith(b"\xff\xd8\xff"):
        return
    for marker, place in _jpeg_segments(content):
        if marker == _SCAN:
            return
        if marker == wanted:
            yield place


def _read_png(content: bytes) -> Header:
    chunks = dict(_png_chunks(content))
    if b"IEND" not in chunks:
        raise truncated("a PNG without its end")
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    turn = _turn_in(chunks.get(b"eXIf", b""))
    return Header(format="PNG", height=height, width=width, turn=turn)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG_SIGNATURE)
    while place + 12 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        if place + 12 + size <= len(content):
            yield name, b"" if name == b"IDAT" else content[place + 8 : place + 8 + size]
        place += 12 + size


def _read_tiff(content: bytes) -> Header:
    tags = _tiff_tags(content)
    return Header(
        format="TIFF",
        height=tags.get(_HEIGHT, 0),
        width=tags.get(_WIDTH, 0),
        is_cmyk=tags.get(_COLOURS) == _CMYK,
    )


def _turn_in(exif: bytes) -> int:
    """A damaged remark about an image does not make the image unreadable."""
    try:
        return _tiff_tags(exif).get(_TURN, 1)
    except struct.error:
        return 1


def _tiff_tags(content: bytes) -> Mapping[int, int]:
    """Return the whole-number tags of the first image; an EXIF block is built the same way."""
    if len(content) < 8:
        return {}
    order = "<" if content[:2] == b"II" else ">"
    start = struct.unpack_from(f"{order}I", content, 4)[0]
    n_tags = struct.unpack_from(f"{order}H", content, start)[0]
    tags: dict[int, int] = {}
    for place in range(start + 2, start + 2 + 12 * n_tags, 12):
        tag, kind = struct.unpack_from(f"{order}HH", content, place)
        if kind in (3, 4):  # 16 or 32 bits
            form = f"{order}{'H' if kind == 3 else 'I'}"
            tags[tag] = struct.unpack_from(form, content, place + 8)[0]
    return tags


def _read_bmp(content: bytes) -> Header:
    size, width, height = struct.unpack_from("<I12xii", content, 2)
    if size > len(content):
        raise truncated(f"a BMP of {len(content)} bytes that announces {size}")
    return Header(format="BMP", height=abs(height), width=abs(width))


def _read_webp(content: bytes) -> Header:
    size, form = struct.unpack_from("<I4x4s", content, 4)
    if size + 8 > len(content):
        raise truncated(f"a WebP of {len(content)} bytes that announces {size + 8}")
    if form == b"VP8X":
        width, height = (1 + int.from_bytes(content[i : i + 3], "little") for i in (24, 27))
        return Header(format="WebP", height=height, width=width, turn=_webp_turn(content))
    if form == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    return Header(format="WebP", height=height, width=width)


def _webp_turn(content: bytes) -> int:
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        if name == b"EXIF":
            return _turn_in(content[place + 8 : place + 8 + size].removeprefix(b"Exif\0\0"))
        place += 8 + size + size % 2
    return 1


_READERS = {
    b"\xff\xd8\xff": _read_jpeg,
    _PNG_SIGNATURE: _read_png,
    b"II*\0": _read_tiff,
    b"MM\0*": _read_tiff,
    b"BM": _read_bmp,
    b"RIFF": _read_webp,
}
