"""Predictions are read back as they were written, and nothing else is taken for them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from moulage.errors import DataError
from moulage.predictions import Predictions, read_predictions, write_predictions


@pytest.fixture
def written(tmp_path: Path) -> Path:
    predictions = Predictions(
        image_ids=np.array(["a", "b"]),
        lesion_ids=np.array(["A", "B"]),
        parts=np.array(["train", "test"]),
        labels=np.array([0, 1]),
        logits=np.array([[1, -1], [0.5, 2]], dtype=np.float32),
        diagnoses=("mel", "nv"),
        prior=np.array([0.25, 0.75]),
        temperature=1.5,
    )
    write_predictions(predictions, tmp_path / "predictions.parquet")
    return tmp_path / "predictions.parquet"


def test_what_was_written_is_read(written: Path) -> None:
    found = read_predictions(written)
    assert found.image_ids.tolist() == ["a", "b"]
    assert found.logits.tolist() == [[1, -1], [0.5, 2]]
    assert (found.diagnoses, found.temperature) == (("mel", "nv"), 1.5)


@pytest.mark.parametrize("n_bytes", [0, 3, 600, -1])
def test_a_torn_file_is_told_with_its_path(written: Path, n_bytes: int) -> None:
    written.write_bytes(written.read_bytes()[:n_bytes])
    with pytest.raises(DataError, match=r"predictions.parquet` must be whole .* delete a torn one"):
        read_predictions(written)


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("image_id,label\na,mel\n")
    with pytest.raises(DataError, match=r"answers.csv` must be whole predictions in Parquet; got"):
        read_predictions(tmp_path / "answers.csv")


def test_a_table_without_its_columns_or_with_broken_metadata_is_told(written: Path) -> None:
    table = pq.read_table(written)
    pq.write_table(table.drop_columns(["label"]), written)
    with pytest.raises(DataError, match="label"):
        read_predictions(written)
    pq.write_table(table.replace_schema_metadata({"moulage": "{prior"}), written)
    with pytest.raises(DataError, match="must be whole predictions"):
        read_predictions(written)


def test_anothers_parquet_file_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image_id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="got a Parquet file without their prior"):
        read_predictions(tmp_path / "other.parquet")


def test_no_flipped_bit_is_read_as_other_numbers(written: Path) -> None:
    content, before = written.read_bytes(), read_predictions(written)
    for at in range(0, len(content), 7):
        written.write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])
        try:
            found = read_predictions(written)
        except DataError as error:
            assert "must be whole predictions" in str(error)  # noqa: PT017 - either may happen
            continue
        assert (found.logits == before.logits).all()
        assert (found.prior == before.prior).all()
        assert found.parts.tolist() == before.parts.tolist()


def test_predictions_of_before_seals_are_read(written: Path) -> None:
    written.write_bytes(written.read_bytes().replace(b"moulage crc32", b"another thing"))
    assert read_predictions(written).logits.tolist() == [[1, -1], [0.5, 2]]
