"""An ISIC ground truth is read as what it is, whatever else stands in its columns."""

from collections.abc import Callable
from pathlib import Path

import pytest

from moulage.data.dataset import open_dataset, read_dataset
from moulage.errors import DataError

Write = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path, write_image: Write) -> Path:
    """Three images, a.jpg to c.jpg, whose tables each test writes."""
    for grey, image in enumerate("abc"):
        write_image(tmp_path / f"isic/Input/{image}.jpg", grey=grey)
    return tmp_path / "isic"


def write_truth(place: Path, *, more: str = "", values: tuple[str, ...] = ("", "", "")) -> None:
    marks = ("a,1,0", "b,0,1", "c,0,1")
    rows = [mark + value for mark, value in zip(marks, values, strict=True)]
    (place / "GroundTruth.csv").write_text("\n".join([f"image,MEL,NV{more}", *rows]) + "\n")


def test_rows_of_one_image_that_disagree_are_refused(place: Path) -> None:
    write_truth(place)
    table = place / "Metadata.csv"
    table.write_text("image,lesion_id,age_approx\na,L1,50\na,L2,50\nb,L2,60\nc,L3,\n")
    with pytest.raises(DataError, match=r"1 images with other lesion_id \(a\) in Metadata.csv"):
        read_dataset(place)
    table.write_text("image,lesion_id,age_approx\na,,50\na,L2,50\n")
    with pytest.raises(DataError, match="with other lesion_id"):
        read_dataset(place)


def test_rows_of_one_image_that_say_the_same_pass(place: Path) -> None:
    write_truth(place)
    (place / "Metadata.csv").write_text(
        "image,lesion_id,remark\na,L1,x\na,L1,y\na.jpg,L1,\n,L9,\n,L8,\nb,L2,\nc,L2,\n"
    )
    assert read_dataset(place).lesion_ids.tolist() == ["L1", "L2", "L2"]


def test_metadata_in_the_ground_truth_are_no_diagnoses_and_are_read(place: Path) -> None:
    values = (",L1,50,0.5,1.0,0", ",L2,60,0.2,1.0,1", ",L2,,0.2,1.0,1")
    more = ",lesion_id,age_approx,score_weight,validation_weight,patient_id"
    write_truth(place, more=more, values=values)
    (place / "Metadata.csv").write_text("image,lesion_id,sex\na,other,male\n")
    dataset = open_dataset(place)
    frame = dataset.catalogue.frame
    assert dataset.catalogue.codes == ("mel", "nv")
    assert frame["lesion_id"].tolist() == ["L1", "L2", "L2"]
    assert frame["age"].fillna(-1).tolist() == [50, 60, -1]
    assert frame["sex"].fillna("").tolist() == ["male", "", ""]
    assert dataset.notes == ()


def test_an_unknown_column_that_is_no_diagnosis_is_named(place: Path) -> None:
    write_truth(place, more=",thickness,SCAR", values=(",0.4,0", ",1.2,0", ",2,0"))
    with pytest.raises(DataError, match=r"column of 0 and 1; got other values in thickness of Gro"):
        read_dataset(place)
    write_truth(place, more=",sharp", values=(",1", ",0", ",0"))
    with pytest.raises(DataError, match=r"got 1 others \(a\) .* diagnoses are MEL, NV, sharp"):
        read_dataset(place)


def test_a_table_without_any_diagnosis_is_refused(place: Path) -> None:
    (place / "Metadata.csv").write_text("image,lesion_id,age_approx\na,L1,50\n")
    with pytest.raises(
        DataError, match="must have a column a diagnosis; got image, lesion_id, age"
    ):
        read_dataset(place, kind="isic", table="Metadata.csv")


def test_ids_may_end_as_file_names_do(place: Path) -> None:
    write_truth(place)
    table = place / "GroundTruth.csv"
    table.write_text(table.read_text().replace("a,", "a.jpg,", 1).replace("b,", "b.JPG,", 1))
    (place / "Metadata.csv").write_text("image,lesion_id\na,L1\nb,L2\nc.jpg,L2\n")
    catalogue = read_dataset(place)
    assert catalogue.frame["path"].tolist() == ["Input/a.jpg", "Input/b.jpg", "Input/c.jpg"]
    assert catalogue.lesion_ids.tolist() == ["L1", "L2", "L2"]


def test_images_without_a_row_are_told(place: Path, write_image: Write) -> None:
    write_truth(place)
    write_image(place / "Input/extra.jpg")
    write_image(place / "Masks/a_segmentation.png")
    assert "1 of 4 images have no row in GroundTruth.csv (Input/extra.jpg)." in (
        open_dataset(place).notes
    )
