from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from moulage.data.complaints import listening
from moulage.data.dataset import read_dataset
from moulage.data.images import decode, decode_aloud, decode_square
from moulage.data.thumbnails import read_thumbnails

whole, square = decode, partial(decode_square, size_px=8, resize="squash")


def cut_and_closed() -> bytes:
    """A JPEG of which half is lost, and whose end says that nothing is."""
    noise = np.random.default_rng(42).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    return jpeg[: len(jpeg) // 2] + b"\xff\xd9"


@pytest.mark.parametrize("how", [whole, square], ids=["whole", "square"])
def test_what_is_gone_or_complained_of_has_no_picture_however_it_is_decoded(
    ham: Path, capfd: pytest.CaptureFixture[str], how: Callable[[bytes], np.ndarray]
) -> None:
    catalogue = read_dataset(ham)
    torn, gone = (ham / catalogue.frame["path"][row] for row in (1, 2))
    torn.write_bytes(cut_and_closed())
    gone.unlink()
    found = read_thumbnails(catalogue, [0, 1, 2, 3], decode=how)
    assert list(found) == [0, 3]
    np.testing.assert_array_equal(found[3], how((ham / catalogue.frame["path"][3]).read_bytes()))
    assert capfd.readouterr().err == ""


def test_without_an_ear_a_torn_file_looks_whole() -> None:
    with listening() as ear:
        assert decode_aloud(cut_and_closed(), size_px=8, resize="squash").shape == (8, 8, 3)
        assert "Corrupt JPEG data" in ear.news()
