"""Each kind of data set, in each layout, becomes the same catalogue."""

import json
import logging
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from moulage.casts.generator import make_casts
from moulage.catalogue import COLUMNS, Catalogue, read_catalogue, write_catalogue
from moulage.data.dataset import open_dataset, read_dataset
from moulage.errors import ConfigError, DataError

CODES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
Write = Callable[..., Path]
Zip = Callable[[Path], Path]


def without_paths(catalogue: Catalogue) -> pd.DataFrame:
    return catalogue.frame.drop(columns="path")


def test_ham10000_is_detected_and_read_in_the_tables_order(ham: Path) -> None:
    dataset = open_dataset(ham)
    catalogue = dataset.catalogue
    assert (dataset.kind, catalogue.name, catalogue.codes) == ("ham10000", "HAM10000", CODES)
    assert catalogue.labels.tolist() == [k for k in range(7) for _ in range(2)]
    assert catalogue.frame["path"][1] == "HAM10000_images_part_2/ISIC_01.jpg"
    assert list(catalogue.frame.columns) == list(COLUMNS)
    assert catalogue.table()["cell_type"][8] == "Melanoma"
    assert dataset.notes == ()


def test_an_age_of_0_is_kept_and_an_empty_one_is_missing(
    ham: Path, edit: Callable[[str, str], None]
) -> None:
    edit("histo,5.0,", "histo,,")
    ages = read_dataset(ham).frame["age"]
    assert ages[:2].tolist() == [0.0, 0.0]
    assert ages.isna().tolist() == [False, False, True] + [False] * 11
    assert ages.dtype == float


@pytest.mark.parametrize("lacking", ["dx_type", "localization"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_that_lacks_a_column_of_ham10000s_is_somebodys_own(
    ham: Path, lacking: str, ending: str
) -> None:
    for image in (ham / "HAM10000_images_part_2").iterdir():
        image.rename(ham / "HAM10000_images_part_1" / image.name)
    theirs = read_dataset(ham)
    table = ham / "HAM10000_metadata.csv"
    own = pd.read_csv(table, dtype=str).drop(columns=lacking)
    table.unlink()
    getattr(own, f"to_{ending}")(ham / f"labels.{ending}", index=False)
    dataset = open_dataset(ham)
    assert dataset.kind == "table"
    pd.testing.assert_frame_equal(
        dataset.catalogue.frame.drop(columns=lacking), theirs.frame.drop(columns=lacking)
    )


def test_metadata_of_ham10000_are_known_by_the_name_or_by_all_columns(ham: Path) -> None:
    table = ham / "HAM10000_metadata.csv"
    for name in ("HAM10000_metadata (1).csv", "mine.csv"):
        table = table.rename(ham / name)
        assert open_dataset(ham).kind == "ham10000"


def test_two_metadata_of_ham10000_are_refused_unless_one_is_a_copy(ham: Path) -> None:
    table = ham / "HAM10000_metadata.csv"
    with zipfile.ZipFile(ham / "archive.zip", "w") as archive:
        archive.write(table, table.name)
    assert open_dataset(ham).notes == ()
    (ham / "HAM10000_metadata_old.csv").write_text(table.read_text().replace("mel", "nv"))
    said = r"got 2 \(HAM10000_metadata\.csv, HAM10000_metadata_old\.csv\)"
    with pytest.raises(DataError, match=said):
        open_dataset(ham)
    assert len(read_dataset(table)) == 14


def test_a_table_of_diagnoses_beside_ham10000s_is_told_not_to_be_read(ham: Path) -> None:
    (ham / "corrected.csv").write_text("image_id,dx\nISIC_00,mel\n")
    (note,) = open_dataset(ham).notes
    assert note.startswith(
        "Of 2 tables of diagnoses HAM10000_metadata.csv is read, and corrected.csv not: where"
    )
    assert open_dataset(ham, table="HAM10000_metadata.csv").notes == ()


@pytest.mark.parametrize("name", ["HAM10000_metadata", "HAM10000_metadata.tab"])
def test_the_dataverse_layout_reads_as_kaggles(ham: Path, name: str, zip_folder: Zip) -> None:
    kaggle = read_dataset(ham)
    table = ham / "HAM10000_metadata.csv"
    text = table.read_text()
    table.unlink()
    quoted = "\n".join("\t".join(f'"{cell}"' for cell in row.split(",")) for row in text.split())
    (ham / name).write_text(quoted if name.endswith(".tab") else text)
    for part in (1, 2):
        zip_folder(ham / f"HAM10000_images_part_{part}")
    dataverse = read_dataset(ham)
    pd.testing.assert_frame_equal(without_paths(kaggle), without_paths(dataverse))
    assert dataverse.frame["path"][0] == "HAM10000_images_part_1.zip!/ISIC_00.jpg"


def test_images_may_lie_anywhere_below_the_root_and_deep_in_zips(
    ham: Path, zip_folder: Zip
) -> None:
    plain = read_dataset(ham)
    (ham / "a/b").mkdir(parents=True)
    shutil.move(ham / "HAM10000_images_part_1", ham / "a/b/c")
    (ham / "outer").mkdir()
    shutil.move(ham / "HAM10000_images_part_2", ham / "outer/inner")
    zip_folder(ham / "outer")
    nested = read_dataset(ham)
    pd.testing.assert_frame_equal(without_paths(plain), without_paths(nested))
    assert nested.frame["path"][:2].tolist() == [
        "a/b/c/ISIC_00.jpg",
        "outer.zip!/inner/ISIC_01.jpg",
    ]


def test_a_whole_download_is_read_from_one_zip(ham: Path) -> None:
    plain = read_dataset(ham)
    archive = ham.with_name("archive.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for file in ham.rglob("*.*"):
            opened.write(file, file.relative_to(ham))
    zipped = read_dataset(archive)
    pd.testing.assert_frame_equal(without_paths(plain), without_paths(zipped))


def test_an_image_that_lies_there_twice_counts_once_and_loose_before_zipped(
    ham: Path, write_image: Write, zip_folder: Zip
) -> None:
    write_image(ham / "another_copy" / "ISIC_00.jpg")
    zip_folder(ham / "HAM10000_images_part_1")
    dataset = open_dataset(ham)
    paths = dataset.catalogue.frame["path"]
    assert paths[0] == "another_copy/ISIC_00.jpg"
    assert paths[2] == "HAM10000_images_part_1.zip!/ISIC_10.jpg"
    (note,) = dataset.notes
    assert note.startswith("1 file is called as an image that was found before it (HAM10000_im")


def test_lesion_masks_are_no_images(ham: Path, write_image: Write) -> None:
    write_image(ham / "A_masks" / "ISIC_00_segmentation.png")
    assert read_dataset(ham).frame["path"][0] == "HAM10000_images_part_1/ISIC_00.jpg"


def test_images_without_a_row_are_told_but_masks_are_not(ham: Path, write_image: Write) -> None:
    write_image(ham / "HAM10000_segmentations_lesion_tschandl/ISIC_00_segmentation.png")
    (ham / "notes.txt").write_text("no image")
    assert open_dataset(ham).notes == ()
    write_image(ham / "HAM10000_images_part_1/extra.jpg")
    write_image(ham / "HAM10000_images_part_2/ISIC_00.jpg")
    doubled, unmentioned = open_dataset(ham).notes
    assert doubled.startswith("1 file is called as an image ")
    assert unmentioned == (
        "1 of 15 images have no row in HAM10000_metadata.csv (HAM10000_images_part_1/extra.jpg)."
    )


def test_casts_without_a_row_are_told(tmp_path: Path, write_image: Write) -> None:
    casts = make_casts(tmp_path / "casts", n_images=14, seed=1, size=(64, 48), threads=1).folder
    assert open_dataset(casts).notes == ()
    write_image(casts / "extra.jpg")
    (note,) = open_dataset(casts).notes
    assert note.startswith("1 of 15 images have no row in HAM10000_metadata.csv (extra.jpg)")


def test_ids_of_ham10000_may_end_as_file_names_do(
    ham: Path, edit: Callable[[str, str], None]
) -> None:
    plain = read_dataset(ham).frame["path"].tolist()
    edit("ISIC_00,", "ISIC_00.jpg,")
    edit("ISIC_10,", "ISIC_10.JPG,")
    assert read_dataset(ham).frame["path"].tolist() == plain


def isic(root: Path, write_image: Write, *, codes: str = "MEL,NV,UNK") -> Path:
    marks = {"a": "1.0,0.0,0.0", "b": "0.0,1.0,0.0", "c": "0.0,1.0,0.0"}
    for image in marks:
        write_image(root / "Training_Input" / f"{image}.jpg")
    rows = "\n".join(f"{image},{row}" for image, row in marks.items())
    (root / "GroundTruth.csv").write_text(f"image,{codes}\n{rows}\n")
    return root


def test_an_isic_ground_truth_is_detected_and_missing_groups_are_said(
    tmp_path: Path, write_image: Write, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        dataset = open_dataset(isic(tmp_path / "isic", write_image))
    assert dataset.kind == "isic"
    assert dataset.catalogue.codes == ("mel", "nv")  # UNK has no image
    assert dataset.catalogue.lesion_ids.tolist() == ["a", "b", "c"]
    assert "3 of 3 images have no group id" in dataset.notes[0]
    assert dataset.notes[0] in caplog.text


def test_isic_metadata_gives_groups_age_and_sex(tmp_path: Path, write_image: Write) -> None:
    root = isic(tmp_path / "isic", write_image)
    (root / "Metadata.csv").write_text(
        "image,age_approx,anatom_site_general,lesion_id,sex\nb,0,torso,L1,male\nc,50,,L1,\n"
    )
    dataset = open_dataset(root)
    frame = dataset.catalogue.frame
    assert frame["lesion_id"].tolist() == ["a", "L1", "L1"]
    assert frame["age"].fillna(-1).tolist() == [-1, 0, 50]
    assert frame["sex"].fillna("").tolist() == ["", "male", ""]
    assert "1 of 3 images" in dataset.notes[0]


def test_a_second_ground_truth_gives_nothing_and_zipped_tables_are_found(
    tmp_path: Path, write_image: Write
) -> None:
    root = isic(tmp_path / "isic", write_image)
    (root / "Test_GroundTruth.csv").write_text("image,MEL,NV,lesion_id\na,1,0,other\n")
    (root / "notes.csv").write_text("remark\nnone\n")
    archive = shutil.make_archive(str(tmp_path / "isic"), "zip", root)
    assert read_dataset(Path(archive)).lesion_ids.tolist() == ["a", "b", "c"]
    said = "Of 2 tables of diagnoses GroundTruth.csv is read, and Test_GroundTruth.csv not: where "
    assert open_dataset(root).notes[-1].startswith(said)
    assert not any("Test_" in note for note in open_dataset(root / "GroundTruth.csv").notes)


@pytest.mark.parametrize("row", ["1.0,1.0,0.0", "0.0,0.0,0.0", "0.5,0.5,0.0", "x,0,1"])
def test_a_ground_truth_that_is_not_one_hot_is_refused(
    tmp_path: Path, write_image: Write, row: str
) -> None:
    root = isic(tmp_path / "isic", write_image)
    table = root / "GroundTruth.csv"
    table.write_text(table.read_text().replace("1.0,0.0,0.0", row))
    with pytest.raises(DataError, match=r"must hold one 1 and else 0; got 1 others \(a\)"):
        read_dataset(root)


def test_a_ground_truth_whose_ids_are_called_otherwise_is_refused(
    tmp_path: Path, write_image: Write
) -> None:
    root = isic(tmp_path / "isic", write_image)
    table = root / "GroundTruth.csv"
    table.write_text(table.read_text().replace("image,", "image_name,", 1))
    with pytest.raises(DataError, match="must have the column image; got image_name, "):
        read_dataset(root, kind="isic", table="GroundTruth.csv")


def table_of(root: Path, write_image: Write) -> Path:
    for name in ("x/1.png", "x/2.png", "y/3.png"):
        write_image(root / "files" / name)
    frame = pd.DataFrame(
        {
            "file": ["x/1.png", "x\\2.png", "./y/3.png"],
            "what": ["mel", "Blue naevus", "mel"],
            "patient": [7, 7, 8],
            "years": [30, None, 71.5],
        }
    )
    frame.to_csv(root / "labels.csv", index=False)
    frame.to_parquet(root / "labels.parquet")
    return root


NAMED = {"path": "file", "diagnosis": "what", "group": "patient", "age": "years"}


@pytest.mark.parametrize("table", ["labels.csv", "labels.parquet"])
def test_a_table_is_read_by_the_users_names(tmp_path: Path, write_image: Write, table: str) -> None:
    root = table_of(tmp_path / "mine", write_image)
    catalogue = read_dataset(root, table=table, images="files", columns=NAMED, name="Mine")
    frame = catalogue.frame
    assert frame["path"].tolist() == ["files/x/1.png", "files/x/2.png", "files/y/3.png"]
    assert frame["image_id"].tolist() == ["1", "2", "3"]
    assert frame["lesion_id"].tolist() == ["7", "7", "8"]
    assert frame["age"].fillna(-1).tolist() == [30, -1, 71.5]
    assert catalogue.codes == ("Blue naevus", "mel")
    assert [one.is_malignant for one in catalogue.diagnoses] == [False, True]
    assert catalogue.name == "Mine"


def test_a_group_may_have_several_diagnoses_but_a_lesion_may_not(
    tmp_path: Path, write_image: Write
) -> None:
    root = table_of(tmp_path / "mine", write_image)
    as_lesion = {**NAMED, "lesion_id": NAMED["group"]}
    del as_lesion["group"]
    with pytest.raises(DataError, match=r"must have one diagnosis; got 1 with several \(7\)"):
        read_dataset(root / "labels.csv", images="files", columns=as_lesion)


def test_a_table_without_paths_finds_images_by_their_ids(
    tmp_path: Path, write_image: Write
) -> None:
    write_image(tmp_path / "mine/deep/a.png")
    write_image(tmp_path / "mine/b.jpg")
    (tmp_path / "mine/t.csv").write_text("image_id;label\na;mel\nb.jpg;nv\n")
    dataset = open_dataset(tmp_path / "mine")
    assert dataset.kind == "table"
    assert dataset.catalogue.frame["path"].tolist() == ["deep/a.png", "b.jpg"]
    assert "2 of 2 images have no group id" in dataset.notes[0]


def test_an_id_may_have_dots_of_its_own(tmp_path: Path, write_image: Write) -> None:
    ids = ["lesion6", "lesion6.2", "lesion6.v3"]
    for image_id in ids:
        write_image(tmp_path / f"img/{image_id}.jpg")
    rows = [f"{image_id},{code}" for image_id, code in zip(ids, ("nv", "mel", "nv"), strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["image_id,diagnosis", *rows]) + "\n")
    frame = read_dataset(tmp_path).frame
    assert frame["path"].tolist() == [f"img/{image_id}.jpg" for image_id in ids]
    with_endings = [row.replace(",", ".jpg,") for row in rows]
    (tmp_path / "labels.csv").write_text("\n".join(["image_id,diagnosis", *with_endings]) + "\n")
    again = read_dataset(tmp_path).frame
    assert again["path"].tolist() == frame["path"].tolist()


def test_a_table_of_diagnoses_beside_folders_asks_which_counts(
    tmp_path: Path, write_image: Write
) -> None:
    for n in range(4):
        write_image(tmp_path / f"part_{n % 2}/{n}.jpg", grey=n)
    table = "image_id,diagnosis\n0,nv\n1,nv\n2,mel\n3,mel\n"
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(DataError, match=r"in one way; got labels.csv, .* `kind` \(`--kind`\)"):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, kind="table").catalogue.codes == ("mel", "nv")
    assert open_dataset(tmp_path, kind="folders").catalogue.codes == ("part_0", "part_1")


def test_images_that_no_row_names_are_told(tmp_path: Path, write_image: Write) -> None:
    for n in range(4):
        write_image(tmp_path / f"{n}.jpg", grey=n)
    (tmp_path / "t.csv").write_text("image_id,diagnosis\n0,nv\n1,mel\n")
    notes = open_dataset(tmp_path).notes
    assert "2 of 4 images have no row in t.csv (2.jpg, 3.jpg)." in notes


def test_a_column_called_group_may_name_patients(tmp_path: Path, write_image: Write) -> None:
    for n, code in enumerate(("nv", "mel", "nv", "mel")):
        write_image(tmp_path / f"{code}/{n}.jpg", grey=n)
    groups = "\n".join(f"{n},P{n // 2}" for n in range(4))
    (tmp_path / "groups.csv").write_text(f"image_id,group\n{groups}\n")
    by_folder = read_dataset(tmp_path, kind="folders", table="groups.csv")
    by_id = by_folder.frame.set_index("image_id")["lesion_id"]
    assert by_id[["0", "1", "2", "3"]].tolist() == ["P0", "P0", "P1", "P1"]
    rows = "\n".join(f"{n},{code},P{n // 2}" for n, code in enumerate(("nv", "mel", "nv", "mel")))
    (tmp_path / "groups.csv").write_text(f"image_id,diagnosis,group\n{rows}\n")
    by_table = read_dataset(tmp_path, kind="table")
    assert by_table.frame["lesion_id"].tolist() == ["P0", "P0", "P1", "P1"]
    assert by_folder.unit == by_table.unit == "group"


def test_what_ids_name_is_kept_with_the_catalogue(tmp_path: Path, write_image: Write) -> None:
    root = table_of(tmp_path / "mine", write_image)
    given = {"table": "labels.csv", "images": "files"}
    groups = read_dataset(root, **given, columns=NAMED)
    write_catalogue(groups, tmp_path / "groups.parquet")
    kept = read_catalogue(tmp_path / "groups.parquet")
    assert groups.unit == groups.take([0]).unit == kept.unit == "group"
    assert kept.digest == groups.digest
    alone = {ours: theirs for ours, theirs in NAMED.items() if ours != "group"}
    lesions = read_dataset(root, **given, columns=alone)
    assert lesions.unit == "lesion", "ids that nobody named are the images'"
    assert replace(groups, unit="lesion").digest != groups.digest


def test_a_catalogue_older_than_groups_is_one_of_lesions(
    tmp_path: Path, write_image: Write
) -> None:
    root = table_of(tmp_path / "mine", write_image)
    groups = read_dataset(root, table="labels.csv", images="files", columns=NAMED)
    write_catalogue(groups, tmp_path / "old.parquet")
    table = pq.read_table(tmp_path / "old.parquet")
    meta = json.loads(table.schema.metadata[b"moulage"])
    del meta["unit"], meta["seal"]
    older = table.replace_schema_metadata({"moulage": json.dumps(meta)})
    pq.write_table(older, tmp_path / "old.parquet")
    assert read_catalogue(tmp_path / "old.parquet").unit == "lesion"


def test_folders_that_are_parts_of_a_split_are_refused(tmp_path: Path, write_image: Write) -> None:
    for part in ("train", "Val", "test"):
        for code in ("nv", "mel"):
            write_image(tmp_path / f"{part}/{code}/{part}{code}.jpg")
    with pytest.raises(DataError, match=r"got Val, test, train in .* parts of a split"):
        read_dataset(tmp_path)


def test_what_macos_leaves_behind_is_no_diagnosis(tmp_path: Path, write_image: Write) -> None:
    for code in ("nv", "mel"):
        write_image(tmp_path / f"{code}/{code}.jpg")
    write_image(tmp_path / "__MACOSX/nv/._nv.jpg")
    assert read_dataset(tmp_path).codes == ("mel", "nv")


def test_rows_beside_folders_that_name_no_image_are_told(
    tmp_path: Path, write_image: Write
) -> None:
    for code in ("nv", "mel"):
        write_image(tmp_path / f"{code}/{code}.0.jpg")
    (tmp_path / "t.csv").write_text("image_id,lesion_id\nnv.0,a\nmel.0,b\nnv.1,c\n")
    dataset = open_dataset(tmp_path, kind="folders", table="t.csv")
    assert dataset.catalogue.lesion_ids.tolist() == ["b", "a"]
    assert dataset.notes == ("1 of 3 rows of t.csv name no image that is here (nv.1).",)


def test_a_wrong_column_or_key_names_the_nearest(tmp_path: Path, write_image: Write) -> None:
    root = table_of(tmp_path / "mine", write_image)
    with pytest.raises(ConfigError, match=r"got 'whta'. Did you mean 'what'\?"):
        read_dataset(root, table="labels.csv", columns={"path": "file", "diagnosis": "whta"})
    with pytest.raises(ConfigError, match=r"got 'diagnoses'. Did you mean 'diagnosis'\?"):
        read_dataset(root, table="labels.csv", columns={"path": "file", "diagnoses": "what"})
    with pytest.raises(DataError, match="must name images and diagnoses; got the columns file"):
        read_dataset(root, kind="table", table="labels.csv")


def folders_of(root: Path, write_image: Write) -> Path:
    for name in ("nevus/a.png", "nevus/deep/b.png", "melanoma/c.png"):
        write_image(root / name)
    return root


def test_folders_are_diagnoses(tmp_path: Path, write_image: Write) -> None:
    dataset = open_dataset(folders_of(tmp_path / "mine", write_image))
    assert (dataset.kind, dataset.catalogue.name) == ("folders", "mine")
    assert dataset.catalogue.codes == ("melanoma", "nevus")
    assert dataset.catalogue.frame["image_id"].tolist() == ["c", "a", "b"]
    assert "3 of 3 images have no group id" in dataset.notes[0]


def test_one_folder_alone_is_one_diagnosis(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "mine/nevus/a.png")
    assert read_dataset(tmp_path / "mine", kind="folders").codes == ("nevus",)


def test_a_table_beside_folders_must_name_images(tmp_path: Path, write_image: Write) -> None:
    root = folders_of(tmp_path / "mine", write_image)
    (root / "groups.csv").write_text("picture,group\na,L1\n")
    with pytest.raises(DataError, match="must have a column image_id; got picture, group in"):
        read_dataset(root, kind="folders", table="groups.csv")


def test_of_several_tables_the_one_in_our_words_is_read(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "mine/a.png")
    (tmp_path / "mine/1.csv").write_text("x,y\n1,2\n")
    (tmp_path / "mine/2.csv").write_text("path,label\na.png,mel\n")
    assert read_dataset(tmp_path / "mine").codes == ("mel",)


def test_a_path_that_leaves_the_folder_or_is_empty_reaches_the_checks(
    tmp_path: Path, write_image: Write
) -> None:
    write_image(tmp_path / "mine/a.png")
    table = tmp_path / "mine/t.csv"
    table.write_text("image_id,path,label\na,a.png,mel\nb,../b.png,mel\nc,,mel\n")
    with pytest.raises(DataError, match=r"got 1 without \(c\)") as caught:
        read_dataset(tmp_path / "mine")
    assert "got 1 that leave it (b: ../b.png)" in str(caught.value)


def test_a_folder_that_links_to_itself_is_walked_once(ham: Path) -> None:
    (ham / "again").symlink_to(ham)
    assert len(read_dataset(ham)) == 14


def test_folders_in_a_zip_read_the_same(tmp_path: Path, write_image: Write) -> None:
    plain = read_dataset(folders_of(tmp_path / "around" / "mine", write_image))
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path / "around")
    pd.testing.assert_frame_equal(without_paths(plain), without_paths(read_dataset(Path(archive))))


def test_a_table_beside_folders_gives_groups(tmp_path: Path, write_image: Write) -> None:
    root = folders_of(tmp_path / "mine", write_image)
    (root / "groups.csv").write_text("image,group\na.png,L1\nb,L1\nc,L2\n")
    dataset = open_dataset(root, kind="folders", table="groups.csv")
    assert dataset.catalogue.lesion_ids.tolist() == ["L2", "L1", "L1"]
    assert dataset.notes == ()
    (root / "groups.csv").write_text(
        "image,image_id,group,lesion_id\na,z,L1,-\nb,z,L1,-\nc,z,L2,-\n"
    )
    again = read_dataset(root, kind="folders", table="groups.csv")
    assert again.lesion_ids.tolist() == ["L2", "L1", "L1"], "the first of two names counts"


def test_an_image_outside_of_all_folders_is_refused(tmp_path: Path, write_image: Write) -> None:
    root = folders_of(tmp_path / "mine", write_image)
    write_image(root / "stray.png")
    with pytest.raises(DataError, match=r"must lie in a folder .* got 1 outside \(stray.png\)"):
        read_dataset(root, kind="folders")


def test_an_empty_folder_is_an_empty_diagnosis(tmp_path: Path, write_image: Write) -> None:
    root = folders_of(tmp_path / "mine", write_image)
    (root / "wart").mkdir()
    with pytest.raises(DataError, match=r"must have an image; got 1 without \(wart\)"):
        read_dataset(root)


def test_images_of_one_name_are_told_apart_by_their_folders(
    tmp_path: Path, write_image: Write, zip_folder: Zip
) -> None:
    root = folders_of(tmp_path / "mine", write_image)
    for grey, name in enumerate(("melanoma/a.png", "nevus/deep/a.jpg")):
        write_image(root / name, grey=grey)
    dataset = open_dataset(root)
    ids = ["melanoma-a", "c", "nevus-a", "nevus-deep-a", "b"]
    assert dataset.catalogue.image_ids.tolist() == dataset.catalogue.lesion_ids.tolist() == ids
    assert dataset.notes[0].startswith("3 images bear the name of another (melanoma/a.png, nevus/a")
    assert "too (melanoma-a, nevus-a, nevus-deep-a): delete all but one" in dataset.notes[0]
    zip_folder(root / "melanoma")
    assert sorted(read_dataset(root).image_ids) == sorted(ids)
    write_image(root / "nevus/a.jpg")
    with pytest.raises(DataError, match=r"one row only; got 1 that stand in more \(nevus-a\)"):
        read_dataset(root)


def test_one_photograph_in_two_folders_is_refused(tmp_path: Path, write_image: Write) -> None:
    root = folders_of(tmp_path / "mine", write_image)
    write_image(root / "melanoma/a.png")
    with pytest.raises(DataError, match=r"one row only; got 1 that stand in more \(a\)"):
        read_dataset(root)


def test_a_table_beside_folders_must_tell_images_of_one_name_apart(
    tmp_path: Path, write_image: Write
) -> None:
    root = folders_of(tmp_path / "mine", write_image)
    write_image(root / "melanoma/a.png", grey=1)
    (root / "t.csv").write_text("image,group\na.png,L1\nb,L1\n")
    with pytest.raises(DataError, match=r"\(melanoma/a\.png, nevus/a\.png\) in t\.csv\. Write mel"):
        read_dataset(root, kind="folders", table="t.csv")
    (root / "t.csv").write_text("image,group\nnevus-a.png,L1\nb,L1\n")
    groups = read_dataset(root, kind="folders", table="t.csv").lesion_ids
    assert groups.tolist() == ["melanoma-a", "c", "L1", "L1"]


def test_what_was_looked_for_is_said_where_nothing_is_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no HAM10000_metadata, no ground truth .* say `kind`"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match=r"must be a folder, a zip or a table that exists"):
        read_dataset(tmp_path / "absent")
    with pytest.raises(ConfigError, match=r"got 'ham1000'. Did you mean 'ham10000'\?"):
        read_dataset(tmp_path, kind="ham1000")
    with pytest.raises(ConfigError, match=r"got 'foo'\. Correct it\."):
        read_dataset(tmp_path, kind="foo")
    with pytest.raises(DataError, match=r"got no HAM10000_metadata.csv in"):
        read_dataset(tmp_path, kind="ham10000")


def test_ham10000_without_a_column_is_refused(ham: Path) -> None:
    (ham / "HAM10000_metadata.csv").write_text("lesion_id,image_id,dx\nL,I,nv\n")
    with pytest.raises(DataError, match="got no dx_type, age, sex and 1 more"):
        read_dataset(ham)


def test_a_broken_zip_or_table_is_told(ham: Path) -> None:
    (ham / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"`broken\.zip` must be a whole zip"):
        read_dataset(ham)
    (ham / "broken.zip").unlink()
    (ham / "HAM10000_metadata.csv").write_bytes(b"lesion_id,image_id\n\xff\xfe\xff,1\n")
    with pytest.raises(DataError, match="must be a table in UTF-8"):
        read_dataset(ham)


def test_two_classes_come_from_seven_and_what_is_dropped_is_counted(ham: Path) -> None:
    classes = {
        "malignant": ["mel", "bcc", "akiec"],
        "benign": ["nv", "bkl", "df"],
        "drop": ["vasc"],
    }
    dataset = open_dataset(ham, classes=classes)
    assert dataset.catalogue.codes == ("malignant", "benign")
    assert [one.is_malignant for one in dataset.catalogue.diagnoses] == [True, False]
    assert dataset.n_dropped == {"vasc": 2}
    assert dataset.notes == ("2 images were left out, as asked: vasc 2.",)
    assert len(dataset.catalogue) == 12


def test_merging_mends_a_lesion_with_two_diagnoses(
    ham: Path, edit: Callable[[str, str], None]
) -> None:
    edit("HAM_1,ISIC_11,bcc", "HAM_1,ISIC_11,mel")
    with pytest.raises(DataError, match=r"A lesion must have one diagnosis; got 1 with several"):
        read_dataset(ham)
    classes = {"malignant": ["mel", "bcc", "akiec"], "benign": ["nv", "bkl", "df", "vasc"]}
    assert len(read_dataset(ham, classes=classes)) == 14


PATIENTS = {"group": "patient"}


def test_columns_that_a_layout_does_not_read_are_refused(
    ham: Path, tmp_path: Path, write_image: Write
) -> None:
    folders = folders_of(tmp_path / "mine", write_image)
    truth = isic(tmp_path / "isic", write_image)
    for root, kind in ((ham, "ham10000"), (ham, "casts"), (truth, "isic"), (folders, "folders")):
        said = rf"`kind = \"table\"`, the only kind .* group = 'patient' with kind '{kind}', in /"
        with pytest.raises(ConfigError, match=said):
            open_dataset(root, kind=kind, columns=PATIENTS)
    with pytest.raises(ConfigError, match="groups are the column group or lesion_id of a `table`"):
        open_dataset(folders, kind="folders", columns=PATIENTS)


def test_columns_where_auto_finds_no_table_are_refused(tmp_path: Path, write_image: Write) -> None:
    root = folders_of(tmp_path / "mine", write_image)
    with pytest.raises(
        ConfigError, match=r"with kind 'folders', which `kind = 'auto'` found there"
    ):
        open_dataset(root, columns=PATIENTS)


def test_unknown_diagnoses_are_told_to_count_as_benign(tmp_path: Path, write_image: Write) -> None:
    root = folders_of(tmp_path / "mine", write_image)
    (root / "groups.csv").write_text("image_id,group\na,1\nb,2\nc,3\nd,4\n")
    say = {"kind": "folders", "table": "groups.csv"}
    write_image(root / "bcc/d.png")
    known = open_dataset(root, **say)
    assert [one.is_malignant for one in known.catalogue.diagnoses] == [True, True, False]
    assert known.notes == ()
    write_image(root / "my wart/e.png")
    note = open_dataset(root, **say).notes[-1]
    assert note.startswith("Diagnoses that nobody knows count as benign (my wart): say which")
    assert "new = { of = ['my wart'], malignant = true }" in note
    classes = {"new": {"of": ["my wart"], "malignant": True}, "keep": "rest"}
    (groups,) = open_dataset(root, **say, classes=classes).notes
    assert groups.startswith("1 of 5 images have no group id")


def test_labels_of_0_and_1_are_named_as_numbers(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "a.jpg")
    write_image(tmp_path / "b.jpg", grey=1)
    (tmp_path / "labels.csv").write_text("image_id,label,lesion_id\na,1,A\nb,0,B\n")
    dataset = open_dataset(tmp_path, classes={"malignant": [1], "benign": 0})
    assert [(one.code, one.is_malignant) for one in dataset.catalogue.diagnoses] == [
        *(("malignant", True), ("benign", False))
    ]
    assert dataset.notes == ()


@pytest.mark.slow
def test_the_real_ham10000_has_its_published_counts(shared_ham: Path) -> None:
    dataset = open_dataset(shared_ham)
    catalogue = dataset.catalogue
    assert dataset.notes == ()
    counts = catalogue.frame["diagnosis"].value_counts()
    assert [counts[code] for code in CODES] == [327, 514, 1099, 115, 1113, 6705, 142]
    assert len(set(catalogue.lesion_ids)) == 7470
    assert int(catalogue.frame["age"].isna().sum()) == 57
    assert int((catalogue.frame["age"] == 0).sum()) == 39
