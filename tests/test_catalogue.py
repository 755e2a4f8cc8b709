"""A catalogue is read back as it was written, and nothing else is taken for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moulage.catalogue import Catalogue, Diagnosis, read_catalogue, write_catalogue
from moulage.errors import DataError


@pytest.fixture
def written(tmp_path: Path) -> Path:
    frame = pd.DataFrame(
        {
            "image_id": ["a", "b"],
            "lesion_id": ["A", "B"],
            "path": ["a.jpg", "b.jpg"],
            "diagnosis": ["mel", "nv"],
            "age": [40.0, np.nan],
            "sex": ["female", np.nan],
            "localization": ["back", "face"],
            "dx_type": ["histo", "consensus"],
        }
    )
    kinds = tuple(
        Diagnosis(code=code, name=code.upper(), colour="#123456") for code in ("mel", "nv")
    )
    path = tmp_path / "catalogue.parquet"
    write_catalogue(Catalogue(frame=frame, diagnoses=kinds, root=tmp_path, name="ours"), path)
    return path


def test_what_was_written_is_read(written: Path) -> None:
    found = read_catalogue(written)
    assert (found.name, found.codes, len(found)) == ("ours", ("mel", "nv"), 2)
    assert found.labels.tolist() == [0, 1]
    assert found.frame["age"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: bytes(len(content)),
        lambda content: content.replace(b"mel", b"mem", 1),
        lambda content: content.replace(b"#123456", b"#123457", 1),
    ],
    ids=["empty", "cut", "zeroed", "a-row", "a-colour"],
)
def test_a_torn_or_changed_file_is_one_sentence(
    written: Path, spoil: Callable[[bytes], bytes]
) -> None:
    before = written.read_bytes()
    written.write_bytes(spoil(before))
    assert written.read_bytes() != before
    with pytest.raises(DataError, match=r"catalogue.parquet` must be a whole .* train it again\.$"):
        read_catalogue(written)


def test_a_catalogue_of_before_seals_is_read(written: Path) -> None:
    written.write_bytes(written.read_bytes().replace(b"moulage crc32", b"another thing"))
    assert len(read_catalogue(written)) == 2
