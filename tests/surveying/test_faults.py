"""Broken, blank, tiny, turned and doubled files, each made on purpose."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from moulage.data.headers import jpeg_turn, quantisation_steps
from moulage.surveying.appearance import measure_pixels
from moulage.surveying.faults import Fault, count_faults, find_faults
from moulage.surveying.files import COLUMNS, examine_files

NOISE = np.random.default_rng(42).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def jpeg(image: np.ndarray, *, quality: int = 90) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [int(cv2.IMWRITE_JPEG_QUALITY), quality])[1])


def turned_jpeg(image: np.ndarray, turn: int) -> bytes:
    tags = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHIHH", 274, 3, 1, turn, 0)
    block = b"Exif\0\0" + tags + struct.pack("<I", 0)
    content = jpeg(image)
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    whole = jpeg(NOISE)
    contents = {
        "good": whole,
        "other": jpeg(NOISE[::-1].copy(), quality=40),
        "twice": whole,
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "tiny": jpeg(NOISE[:30, :40]),
        "turned": turned_jpeg(NOISE[:, ::-1].copy(), 6),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.jpg").write_bytes(content)
    return tmp_path


NAMES = ("good", "other", "twice", "truncated", "empty", "tiny", "turned", "gone")


def test_files_are_told_by_their_bytes(folder: Path) -> None:
    found = examine_files([f"{name}.jpg" for name in NAMES], root=folder)
    assert tuple(found.columns) == COLUMNS
    assert found["cause"].tolist() == ["", "", "", "truncated", "empty", "", "", "missing"]
    assert found["n_bytes"].iat[0] == (folder / "good.jpg").stat().st_size
    assert found.loc[[0, 5], ["width", "height"]].to_numpy().tolist() == [[120, 90], [40, 30]]
    assert found["turn"].tolist()[-2] == 6
    good, other = found["tables"].tolist()[:2]
    assert good != other
    assert float(good.split()[0]) < float(other.split()[0])


def test_each_fault_is_found_once(folder: Path) -> None:
    files = examine_files([f"{name}.jpg" for name in NAMES], root=folder)
    readable = np.array([0, 1, 2, 5, 6])
    pixels = np.stack([cv2.resize(NOISE, (32, 32))] * 5)
    pixels[1] = 128
    found = find_faults(
        files=files,
        looks=measure_pixels(pixels),
        looked_at=readable,
        unreadable={3: "truncated"},
        image_ids=np.array(NAMES),
    )
    assert [(one.kind, one.image_id) for one in found] == [
        ("unreadable", "truncated"),
        ("unreadable", "empty"),
        ("unreadable", "gone"),
        ("blank", "other"),
        ("tiny", "tiny"),
        ("turned", "turned"),
        ("twice", "twice"),
    ]
    assert found[-1].other == "good"
    assert count_faults(found)["unreadable"] == 3
    assert "upright" not in count_faults(found)


def test_one_upright_image_among_many_that_lie_is_named() -> None:
    import pandas as pd

    n = 30
    files = pd.DataFrame(
        {
            "n_bytes": 1, "digest": [str(i) for i in range(n)], "format": "PNG",
            "width": [600] * (n - 1) + [450], "height": [450] * (n - 1) + [600],
            "turn": 1, "tables": "", "cause": "",
        }
    )  # fmt: skip
    looks = pd.DataFrame({"contrast": np.full(n, 30.0)})
    ids = np.array([f"i{i}" for i in range(n)])
    found = find_faults(
        files=files, looks=looks, looked_at=np.arange(n), unreadable={}, image_ids=ids
    )
    assert found == (Fault(kind="upright", row=n - 1, image_id="i29", detail="450 × 600"),)


def test_only_jpegs_have_tables_and_their_turn_is_told() -> None:
    png = bytes(cv2.imencode(".png", NOISE)[1])
    assert quantisation_steps(png) == ()
    assert jpeg_turn(png) == 1
    steps = quantisation_steps(jpeg(NOISE, quality=100))
    assert steps == (1,) * 64  # at quality 100 nothing is rounded
    assert jpeg_turn(jpeg(NOISE)) == 1
    assert jpeg_turn(turned_jpeg(NOISE, 8)) == 8


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_note_to_be_turned_is_told_of_every_format(tmp_path: Path, form: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    for name, kept in (("turned", {"exif": exif}), ("plain", {})):
        Image.fromarray(NOISE).save(tmp_path / name, form, **kept)
    assert examine_files(["turned", "plain"], root=tmp_path)["turn"].tolist() == [6, 1]
