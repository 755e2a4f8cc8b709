"""What a table's columns, ids and paths mean is said by the table or the user, never guessed."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moulage.data.dataset import open_dataset, read_dataset
from moulage.data.images import decode
from moulage.data.sources import Sources
from moulage.errors import ConfigError, DataError

Write = Callable[..., Path]


def written(root: Path, *lines: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "t.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def patients(tmp_path: Path, write_image: Write) -> Path:
    """Two patients, each with two lesions of different diagnoses, and both columns of ids."""
    for n in range(4):
        write_image(tmp_path / f"mine/{n}.jpg", grey=n)
    rows = [f"{n},{code},L{n},P{n // 2}" for n, code in enumerate(("nv", "mel", "nv", "mel"))]
    return written(tmp_path / "mine", "image_id,diagnosis,lesion_id,group", *rows)


def test_a_table_of_lesions_and_groups_asks_which_a_split_keeps_together(patients: Path) -> None:
    said = "got lesion_id and group for lesion_id in t.csv. Name in `columns` only the one that a "
    with pytest.raises(DataError, match=re.escape(said)):
        read_dataset(patients)
    named = {"group": "group"}
    assert read_dataset(patients, columns=named).lesion_ids.tolist() == ["P0", "P0", "P1", "P1"]
    named = {"lesion_id": "lesion_id"}
    assert read_dataset(patients, columns=named).lesion_ids.tolist() == ["L0", "L1", "L2", "L3"]


def test_two_keys_for_one_column_are_refused(patients: Path) -> None:
    for keys in (("group", "lesion_id"), ("lesion_id", "group")):
        columns = dict.fromkeys(keys, "group") | {"lesion_id": "lesion_id"}
        with pytest.raises(ConfigError, match=r"one column for lesion_id; got .* the patients'"):
            read_dataset(patients, columns=columns)
    with pytest.raises(ConfigError, match=r"got dx = 'a' and label = 'b'\. .*`diagnosis = …`\."):
        read_dataset(patients, columns={"dx": "a", "label": "b"})


def test_two_headers_for_one_column_are_refused(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "mine/a.jpg")
    root = written(tmp_path / "mine", "image_id,label,dx", "a,4,mel")
    with pytest.raises(DataError, match=r"got label and dx for diagnosis in t\.csv"):
        read_dataset(root)
    catalogue = read_dataset(root, columns={"diagnosis": "dx"})
    assert catalogue.codes == ("mel",)
    assert catalogue.others == ("label",)
    written(root, "image_id,label,diagnosis", "a,4,mel")
    assert read_dataset(root).codes == ("mel",)


def test_a_column_that_the_user_names_is_not_the_one_that_we_guess(
    tmp_path: Path, write_image: Write
) -> None:
    write_image(tmp_path / "mine/a.jpg")
    root = written(tmp_path / "mine", "image,image_id,lesion_id,group", "a.jpg,I1,L1,mel")
    catalogue = read_dataset(root, columns={"path": "image", "diagnosis": "group"})
    assert catalogue.image_ids.tolist() == ["I1"]
    assert catalogue.lesion_ids.tolist() == ["L1"]
    assert catalogue.codes == ("mel",)
    written(root, "image_id,dx", "a,mel")
    twice = read_dataset(root, columns={"lesion_id": "image_id"})
    assert twice.lesion_ids.tolist() == twice.image_ids.tolist() == ["a"]


def test_lesions_before_groups_beside_folders_are_refused(
    tmp_path: Path, write_image: Write
) -> None:
    for n, code in enumerate(("nv", "mel", "nv", "mel")):
        write_image(tmp_path / f"mine/{code}/{n}.jpg", grey=n)
    rows = [f"{n},L{n},P{n // 2}" for n in range(4)]
    root = written(tmp_path / "mine", "image_id,lesion_id,group", *rows)
    with pytest.raises(DataError, match=r"got lesion_id before group in t\.csv\. Keep the larger"):
        read_dataset(root, kind="folders", table="t.csv")
    rows = [f"{n},P{n // 2},L{n}" for n in range(4)]
    written(root, "image_id,group,lesion_id", *rows)
    groups = read_dataset(root, kind="folders", table="t.csv")
    assert sorted(groups.lesion_ids) == ["P0", "P0", "P1", "P1"], "a patient may have diagnoses"


def test_an_id_with_an_ending_is_the_file_of_that_name(tmp_path: Path, write_image: Write) -> None:
    for grey, name in (
        (10, "scan1.jpg"),
        (200, "scan1.png"),
        (90, "x/scan2.JPG"),
        (9, "scan2.PNG"),
    ):
        write_image(tmp_path / "mine" / name, grey=grey)
    rows = ("scan1.png,mel", "scan1.jpg,nv", "scan2.jpg,nv", "scan2.png,nv")
    root = written(tmp_path / "mine", "image_id,diagnosis", *rows)
    paths = read_dataset(root).frame["path"].tolist()
    assert paths == ["scan1.png", "scan1.jpg", "x/scan2.JPG", "scan2.PNG"]
    assert (decode((root / paths[0]).read_bytes()) == 200).all()


def test_an_id_without_an_ending_is_the_first_file_of_that_stem(
    tmp_path: Path, write_image: Write
) -> None:
    for name in ("scan1.jpg", "scan1.png", "converted.jpg"):
        write_image(tmp_path / "mine" / name)
    root = written(tmp_path / "mine", "image_id,diagnosis", "scan1,mel", "converted.tif,nv")
    dataset = open_dataset(root)
    assert dataset.catalogue.frame["path"].tolist() == ["scan1.jpg", "converted.jpg"]
    assert "1 of 3 images have no row in t.csv (scan1.png)." in dataset.notes


@pytest.mark.parametrize("images", [None, "img"])
def test_a_path_from_the_top_that_goes_through_the_folder_is_below_it(
    tmp_path: Path, write_image: Write, zip_folder: Callable[[Path], Path], images: str | None
) -> None:
    for name in ("img/a.jpg", "img/b.jpg", "part/c.jpg"):
        write_image(tmp_path / "mine" / name)
    zip_folder(tmp_path / "mine/part")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    rows = (
        f"{tmp_path}/mine/img/a.jpg,mel",
        f"{tmp_path}/link/img/../img/b.jpg,nv",
        f"{tmp_path}/mine/part.zip!/c.jpg,nv",
    )
    root = written(tmp_path / "mine", "path,diagnosis", *rows)
    paths = read_dataset(root, kind="table", images=images).frame["path"].tolist()
    assert paths == ["img/a.jpg", "img/b.jpg", "part.zip!/c.jpg"]


@pytest.mark.parametrize("other", ["{top}/other/a.jpg", "../other/a.jpg", "{top}/mine/out/a.jpg"])
def test_a_path_that_leaves_the_folder_is_refused_and_the_cure_works(
    tmp_path: Path, write_image: Write, other: str
) -> None:
    write_image(tmp_path / "other/a.jpg")
    path = other.format(top=tmp_path)
    root = written(tmp_path / "mine", "path,diagnosis", f"{path},mel")
    (root / "out").symlink_to(tmp_path / "other")
    with pytest.raises(DataError, match=r"got 1 that .* name as `path` a folder that"):
        read_dataset(root)
    cured = read_dataset(tmp_path, kind="table", table="mine/t.csv", images="mine")
    with Sources(tmp_path) as sources:
        assert sources.read(cured.frame["path"][0]) == (tmp_path / "other/a.jpg").read_bytes()


@pytest.mark.parametrize("path", ["C:\\mine\\a.jpg", "{root}/../a.jpg", "{root}2/a.jpg", "{root}"])
def test_no_path_from_the_top_leaves_the_folder(
    tmp_path: Path, write_image: Write, path: str
) -> None:
    for name in ("mine/a.jpg", "mine2/a.jpg", "a.jpg"):
        write_image(tmp_path / name)
    root = tmp_path / "mine"
    written(root, "image_id,path,diagnosis", f"a,{path.format(root=root)},mel")
    with pytest.raises(DataError, match="stay below the data set's folder; got 1 that leave it"):
        read_dataset(root, images="img")


def test_a_parquet_of_a_table_with_words_for_none_reads_alike(
    tmp_path: Path, write_image: Write
) -> None:
    for name in "abc":
        write_image(tmp_path / f"mine/{name}.jpg")
    root = written(tmp_path / "mine", "image_id,dx,group", "a,mel,P1", "b,nv,NA", "c,nv,")
    said = "2 of 3 images have no group id (1 of them say NA), so each is a group of its own"
    pd.read_csv(root / "t.csv", keep_default_na=False).to_parquet(root / "t.parquet")
    for table in ("t.csv", "t.parquet"):
        dataset = open_dataset(root / table)
        assert dataset.catalogue.lesion_ids.tolist() == ["P1", "b", "c"]
        assert [note.partition(":")[0] for note in dataset.notes] == [said]


@pytest.mark.parametrize("column", ["path", "image_id"])
def test_a_parquet_without_any_path_or_id_reaches_the_checks(tmp_path: Path, column: str) -> None:
    frame = pd.DataFrame({column: [np.nan, np.nan], "diagnosis": ["mel", "nv"]})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"an image id; got 2 without \(row 1, row 2\)"):
        read_dataset(tmp_path, kind="table")


def test_patients_that_nobody_named_are_told(tmp_path: Path, write_image: Write) -> None:
    for name in "ab":
        write_image(tmp_path / f"mine/{name}.jpg")
    rows = ("image_id,diagnosis,lesion_id,Patient_ID", "a,mel,L1,P1", "b,nv,L2,P1")
    root = written(tmp_path / "mine", *rows)
    (note,) = open_dataset(root).notes
    assert note.startswith("Lesions of one patient may lie in several parts: Patient_ID is not")
    (measured,) = open_dataset(root, absent="note").notes
    assert measured.startswith("Lesions of one patient count one by one, in intervals too: Patient")
    together = open_dataset(root, columns={"group": "Patient_ID", "image_id": "image_id"})
    assert together.catalogue.lesion_ids.tolist() == ["P1", "P1"]
    assert together.notes == ()


@pytest.mark.parametrize("twin", ["diagnosis", '"diagnosis "'])
def test_a_column_that_stands_twice_is_refused(
    tmp_path: Path, write_image: Write, twin: str
) -> None:
    write_image(tmp_path / "mine/a.jpg")
    root = written(tmp_path / "mine", f"image_id,diagnosis,,{twin},", "a,nv,,mel,")
    with pytest.raises(DataError, match=r"once; got diagnosis more than once in t\.csv\. Keep the"):
        read_dataset(root)


def test_two_tables_of_diagnoses_are_refused_and_both_cures_work(
    tmp_path: Path, write_image: Write
) -> None:
    for grey, name in enumerate("ab"):
        write_image(tmp_path / f"mine/{name}.jpg", grey=grey)
    root = tmp_path / "mine"
    (root / "labels.csv").write_text("image_id,dx\na,mel\nb,nv\n")
    (root / "labels-old.csv").write_text("image_id,dx\na,nv\nb,nv\n")
    said = r"got 2 \(labels-old\.csv, labels\.csv\) in /.* Move all but the right one away, or name"
    for kind in ("auto", "table"):
        with pytest.raises(DataError, match=said):
            read_dataset(root, kind=kind)
    assert read_dataset(root / "labels.csv").codes == ("mel", "nv")
    assert read_dataset(root, table="labels.csv").codes == ("mel", "nv")
    (root / "labels-old.csv").rename(tmp_path / "labels-old.csv")
    assert read_dataset(root).codes == ("mel", "nv")


def test_a_parquet_beside_a_csv_is_a_second_table_but_a_copy_is_none(
    tmp_path: Path, write_image: Write, zip_folder: Callable[[Path], Path]
) -> None:
    write_image(tmp_path / "mine/a.jpg")
    root = written(tmp_path / "mine", "image_id,dx", "a,mel")
    (root / "copy").mkdir()
    (root / "copy/t.csv").write_bytes((root / "t.csv").read_bytes())
    zip_folder(root / "copy")
    assert read_dataset(root).codes == ("mel",)
    pd.DataFrame({"image_id": ["a"], "dx": ["nv"]}).to_parquet(root / "t.parquet")
    with pytest.raises(DataError, match=r"got 2 \(t\.csv, t\.parquet\)"):
        read_dataset(root)
    (root / "t.parquet").write_bytes(b"PAR1 and no more")
    assert read_dataset(root).codes == ("mel",), "no table at all"


def test_a_parquet_whose_ids_are_its_index_is_read(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "a.jpg")
    frame = pd.DataFrame({"image_id": ["a"], "dx": ["nv"]}).set_index("image_id")
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_dataset(tmp_path).image_ids.tolist() == ["a"]


def test_lesion_ids_that_some_images_lack_are_filled_and_counted(
    tmp_path: Path, write_image: Write
) -> None:
    for name in "abc":
        write_image(tmp_path / f"mine/{name}.jpg")
    root = written(tmp_path / "mine", "isic_id,dx,lesion_id", "a,mel,L1", "b,mel,", "c,mel,L1")
    dataset = open_dataset(root, columns={"image_id": "isic_id"})
    assert dataset.catalogue.lesion_ids.tolist() == ["L1", "b", "L1"]
    (note,) = dataset.notes
    assert note.startswith("1 of 3 images have no group id, so each is a group of its own")


def test_a_workbook_is_named_where_it_is_the_only_table(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "a.jpg")
    (tmp_path / "t.xlsx").touch()
    for kind in ("auto", "table"):
        with pytest.raises(DataError, match=r"1 workbooks \(t\.xlsx\) in /.* Export the sheet"):
            read_dataset(tmp_path, kind=kind)
