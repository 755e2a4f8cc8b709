from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from moulage.catalogue import COLUMNS, Catalogue, Diagnosis
from moulage.errors import DataError
from moulage.split import read_split, write_split
from moulage.splits.fromfile import split_from_file


@pytest.fixture
def catalogue() -> Catalogue:
    frame = pd.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "lesion_id": ["x", "x", "y"],
            "diagnosis": ["nv", "nv", "mel"],
        }
    ).reindex(columns=list(COLUMNS))
    diagnoses = tuple(Diagnosis(code=code, name=code, colour="#000000") for code in ("mel", "nv"))
    return Catalogue(frame=frame, diagnoses=diagnoses, root=Path())


def written(folder: Path, *rows: str) -> Path:
    path = folder / "split.csv"
    path.write_text("\n".join(["image_id,lesion_id,part", *rows]) + "\n")
    return path


def test_rows_come_in_the_order_of_the_catalogue(tmp_path: Path, catalogue: Catalogue) -> None:
    path = written(tmp_path, "c,y,test", "b,x,train", "a,x,train")
    split = split_from_file(path, catalogue=catalogue)
    assert split.image_ids.tolist() == ["a", "b", "c"]
    assert split.parts.tolist() == ["train", "train", "test"]


def test_a_split_may_be_separated_as_a_spreadsheet_does(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    path = written(tmp_path, "a,x,train", "b,x,train", "c,y,test")
    path.write_text("\ufeff" + path.read_text().replace(",", ";"), encoding="utf-8")
    assert split_from_file(path, catalogue=catalogue).parts.tolist() == ["train", "train", "test"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "image_id,lesion_id,part\n\xe4,x,train\n".encode("latin-1"),
            "table in UTF-8; got another .*'utf-8'",
        ),
        ("image_id,lesion_id,part\n".encode("utf-16"), "table in UTF-8; got another .*'utf-8'"),
        (b"image_id,lesion_id,part\na,x,train\nb,x,train,more\n", "Expected 3 fields in line 3"),
        (b"image_id,lesion_id,part\na,x,trian\n", r"got trian\. Rename .* \[.*split\.csv\]"),
    ],
)
def test_a_file_that_is_no_split_is_told_in_a_sentence(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "split.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_split(path)


def test_an_id_spelled_like_a_missing_value_is_an_id(tmp_path: Path, catalogue: Catalogue) -> None:
    frame = catalogue.frame.assign(image_id=["NA", "null", "c"], lesion_id=["nan", "nan", "None"])
    odd = replace(catalogue, frame=frame)
    path = written(tmp_path, "NA,nan,train", "null,nan,train", "c,None,test")
    split = split_from_file(path, catalogue=odd)
    assert split.image_ids.tolist() == ["NA", "null", "c"]
    assert split.lesion_ids.tolist() == ["nan", "nan", "None"]
    write_split(split, path)
    assert read_split(path).digest == split.digest


def test_a_leak_is_read_as_it_stands(tmp_path: Path, catalogue: Catalogue) -> None:
    path = written(tmp_path, "c,y,test", "b,x,train", "c,y,train", "a,x,train")
    split = split_from_file(path, catalogue=catalogue)
    assert split.image_ids.tolist() == ["a", "b", "c", "c"]
    assert split.parts.tolist() == ["train", "train", "train", "test"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("a,x,train", "b,x,train", "d,z,test", "c,y,test"), r"1 others \(d\)"),
        (("a,x,train",), r"got 2 without one \(b, c\)"),
        (("a,x,train", "b,x,train", "c,y,test", "c,y,test"), r"1 repeated \(c \(test\)\)"),
        (("a,x,train", "b,w,train", "c,y,test"), r"got 1 others \(b\)"),
        (("a,x,train", "b,x,train", "c,y,tset"), "A part must be one of"),
        (("a,x,train", "b,x,train", "c,y,"), "A part must be one of"),
        ((), r"got 3 without one \(a, b, c\)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, catalogue: Catalogue, rows: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        split_from_file(written(tmp_path, *rows), catalogue=catalogue)


def test_a_file_without_a_word_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "blank.csv").write_text("")
    with pytest.raises(DataError, match="must have the columns image_id, lesion_id and part"):
        split_from_file(tmp_path / "blank.csv", catalogue=catalogue)


def test_a_split_of_groups_names_its_column_after_them(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    groups, path = replace(catalogue, unit="group"), tmp_path / "split.csv"
    older = written(tmp_path, "a,x,train", "b,x,train", "c,y,test")
    split = split_from_file(older, catalogue=groups)
    assert split.unit == split.take(split.rows_of("test")).unit == "group"
    write_split(split, path)
    assert path.read_text().startswith("image_id,group_id,part\na,x,train\n")
    again = split_from_file(path, catalogue=groups)
    assert (again.unit, again.digest) == ("group", split.digest)
    assert read_split(path).unit == "group"
