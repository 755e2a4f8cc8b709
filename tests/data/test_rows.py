"""Rows are known by their lines, however a spreadsheet wrote them."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from moulage.data.dataset import open_dataset, read_dataset
from moulage.data.rows import lines_of, places_of
from moulage.data.sources import header_of, read_table
from moulage.errors import DataError

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("h,x\na,1\nb,2\n", [2, 3]),
        ("h,x\r\na,1\r\n\r\nb,2\r\n\r\n\r\n", [2, 4]),
        ('\n\nh,x\na,"1\n2\n3"\nb,2', [4, 7]),
        ("sep=;\nh;x\n\na;1\n", [4]),
        ("h,x\n", []),
    ],
)
def test_a_row_is_on_the_line_that_an_editor_shows(text: str, begun: list[int]) -> None:
    places = places_of(lines_of(text), len(begun))
    assert (places.tolist(), places.name) == (begun, "line")


def test_lines_that_cannot_be_counted_are_rows(tmp_path: Path) -> None:
    places = places_of(lines_of("h\na\nb\n"), 7)
    assert (places.tolist(), places.name) == ([1, 2, 3, 4, 5, 6, 7], "row")
    (tmp_path / "t.csv").write_text(f'h,x\na,"{"y" * 200_000}\n"\n')
    assert read_table(tmp_path, "t.csv").index.name == "row"


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;\r"])
def test_the_separator_that_excel_says_is_taken(
    tmp_path: Path, write_image: Write, first: str
) -> None:
    write_image(tmp_path / "a.jpg")
    (tmp_path / "t.csv").write_text(f"{first}\nimage_id;dx;remark\na;nv;1,2,3\n")
    assert header_of(tmp_path, "t.csv") == ("image_id", "dx", "remark")
    frame = read_dataset(tmp_path).frame
    assert frame[["image_id", "diagnosis", "remark"]].to_numpy().tolist() == [["a", "nv", "1,2,3"]]


def test_empty_rows_are_left_out_and_counted(tmp_path: Path, write_image: Write) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.jpg")
    text = "image_id,label,lesion_id\n,,\na,nv,L1\n,,\nb,mel,L2\n" + ",,\n" * 3
    (tmp_path / "t.csv").write_text(text)
    dataset = open_dataset(tmp_path)
    assert dataset.catalogue.image_ids.tolist() == ["a", "b"]
    assert dataset.notes == ("5 of 7 rows of t.csv are empty in every cell and left out.",)


def test_empty_rows_of_ham10000_are_left_out(ham: Path) -> None:
    plain = read_dataset(ham)
    table = ham / "HAM10000_metadata.csv"
    table.write_text(table.read_text() + ",,,,,,\n" * 2)
    dataset = open_dataset(ham)
    pd.testing.assert_frame_equal(dataset.catalogue.frame, plain.frame)
    assert dataset.notes == (
        "2 of 16 rows of HAM10000_metadata.csv are empty in every cell and left out.",
    )


def test_empty_rows_of_isic_tables_are_left_out(tmp_path: Path, write_image: Write) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.jpg")
    (tmp_path / "Truth.csv").write_text("image,MEL,NV\na,1,0\nb,0,1\n,,\n")
    (tmp_path / "Metadata.csv").write_text("image,lesion_id\na,L1\n,\n,\nb,L2\n")
    dataset = open_dataset(tmp_path)
    assert dataset.catalogue.lesion_ids.tolist() == ["L1", "L2"]
    assert dataset.notes == (
        "1 of 3 rows of Truth.csv are empty in every cell and left out.",
        "2 of 4 rows of Metadata.csv are empty in every cell and left out.",
    )
    (tmp_path / "Truth.csv").write_text("image,MEL,NV\na,1,0\n,,\n,0,1\n,1,1\nb,0,0\n")
    with pytest.raises(DataError, match=r"got 2 others \(line 5, b\) in Truth\.csv"):
        open_dataset(tmp_path)


def test_empty_rows_beside_folders_are_left_out(tmp_path: Path, write_image: Write) -> None:
    for code in ("nv", "mel"):
        write_image(tmp_path / f"{code}/{code}.jpg")
    (tmp_path / "t.csv").write_text("image_id,lesion_id\nnv,a\n,\nmel,b\n,c\n")
    dataset = open_dataset(tmp_path, kind="folders", table="t.csv")
    assert dataset.catalogue.lesion_ids.tolist() == ["b", "a"]
    assert dataset.notes == (
        "1 of 4 rows of t.csv are empty in every cell and left out.",
        "1 of 3 rows of t.csv name no image that is here (line 5).",
    )


def test_rows_without_an_id_are_named_by_their_lines(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "a.jpg")
    text = "image_id,label,age,lesion_id\n,,,\na,nv,,L1\n\n,mel,200,\n ,,,L2\n"
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match="free of faults") as caught:
        read_dataset(tmp_path)
    message = str(caught.value)
    assert "nan" not in message
    assert "must have an image id; got 2 without (line 5, line 6). Fill the column, or" in message
    assert "must have a diagnosis; got 1 without (line 6)" in message
    assert "got 1 that do not (line 5: 200)" in message
    assert "must have its file; got 2 without (line 5, line 6)" in message


def test_rows_that_are_too_long_are_named_by_their_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n\n1,"2\n2"\n1,2,3\n1,2\n1,2,3,4\n')
    with pytest.raises(DataError, match=r"which has 2; got 2 that have \(line 5: 3 .*, line 7: 4"):
        read_table(tmp_path, "t.csv")
    (tmp_path / "t.csv").write_text("a,b\n1,2,\n1,2,\n")
    with pytest.raises(DataError, match=r"`t.csv` must .* 2; got 2 that have \(line 2: 3 cells, l"):
        read_table(tmp_path, "t.csv")


def test_a_quotation_mark_that_is_not_closed_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n1,"2\n1,2\n')
    with pytest.raises(DataError, match="a header and closed quotation marks; got 'Er") as caught:
        read_table(tmp_path, "t.csv")
    assert "\n" not in str(caught.value)
