"""Pixels are decoded once, in order, and never read half built."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from moulage import store
from moulage.catalogue import Catalogue
from moulage.data.dataset import read_dataset
from moulage.data.images import decode, resize_image
from moulage.data.pixels import Pixels, build_pixels
from moulage.errors import ConfigError, DataError
from moulage.files import cache_folder


def build(catalogue: Catalogue, **options: object) -> Pixels:
    return build_pixels(catalogue, **{"size_px": 8, "resize": "squash", **options})  # type: ignore[arg-type]


def decoded(catalogue: Catalogue) -> list[int]:
    """Build, and say how often progress was told: [] means that the cache had it all."""
    told: list[int] = []
    build(catalogue, progress=lambda done, n: told.append(done))
    return told


def test_each_row_is_its_image(ham: Path) -> None:
    catalogue = read_dataset(ham)
    pixels = build(catalogue, threads=3)
    assert pixels.array.shape == (14, 8, 8, 3)
    assert pixels.image_ids.tolist() == catalogue.image_ids.tolist()
    for row, path in zip(pixels.array, catalogue.frame["path"], strict=True):
        alone = decode((ham / path).read_bytes())
        np.testing.assert_array_equal(row, resize_image(alone, size_px=8, resize="squash"))


def test_the_array_cannot_be_written(ham: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        build(read_dataset(ham)).array[0] = 0


def test_the_cache_is_used_and_progress_told_while_it_is_filled(ham: Path) -> None:
    catalogue = read_dataset(ham)
    assert decoded(catalogue) == [14]
    assert decoded(catalogue) == []


def test_zipped_and_loose_images_give_the_same_pixels(
    ham: Path, zip_folder: Callable[[Path], Path]
) -> None:
    loose = build(read_dataset(ham))
    for part in (1, 2):
        zip_folder(ham / f"HAM10000_images_part_{part}")
    catalogue = read_dataset(ham)
    zipped = build(catalogue)
    np.testing.assert_array_equal(zipped.array, loose.array)
    assert decoded(catalogue) == []


@pytest.mark.parametrize("verify", [False, True])
def test_another_key_for_other_rows_order_size_rule_or_content(ham: Path, verify: bool) -> None:
    catalogue = read_dataset(ham)
    keys = {build(catalogue, verify=verify).key}
    keys.add(build(catalogue.take([1, 0, *range(2, 14)]), verify=verify).key)
    keys.add(build(catalogue.take(range(13)), verify=verify).key)
    keys.add(build(catalogue, size_px=9, verify=verify).key)
    keys.add(build(catalogue, resize="pad", verify=verify).key)
    cv2.imwrite(str(ham / catalogue.frame["path"][0]), np.zeros((9, 9, 3), np.uint8))
    keys.add(build(catalogue, verify=verify).key)
    assert len(keys) == 6


def test_verify_sees_a_change_that_keeps_size_and_time_and_needs_no_place(ham: Path) -> None:
    catalogue = read_dataset(ham)
    file = ham / catalogue.frame["path"][0]
    before, status = build(catalogue, verify=True).key, file.stat()
    moved = shutil.copytree(ham, ham.with_name("copy"))
    assert build(read_dataset(moved), verify=True).key == before
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert build(catalogue, verify=True, unreadable="skip").key != before


def test_a_touched_file_is_decoded_again(ham: Path) -> None:
    catalogue = read_dataset(ham)
    decoded(catalogue)
    os.utime(ham / catalogue.frame["path"][3], (1, 1))
    assert decoded(catalogue) == [14]


def spoil(ham: Path, catalogue: Catalogue) -> None:
    """An empty, a text, a half-grey and a lost file among the fourteen."""
    files = [ham / path for path in catalogue.frame["path"]]
    files[1].write_bytes(b"")
    files[4].write_text("<html>404</html>")
    noise = np.random.default_rng(42).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    files[7].write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    files[13].unlink()


def test_unreadable_files_are_refused_with_their_causes_counted(ham: Path) -> None:
    catalogue = read_dataset(ham)
    spoil(ham, catalogue)
    causes = r"got 4 that are not \(empty 1, not an image 1, corrupt 1, missing 1\)"
    with pytest.raises(DataError, match=causes):
        build(catalogue)
    assert store.entries() == []
    build(catalogue, unreadable="skip")
    with pytest.raises(DataError, match=causes):
        build(catalogue)


def test_unreadable_files_are_skipped_and_the_rest_stay_in_line(
    ham: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    catalogue = read_dataset(ham)
    whole = np.array(build(catalogue).array)
    spoil(ham, catalogue)
    pixels = build(catalogue, unreadable="skip")
    assert [fault.row for fault in pixels.skipped] == [1, 4, 7, 13]
    assert pixels.skipped[2].path == catalogue.frame["path"][7]
    assert pixels.rows.tolist() == [0, 2, 3, 5, 6, 8, 9, 10, 11, 12]
    np.testing.assert_array_equal(pixels.array, whole[pixels.rows])
    assert catalogue.take(pixels.rows).image_ids.tolist() == pixels.image_ids.tolist()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("verify", [False, True])
def test_a_zip_damaged_after_the_catalogue_was_read_is_told(
    ham: Path, zip_folder: Callable[[Path], Path], verify: bool
) -> None:
    archive = zip_folder(ham / "HAM10000_images_part_1")
    catalogue = read_dataset(ham)
    archive.write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=r"got 7 that are not \(not readable 7\)"):
        build(catalogue, verify=verify)
    archive.unlink()
    with pytest.raises(DataError, match=r"got 7 that are not \(missing 7\)"):
        build(catalogue, verify=verify)


def test_nothing_readable_is_refused_even_where_skipping_is_allowed(ham: Path) -> None:
    catalogue = read_dataset(ham).take([0, 1])
    for path in catalogue.frame["path"]:
        (ham / path).write_bytes(b"")
    with pytest.raises(DataError, match=r"got 2 that are not \(empty 2\)"):
        build(catalogue, unreadable="skip")


def test_a_wrong_rule_is_refused_before_anything_is_decoded(ham: Path) -> None:
    with pytest.raises(ConfigError, match="`resize` must be one of"):
        build(read_dataset(ham), resize="stretch")


def test_a_build_that_stops_midway_leaves_nothing_to_read(ham: Path) -> None:
    catalogue = read_dataset(ham)

    def stop(done: int, n: int) -> None:
        raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        build(catalogue, progress=stop)
    assert store.entries() == []
    assert decoded(catalogue) == [14]


@pytest.mark.parametrize("name", ["pixels.npy", "digest.txt", "unreadable.json", "key.json"])
@pytest.mark.parametrize("content", [None, b"", b"half"])
def test_a_torn_cache_is_told_and_decoded_anew(
    ham: Path, caplog: pytest.LogCaptureFixture, name: str, content: bytes | None
) -> None:
    catalogue = read_dataset(ham)
    before = build(catalogue)
    torn = cache_folder() / "pixels" / before.key / name
    torn.unlink()
    if content is not None:
        torn.write_bytes(content)
    assert decoded(catalogue) == [14]
    (line,) = caplog.messages
    assert f"{torn.parent} is not whole ({name} " in line
    after = build(catalogue)
    assert (after.key, after.digest) == (before.key, before.digest)
    np.testing.assert_array_equal(after.array, before.array)
    assert decoded(catalogue) == []


def test_a_flipped_bit_in_the_cache_is_found_where_bytes_are_verified(ham: Path) -> None:
    catalogue = read_dataset(ham)
    before = build(catalogue, verify=True)
    kept = cache_folder() / "pixels" / before.key / "pixels.npy"
    content = bytearray(kept.read_bytes())
    content[-1] ^= 128
    kept.write_bytes(content)
    after = build(catalogue, verify=True)
    assert not np.array_equal(
        after.array, np.frombuffer(content, np.uint8)[128:].reshape(14, 8, 8, 3)
    )
    assert build(catalogue, verify=True).digest == before.digest


KILLED = """
import os, signal, sys
from pathlib import Path
from moulage.data.dataset import read_dataset
from moulage.data.pixels import build_pixels
kill = lambda done, n: os.kill(os.getpid(), signal.SIGKILL)
build_pixels(read_dataset(Path(sys.argv[1])), size_px=8, resize="squash", progress=kill)
"""


def test_a_killed_build_is_never_read(ham: Path, own_cache: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(ham)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.name[:10] for path in (own_cache / "pixels").iterdir()] == [".building-"]
    assert decoded(read_dataset(ham)) == [14]


@pytest.mark.slow
def test_the_real_images_are_decoded_within_bounded_memory(shared_ham: Path) -> None:
    pixels = build(read_dataset(shared_ham), size_px=128)
    assert pixels.array.shape == (10015, 128, 128, 3)
    assert pixels.skipped == ()
    assert 100 < np.mean(pixels.array[::100]) < 220
