"""Every fault of a catalogue is counted, named and told at once."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moulage.catalogue import COLUMNS, Catalogue
from moulage.data.checks import check_catalogue, find_faults
from moulage.data.dataset import read_dataset
from moulage.data.diagnoses import describe
from moulage.errors import DataError


def catalogue_of(root: Path, **columns: object) -> Catalogue:
    """Four images of two lesions, all as it should be, but for `columns`."""
    names = [f"{n}.jpg" for n in range(4)]
    for name in names:
        (root / name).touch()
    frame = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "lesion_id": ["L1", "L1", "L2", "L2"],
            "path": names,
            "diagnosis": ["mel", "mel", "nv", "nv"],
            "age": [0.0, 120.0, np.nan, 50.0],
        }
    )
    frame = frame.assign(**columns).reindex(columns=list(COLUMNS))
    return Catalogue(frame=frame, diagnoses=describe(["mel", "nv"]), root=root)


def test_a_sound_catalogue_has_no_faults(tmp_path: Path) -> None:
    assert find_faults(catalogue_of(tmp_path)) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image_id": ["a", "a", "c", "a"]}, r"in one row only; got 1 that stand in more \(a\)"),
        ({"image_id": ["a", "", None, " "]}, r"an image id; got 3 without \(row 2, row 3, row 4\)"),
        ({"image_id": ["/d/a", "../b", "c", "d\\e"]}, r"got 3 that are paths \(/d/a, \.\./b, d"),
        ({"lesion_id": ["L", None, "M", ""]}, r"a lesion id; got 2 without \(b, d\)"),
        ({"lesion_id": ["L", "L", "L", "M"]}, r"one diagnosis; got 1 with several \(L\)"),
        ({"diagnosis": ["mel", "nv", "x", "x"], "lesion_id": list("efgh")}, r"'x' in 2 rows"),
        ({"diagnosis": ["mel", "mel", "nv", None]}, r"have a diagnosis; got 1 without \(d\)"),
        (
            {"diagnosis": ["mel", "mel", "nv", "nv "], "lesion_id": list("efgh")},
            r"more than case and spaces; got 2 that do not \('nv' in 1 rows, 'nv ' in 1 rows\)",
        ),
        (
            {"diagnosis": ["mel", "MEL", "nv", "nv"], "lesion_id": list("efgh")},
            r"got 2 that do not \('MEL' in 1 rows, 'mel' in 1 rows\)",
        ),
        (
            {"diagnosis": ["mel", "nv", "NA", "NA"], "lesion_id": list("efgh")},
            r"the name of one; got 1 that are words for none \('NA' in 2 rows\)",
        ),
        (
            {"path": ["0.jpg", "1.jpg", "1.jpg", "3.jpg"]},
            r"got 2 that share one \(b: 1.jpg, c: 1.jpg",
        ),
        ({"diagnosis": ["mel"] * 4}, r"must have an image; got 1 without \(nv\)"),
        ({"age": [-1, 121, 200, "old"]}, r"got 4 that do not \(a: -1, b: 121, c: 200 and 1 more\)"),
        ({"age": [np.inf, 1, 2, 3]}, r"got 1 that do not \(a: inf\)"),
        ({"path": ["0.jpg", "x.jpg", "y/1.jpg", ""]}, r"its file; got 3 without \(b, c, d\)"),
        ({"path": ["no.zip!/a.jpg", "1.jpg", "2.jpg", "3.jpg"]}, r"its file; got 1 without \(a\)"),
        ({"path": ["0.jpg", "../1.jpg", "/etc/passwd", "a/../../b"]}, r"got 3 that leave it \(b: "),
        (
            {"path": ["C:/a.jpg", "\\\\host\\a", "..\\a.jpg", ".."]},
            r"got 4 that leave it \(a: C:/a",
        ),
        ({"path": ["../up.zip!/a.jpg", "1.jpg", "2.jpg", "3.jpg"]}, r"got 1 that leave it"),
    ],
)
def test_each_fault_is_counted_and_named(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_catalogue(catalogue_of(tmp_path, **columns))


def test_a_link_that_leaves_the_root_is_told_and_one_that_stays_is_not(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.jpg").touch()
    root = tmp_path / "root"
    root.mkdir()
    catalogue = catalogue_of(root, path=["0.jpg", "link.jpg", "folder/a.jpg", "inner.jpg"])
    (root / "link.jpg").symlink_to(tmp_path / "outside/a.jpg")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "inner.jpg").symlink_to(root / "3.jpg")
    goal = tmp_path / "outside/a.jpg"
    said = (
        rf"\(b: link.jpg is a link to {goal}, c: folder/a.jpg is a link to {goal}\)\. Put the files"
    )
    with pytest.raises(DataError, match=rf"must lead to a file .* got 2 that do not {said}"):
        check_catalogue(catalogue)


def test_a_root_that_is_a_link_itself_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert find_faults(catalogue_of(tmp_path / "link")) == []


def test_a_folder_or_a_dangling_link_is_no_image_file(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, path=["0.jpg", "folder", "dangling.jpg", "3.jpg"])
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "absent.jpg")
    with pytest.raises(DataError, match=r"its file; got 1 without \(b\)") as caught:
        check_catalogue(catalogue)
    assert f"got 1 that do not (c: dangling.jpg is a link to {tmp_path}/absent.jpg)" in str(
        caught.value
    )


def test_a_zip_that_is_a_link_out_of_the_root_is_named(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/part.zip").symlink_to(tmp_path / "part.zip")
    paths = ["0.jpg", "part.zip!/a.jpg", "2.jpg", "3.jpg"]
    said = rf"part\.zip!/a\.jpg is a link to {tmp_path}/part\.zip\)"
    with pytest.raises(DataError, match=said):
        check_catalogue(catalogue_of(tmp_path / "root", path=paths))


def test_images_of_a_damaged_zip_are_without_their_file(tmp_path: Path) -> None:
    paths = ["0.jpg", "part.zip!/a.jpg", "2.jpg", "3.jpg"]
    catalogue = catalogue_of(tmp_path, path=paths)
    (tmp_path / "part.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"its file; got 1 without \(b\)"):
        check_catalogue(catalogue)


def test_all_faults_of_a_data_set_stand_in_one_message(
    ham: Path, edit: Callable[[str, str], None]
) -> None:
    edit("ISIC_01", "ISIC_00")  # twice
    edit("HAM_1,ISIC_11,bcc", "HAM_1,ISIC_11,mel")  # two diagnoses
    edit("ISIC_20,bkl", "ISIC_20,wart")  # unknown, and with the next line df is empty
    edit("ISIC_30,df", "ISIC_30,nv")
    edit("ISIC_31,df", "ISIC_31,nv")
    edit("20.0", "200.0")
    (ham / "HAM10000_images_part_1/ISIC_50.jpg").unlink()
    with pytest.raises(DataError, match="got 6 kinds") as caught:
        read_dataset(ham)
    message = str(caught.value)
    for said in ("ISIC_00", "HAM_1", "'wart' in 1 rows", "(df)", "ISIC_40: 200.0", "(ISIC_50)"):
        assert said in message
    assert message.count("; got ") == 7
    assert "Name only the diagnoses that have images" in message


def test_40000_rows_are_checked_within_a_second(tmp_path: Path) -> None:
    n = 40_000
    for folder in range(4):
        (tmp_path / str(folder)).mkdir()
    paths = [f"{k % 4}/{k}.jpg" for k in range(n)]
    for path in paths:
        os.close(os.open(tmp_path / path, os.O_CREAT))
    frame = pd.DataFrame(
        {
            "image_id": [f"I{k}" for k in range(n)],
            "lesion_id": [f"L{k // 2}" for k in range(n)],
            "path": paths,
            "diagnosis": ["mel" if k // 2 % 2 else "nv" for k in range(n)],
            "age": 40.0,
        }
    ).reindex(columns=list(COLUMNS))
    catalogue = Catalogue(frame=frame, diagnoses=describe(["mel", "nv"]), root=tmp_path)
    start = time.process_time()
    assert find_faults(catalogue) == []
    assert time.process_time() - start < 1.0
