"""Every odd kind of image becomes the RGB squares that a stranger, Pillow, sees in it."""

import io
import struct
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from moulage.data.images import MOST_PIXELS, RESIZES, decode, decode_square, resize_image
from moulage.errors import ConfigError, ImageError

EXACT = {"JPEG": {"quality": 95}, "PNG": {}, "TIFF": {}, "WEBP": {"lossless": True, "exact": True}}


def smooth(height: int = 48, width: int = 64, seed: int = 42) -> NDArray[np.uint8]:
    """A coloured cloud (H, W, 3), different in every corner."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def as_pillow_sees(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", list(EXACT))
def test_exif_orientation_is_undone(form: str, turn: int) -> None:
    exif = Image.Exif()
    exif[274] = turn
    content = encoded(Image.fromarray(smooth()), form, exif=exif, **EXACT[form])
    np.testing.assert_array_equal(decode(content), as_pillow_sees(content))


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("JPEG", "L"),
        ("PNG", "L"),
        ("PNG", "P"),
        ("PNG", "1"),
        ("PNG", "RGB"),
        ("TIFF", "L"),
        ("TIFF", "P"),
        ("TIFF", "1"),
        ("TIFF", "CMYK"),
        ("BMP", "L"),
        ("BMP", "P"),
        ("BMP", "RGB"),
    ],
)
def test_every_colour_mode_becomes_the_same_rgb_as_pillows(form: str, mode: str) -> None:
    content = encoded(Image.fromarray(smooth()).convert(mode), form)
    np.testing.assert_array_equal(decode(content), as_pillow_sees(content))


def test_a_cmyk_jpeg_differs_from_pillows_by_its_rounding_only() -> None:
    content = encoded(Image.fromarray(smooth()).convert("CMYK"), "JPEG", quality=95)
    difference = np.abs(decode(content).astype(int) - as_pillow_sees(content))
    assert difference.max() <= 1


@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_16_bits_are_scaled_and_not_cut(ending: str) -> None:
    deep = np.array([[0, 128, 129, 257], [32768, 65278, 65407, 65535]], dtype=np.uint16)
    content = cv2.imencode(ending, deep)[1].tobytes()
    by_pencil = [[0, 0, 1, 1], [128, 254, 255, 255]]
    np.testing.assert_array_equal(decode(content), np.repeat(np.array(by_pencil)[..., None], 3, 2))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_what_is_transparent_is_laid_on_white(form: str) -> None:
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    layered = Image.fromarray(np.dstack([smooth(), alpha]))
    white = Image.new("RGBA", layered.size, "white")
    expected = np.asarray(Image.alpha_composite(white, layered).convert("RGB")).astype(int)
    difference = np.abs(decode(encoded(layered, form, **EXACT[form])) - expected)
    assert difference.max() <= 1  # an 8-bit TIFF is weighted before it is laid down


def test_transparency_of_a_palette_and_of_16_bits_is_laid_on_white_too() -> None:
    palette = Image.new("P", (4, 4))
    assert (decode(encoded(palette, "PNG", transparency=0)) == 255).all()
    clear = np.zeros((4, 4, 4), dtype=np.uint16)
    assert (decode(cv2.imencode(".png", clear)[1].tobytes()) == 255).all()


@cache
def broken_files() -> dict[str, tuple[bytes, str]]:
    cloud = Image.fromarray(smooth(480, 640))
    jpeg, png = encoded(cloud, "JPEG", quality=90), encoded(cloud, "PNG")
    tiff, webp = encoded(cloud, "TIFF", compression="tiff_lzw"), encoded(cloud, "WEBP")
    noise = bytes(np.random.default_rng(42).integers(1, 255, 400, dtype=np.uint8))  # no markers
    half = len(jpeg) // 2
    huge = jpeg.replace(struct.pack(">HH", 480, 640), struct.pack(">HH", 65500, 65500), 1)
    header = struct.pack(">II", 640, 480)
    bomb = png.replace(header, struct.pack(">II", 2**20, 2**20), 1)
    return {
        "zero bytes": (b"", "empty"),
        "text": (b"hello, world", "not an image"),
        "html": (b"<!doctype html><p>404", "not an image"),
        "gif": (encoded(cloud.convert("P"), "GIF"), "not an image"),
        "jpeg cut": (jpeg[:half], "truncated"),
        "jpeg cut in its header": (jpeg[:20], "truncated"),
        "jpeg without its last byte": (jpeg[:-1], "truncated"),
        "jpeg with a tail of zeros": (jpeg[:half] + bytes(half), "truncated"),
        "jpeg cut and closed": (jpeg[:half] + b"\xff\xd9", "corrupt"),
        "jpeg with noise": (jpeg[:half] + noise + jpeg[half + 400 :], "corrupt"),
        "png cut": (png[: len(png) // 2], "truncated"),
        "png without its header": (png.replace(b"IHDR", b"IHDX", 1), "truncated"),
        "png with noise": (png[:5000] + noise + png[5400:], "corrupt"),
        "tiff cut": (tiff[: len(tiff) // 2], "truncated"),
        "webp cut": (webp[: len(webp) // 2], "truncated"),
        "tiff without a size": (b"II*\0\x08\0\0\0\0\0", "corrupt"),
        "tiff cut in its header": (tiff[:6], "corrupt"),
        "bmp that lies of its size": (b"BM" + bytes(16) + b"\1\0\0\0" * 2, "corrupt"),
        "bmp of a negative height": (b"BM" + bytes(16) + b"\1\0\0\0" + b"\xff" * 4, "corrupt"),
        "bmp cut": (encoded(cloud, "BMP")[:5000], "truncated"),
        "float tiff": (
            encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"),
            "unsupported",
        ),
        "jpeg of 4 gigapixels": (huge, "too large"),
        "png of a terapixel": (bomb, "too large"),
    }


@pytest.mark.parametrize("name", list(broken_files()))
def test_a_broken_file_has_a_cause_and_is_not_heard(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content, cause = broken_files()[name]
    with pytest.raises(ImageError, match="must") as caught:
        decode(content)
    assert caught.value.cause == cause
    assert capfd.readouterr() == ("", "")


def test_the_limit_of_pixels_is_below_what_a_claimed_header_could_reserve() -> None:
    assert MOST_PIXELS * 3 < 512 << 20


def test_bytes_behind_the_end_of_a_jpeg_are_no_fault() -> None:
    whole = encoded(Image.fromarray(smooth()), "JPEG", quality=95)
    np.testing.assert_array_equal(decode(whole + b"camera maker's remarks"), decode(whole))


def test_a_thumbnail_within_a_jpeg_is_taken_for_neither_its_end_nor_its_size() -> None:
    exif = Image.Exif()
    exif[37500] = encoded(Image.fromarray(smooth(8, 8)), "JPEG")
    whole = encoded(Image.fromarray(smooth()), "JPEG", exif=exif)
    assert decode(whole).shape == (48, 64, 3)
    with pytest.raises(ImageError, match="whole") as caught:
        decode(whole[:-2])
    assert caught.value.cause == "truncated"


@pytest.mark.parametrize(
    "options",
    [{"lossless": True}, {"quality": 80}, {"quality": 80, "exif": b"Exif\0\0MM\0*\0\0\0\xff"}],
)
def test_every_kind_of_webp_is_read(options: dict[str, object]) -> None:
    content = encoded(Image.fromarray(smooth()), "WEBP", **options)
    stored = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(decode(content), stored)


def test_a_damaged_remark_does_not_make_a_png_unreadable() -> None:
    content = encoded(Image.fromarray(smooth()), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\xff\xff\xff")
    np.testing.assert_array_equal(decode(content), smooth())


def test_a_progressive_jpeg_is_read() -> None:
    content = encoded(Image.fromarray(smooth()), "JPEG", progressive=True)
    np.testing.assert_array_equal(decode(content), as_pillow_sees(content))


@cache
def photograph() -> bytes:
    grain = np.random.default_rng(42).normal(0, 4, (1200, 1600, 3))
    noisy = np.clip(smooth(1200, 1600) + grain, 0, 255).astype(np.uint8)
    return encoded(Image.fromarray(noisy), "JPEG", quality=92)


@pytest.mark.parametrize("size_px", [32, 96, 128, 224])
def test_reading_a_jpeg_at_reduced_size_is_as_close_as_stated(size_px: int) -> None:
    content = photograph()
    whole = resize_image(decode(content), size_px=size_px, resize="squash").astype(int)
    difference = np.abs(decode_square(content, size_px=size_px, resize="squash") - whole)
    assert difference.mean() <= 0.33
    assert difference.max() <= 9


def test_a_small_jpeg_is_decoded_whole() -> None:
    content = encoded(Image.fromarray(smooth(150, 200)), "JPEG")
    whole = resize_image(decode(content), size_px=128, resize="squash")
    np.testing.assert_array_equal(decode_square(content, size_px=128, resize="squash"), whole)


@pytest.mark.parametrize("resize", RESIZES)
def test_a_square_of_the_wanted_size_stays_as_it_is(resize: str) -> None:
    image = smooth(32, 32)
    np.testing.assert_array_equal(resize_image(image, size_px=32, resize=resize), image)


def test_shrinking_averages_areas_and_enlarging_is_linear() -> None:
    blocks = np.repeat(np.repeat(np.array([[0, 40], [80, 120]], np.uint8), 3, 0), 3, 1)
    image = np.repeat(blocks[..., None], 3, axis=2)
    small = resize_image(image, size_px=2, resize="squash")
    np.testing.assert_array_equal(small[..., 0], [[0, 40], [80, 120]])
    large = resize_image(small, size_px=4, resize="squash")[0, :, 0]
    np.testing.assert_array_equal(large, [0, 10, 30, 40])


def test_an_image_may_shrink_along_one_axis_and_grow_along_the_other() -> None:
    image = np.zeros((1, 8, 3), dtype=np.uint8)
    image[:, ::2] = 200  # linear sampling alone would see stripes
    np.testing.assert_array_equal(resize_image(image, size_px=4, resize="squash"), 100)


def test_crop_keeps_the_centre_and_pad_keeps_all() -> None:
    image = np.full((4, 8, 3), 9, dtype=np.uint8)
    image[:, 2:6] = 200
    assert (resize_image(image, size_px=4, resize="crop") == 200).all()
    padded = resize_image(image, size_px=8, resize="pad")
    np.testing.assert_array_equal(padded[2:6], image)
    assert not padded[:2].any()
    assert not padded[6:].any()


def test_a_strip_one_pixel_high_can_be_padded() -> None:
    strip = np.full((1, 500, 3), 7, dtype=np.uint8)
    assert resize_image(strip, size_px=16, resize="pad").any()


def test_an_unknown_rule_or_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="`resize` must be one of squash, crop, pad"):
        resize_image(smooth(), size_px=8, resize="stretch")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="`size_px` at least 1; got 'pad' and 0"):
        resize_image(smooth(), size_px=0, resize="pad")
