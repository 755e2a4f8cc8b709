"""Loose files are decoded in bounded batches, in order, and what is broken is listed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from moulage.data.decoding import decode_batches, list_image_files
from moulage.errors import ConfigError, DataError

Write = Callable[..., Path]


def test_what_a_folder_holds_beside_readable_images_is_told(
    tmp_path: Path, write_image: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "a.jpg")
    (tmp_path / "table.csv").write_text("image_id\na\n")
    assert list_image_files([tmp_path]) == [f"{tmp_path}/a.jpg"]
    assert caplog.text == ""
    (tmp_path / "b.dcm").touch()
    assert list_image_files([tmp_path]) == [f"{tmp_path}/a.jpg"]
    assert "1 file beside the images is no image that can be read (b.dcm)" in caplog.text


def test_masks_that_a_folder_holds_are_counted_and_named_ones_are_read(
    tmp_path: Path, write_image: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "a.jpg")
    mask = write_image(tmp_path / "x_segmentation.png")
    assert list_image_files([tmp_path]) == [f"{tmp_path}/a.jpg"]
    assert f"1 files in {tmp_path} are called as lesion masks are (x_segm" in caplog.text
    caplog.clear()
    assert list_image_files([mask]) == [str(mask)]
    assert caplog.text == ""


def test_a_file_that_is_named_twice_counts_once_by_its_first_name(
    tmp_path: Path,
    write_image: Write,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_image(tmp_path / "pz/a.JPG")
    write_image(tmp_path / "pz/b.JPG")
    (tmp_path / "link").symlink_to(tmp_path / "pz")
    monkeypatch.chdir(tmp_path)
    loose, folder = Path("pz/a.JPG"), Path("pz")
    absolute = f"{tmp_path}/pz/a.JPG", f"{tmp_path}/pz/b.JPG"
    assert list_image_files([folder, loose, Path("link/b.JPG")]) == list(absolute)
    assert "2 files were named more than once (pz/a.JPG, link/b.JPG) and count o" in caplog.text
    assert list_image_files([loose, loose, folder]) == ["pz/a.JPG", absolute[1]]


def test_files_folders_and_zips_become_one_list(
    tmp_path: Path, write_image: Write, zip_folder: Callable[[Path], Path]
) -> None:
    write_image(tmp_path / "folder/deep/b.png")
    write_image(tmp_path / "folder/a.jpg")
    write_image(tmp_path / "folder/c.jpg").rename(tmp_path / "folder/b.jfif")
    (tmp_path / "folder/readme.txt").touch()
    write_image(tmp_path / "zipped/c.png", grey=77)
    archive = zip_folder(tmp_path / "zipped")
    odd = write_image(tmp_path / "z.png").rename(tmp_path / "no_ending")
    names = list_image_files([odd, tmp_path / "folder", archive])
    assert [name.removeprefix(str(tmp_path)) for name in names] == [
        "/no_ending",
        "/folder/a.jpg",
        "/folder/b.jfif",
        "/folder/deep/b.png",
        "/zipped.zip!/c.png",
    ]
    (batch,) = decode_batches(names, size_px=4, resize="squash")
    assert batch.pixels.shape == (5, 4, 4, 3)
    assert (batch.pixels[4] == 77).all()


def test_batches_are_bounded_and_cover_all_in_order(tmp_path: Path, write_image: Write) -> None:
    paths = [write_image(tmp_path / f"{k}.png", grey=k % 256) for k in range(600)]
    paths.insert(300, tmp_path / "absent.png")
    batches = list(decode_batches(paths, size_px=2, resize="squash"))
    assert [len(batch.pixels) for batch in batches] == [256, 255, 89]
    assert [batch.n_seen for batch in batches] == [256, 512, 601]
    rows = np.concatenate([batch.rows for batch in batches])
    assert rows.tolist() == [*range(300), *range(301, 601)]
    greys = np.concatenate([batch.pixels[:, 0, 0, 0] for batch in batches])
    assert greys.tolist() == [k % 256 for k in range(600)]
    assert [(u.row, u.cause) for u in batches[1].unreadable] == [(300, "missing")]


def test_a_batch_of_large_squares_holds_16_mib(tmp_path: Path, write_image: Write) -> None:
    paths = [write_image(tmp_path / f"{k}.png") for k in range(3)]
    batches = list(decode_batches(paths, size_px=2048, resize="squash"))
    assert [len(batch.pixels) for batch in batches] == [1, 1, 1]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"must hold images \(.jpg, .* got none among 1 files in"):
        list_image_files([tmp_path])


def test_a_batch_of_broken_files_is_empty_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (batch,) = decode_batches([tmp_path / "empty.jpg", tmp_path], size_px=4, resize="crop")
    assert batch.pixels.shape == (0, 4, 4, 3)
    assert [fault.cause for fault in batch.unreadable] == ["empty", "not readable"]


def test_no_files_are_no_batches() -> None:
    assert list(decode_batches([], size_px=4, resize="pad")) == []


def test_a_wrong_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="`size_px` at least 1"):
        list(decode_batches([], size_px=0, resize="pad"))


def test_a_member_of_a_damaged_zip_is_not_readable(
    tmp_path: Path, write_image: Write, zip_folder: Callable[[Path], Path]
) -> None:
    write_image(tmp_path / "zipped/c.png", height=50, width=50)
    archive = zip_folder(tmp_path / "zipped")
    content = bytearray(archive.read_bytes())
    content[60] ^= 255
    archive.write_bytes(content)
    names = [f"{archive}!/c.png", f"{archive}!/absent.png"]
    (batch,) = decode_batches(names, size_px=4, resize="squash")
    assert [fault.cause for fault in batch.unreadable] == ["not readable", "missing"]
