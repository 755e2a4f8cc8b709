"""Predictions are read back as they were written, and nothing else is taken for them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from moulage.catalogue import COLUMNS, Catalogue, Diagnosis
from moulage.errors import ConfigError, DataError, ShapeError
from moulage.predictions import Predictions, read_predictions, write_predictions
from moulage.split import Split


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


def test_ids_of_groups_are_called_so_in_the_file_and_known_when_it_is_read(written: Path) -> None:
    lesions = read_predictions(written)
    assert lesions.unit == "lesion"
    path = written.with_name("of-groups.parquet")
    write_predictions(replace(lesions, unit="group"), path)
    assert pq.read_table(path).column_names[:2] == ["image_id", "group_id"]
    groups = read_predictions(path)
    assert groups.unit == groups.of("test").unit == "group"
    assert groups.lesion_ids.tolist() == lesions.lesion_ids.tolist()


def _fields() -> dict[str, Any]:
    return {
        "image_ids": np.array(["a", "b"]),
        "lesion_ids": np.array(["A", "B"]),
        "parts": np.array(["train", "test"]),
        "labels": np.array([0, 1]),
        "logits": np.array([[1, -1], [0.5, 2]], dtype=np.float32),
        "diagnoses": ("mel", "nv"),
        "prior": np.array([0.25, 0.75]),
    }


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("lesion_ids", np.array(["A"]), r"`lesion_ids` must have shape \(2,\), .* got \(1,\)"),
        ("parts", ["train", "test"], r"must be a numpy array of text; got list\. Pass `np.asarray"),
        ("labels", np.array([0.0, 1.0]), r"got float64\. Pass `labels.astype\(np.int64\)`"),
        ("labels", np.array(["mel", "nv"]), "must be an array of integers; got <U3"),
        ("labels", pd.DataFrame({"label": [0, 1]}), "`labels` must be .* got DataFrame"),
        ("logits", np.zeros((2, 2)), r"float32; got float64\. Pass `logits.astype\(np.float32\)`"),
        ("logits", np.zeros((2, 3), dtype=np.float32), r"\(2, 2\); got \(2, 3\)\. Pass a row"),
        ("logits", [[0, 1], [1, 0]], r"\(2, 2\); got list"),
        ("prior", np.array([np.nan, 1]), "`prior` must be finite; got 1 value"),
        ("prior", np.array([-0.5, 1.5]), r"`prior` must not be negative; got -0\.5"),
        ("prior", np.array([0.9, 0.5]), r"`prior` must sum to 1; got a sum of 1\.4\. Divide it"),
        ("diagnoses", None, r"`diagnoses` must be different codes, .* got None\. Pass, say"),
        ("diagnoses", ("a", "a"), r"must be different codes, .* got \('a', 'a'\)\."),
        ("diagnoses", "ab", "must be different codes, .* got 'ab'"),
        ("temperature", -1.0, r"`temperature` must be a number above 0; got -1\.0"),
        ("temperature", 0.0, "`temperature` must be a number above 0"),
        ("temperature", np.nan, "`temperature` must be a number above 0"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(name: str, value: object, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        Predictions(**{**_fields(), name: value})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("parts", np.array(["train", "tset"]), r"A part must be one of .*; got tset\. Rename"),
        ("image_ids", np.array(["a", "a"]), r"once in a part; got a in test more .* Leave the"),
        ("unit", "patient", r"`unit` must be one of lesion, group; got 'patient'\."),
        ("unit", None, "`unit` must be one of lesion, group; got None"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(name: str, value: object, said: str) -> None:
    fields = {**_fields(), "parts": np.array(["test", "test"]), name: value}
    with pytest.raises((DataError, ConfigError), match=said):
        Predictions(**fields)


def test_a_diagnosis_without_training_images_and_an_image_in_two_parts_are_accepted() -> None:
    fields = {**_fields(), "image_ids": np.array(["a", "a"]), "prior": np.array([1.0, 0.0])}
    assert len(Predictions(**fields)) == 2


def test_records_refuse_to_be_written_to_and_leave_the_callers_arrays_alone() -> None:
    fields = _fields()
    predictions = Predictions(**fields)
    split = Split(**{name: fields[name] for name in ("image_ids", "lesion_ids", "parts")})
    for array in (
        predictions.logits,
        predictions.of("test").labels,
        predictions.prior,
        split.parts,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = array[::-1]
    fields["logits"][:] = 7


def test_a_part_that_is_none_is_refused_and_an_empty_one_is_not() -> None:
    predictions = Predictions(**_fields())
    with pytest.raises(ConfigError, match=r"`part` must be .* got 'tset'\. Did you mean 'test'\?"):
        predictions.of("tset")  # type: ignore[arg-type]
    assert len(predictions.of("calibration")) == 0


def test_rows_are_taken_by_number_or_by_mask() -> None:
    predictions = Predictions(**_fields())
    assert predictions.take(np.array([False, True])).image_ids.tolist() == ["b"]
    assert predictions.take(np.array([1, 0])).image_ids.tolist() == ["b", "a"]
    assert predictions.take(np.array([1, 1])).image_ids.tolist() == ["b", "b"]
    for rows in (np.array([True]), np.array([2]), np.array([0.0])):
        with pytest.raises(ShapeError, match=r"`rows` must be numbers of rows in \[0, 2\)"):
            predictions.take(rows)


def test_a_path_may_be_text_and_must_be_a_file(written: Path) -> None:
    assert len(read_predictions(str(written))) == 2
    for path in (written.with_name("absent.parquet"), written.parent):
        with pytest.raises(DataError, match="must be whole predictions in Parquet; got"):
            read_predictions(path)


def test_a_split_and_a_catalogue_are_held_together_too() -> None:
    ids = np.array(["a", "b"])
    with pytest.raises(ShapeError, match=r"`parts` must have shape \(2,\)"):
        Split(image_ids=ids, lesion_ids=ids, parts=np.array(["test"]))
    split = Split(image_ids=ids, lesion_ids=ids, parts=np.array(["test", "train"]))
    with pytest.raises(ConfigError, match="Did you mean 'train'"):
        split.rows_of("trian")  # type: ignore[arg-type]
    frame = pd.DataFrame(dict.fromkeys(COLUMNS, ids)).assign(diagnosis=["mel", "nv"])
    mel = Diagnosis(code="mel", name="Melanoma", colour="#000000")
    catalogue = Catalogue(frame=frame, diagnoses=(mel,), root=Path())
    assert catalogue.take(np.array([False, True])).image_ids.tolist() == ["b"]
    with pytest.raises(DataError, match=r"A diagnosis must be one of mel; got nv\. Correct"):
        _ = catalogue.labels


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
