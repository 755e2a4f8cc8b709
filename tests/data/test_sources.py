"""A zip is what ends in .zip; a folder may be called anything."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from moulage.data.dataset import read_dataset
from moulage.data.decoding import decode_batches, list_image_files
from moulage.data.sources import Sources, base_of, by_base, open_place, read_table
from moulage.errors import DataError

Write = Callable[..., Path]


def test_a_folder_with_an_exclamation_mark_is_no_zip(
    tmp_path: Path, write_image: Write, zip_folder: Callable[[Path], Path]
) -> None:
    loose = write_image(tmp_path / "wow!/a.jpg", grey=10)
    write_image(tmp_path / "wow!/part/mel!/b.jpg", grey=70)
    zip_folder(tmp_path / "wow!/part").rename(tmp_path / "wow!/part.ZIP")
    names = list_image_files([loose, tmp_path / "wow!"])
    assert names == [str(loose), f"{tmp_path}/wow!/part.ZIP!/mel!/b.jpg"]
    (batch,) = decode_batches(names, size_px=2, resize="squash")
    assert batch.unreadable == ()
    with Sources(tmp_path) as sources:
        assert sources.stamp("wow!/a.jpg")[0] == loose.stat().st_size
        assert sources.head("wow!/a.jpg") == loose.read_bytes()
        assert sources.read("wow!/part.ZIP!/mel!/b.jpg") == sources.head(
            "wow!/part.ZIP!/mel!/b.jpg"
        )


@pytest.mark.parametrize("images", [None, "mel!"])
def test_a_table_may_name_files_below_such_a_folder(
    tmp_path: Path, write_image: Write, images: str | None
) -> None:
    write_image(tmp_path / "mel!/a.jpg")
    path = "a.jpg" if images else "mel!/a.jpg"
    (tmp_path / "t.csv").write_text(f"path,diagnosis\n{path},mel\n")
    assert read_dataset(tmp_path, images=images).frame["path"].tolist() == ["mel!/a.jpg"]


def test_images_below_a_folder_are_not_those_of_its_namesake(
    tmp_path: Path, write_image: Write, zip_folder: Callable[[Path], Path]
) -> None:
    for name in ("mel/a.jpg", "mel!/b.jpg", "part/c.jpg"):
        write_image(tmp_path / name)
    zip_folder(tmp_path / "part")
    place = open_place(tmp_path)
    assert place.images("mel") == ["mel/a.jpg"]
    assert place.images("mel!") == ["mel!/b.jpg"]
    assert place.images("part.zip") == ["part.zip!/c.jpg"]


def test_a_zip_of_another_ending_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "download", "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(DataError, match=r"a name that ends in \.zip; got .*download\. Rename it"):
        open_place(tmp_path / "download")


def test_a_file_that_only_ends_as_a_zip_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"`broken\.zip` must be a whole zip"):
        open_place(tmp_path / "broken.zip")


def test_the_columns_of_a_table_are_told_without_its_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('" a ";"b;c"\n1;2\n3;4;5\n')
    assert read_table(tmp_path, "t.csv", n_rows=0).columns.tolist() == ["a", "b;c"]
    said = r"header, which has 2; got 1 that have \(line 3: 3 cells\) in /.* holds ';' into quotat"
    with pytest.raises(DataError, match=said):
        read_table(tmp_path, "t.csv")
    pd.DataFrame({"a": [1], "b;c": [2]}, index=["x"]).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path, "t.parquet", n_rows=0).columns.tolist() == ["a", "b;c"]
    assert len(read_table(tmp_path, "t.parquet")) == 1


def test_files_are_known_by_base_as_written_first() -> None:
    found = by_base(["x/a.PNG", "y/a.png", "z/b.JPG", "a.jpg"])
    assert found["a.PNG"] == "x/a.PNG"
    assert found["a.png"] == "y/a.png"
    assert found["b.jpg"] == "z/b.JPG"
    assert base_of("x/lesion6.V2") == "lesion6.V2", "no ending of an image"
