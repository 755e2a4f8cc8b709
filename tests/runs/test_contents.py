import re
from pathlib import Path

import pytest

from moulage.errors import RunError
from moulage.runs.contents import read_json, read_table, read_toml

TOML = 'name = "s"\n[split]\nkind = "grouped"\n'
CSV = "phase,epoch,loss\nfrozen,1,0.5\nfrozen,2,0.25\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"", "an empty file"),
        (bytes(9), "nothing but zeros"),
        (b"\xff\xfe", "what is no text"),
        (b'{"a": 1', "torn JSON"),
        (b"[]", "a list in place of a table"),
        (b"{}", "no a in it"),
    ],
)
def test_torn_json_is_one_sentence_with_a_cure(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_bytes(content)
    cure = re.escape("Copy the run folder again, or delete it and train it again.")
    with pytest.raises(RunError, match=rf"metrics\.json` must be whole.*; got {said}.*{cure}$"):
        read_json(path, keys=("a",))


def test_what_is_lacking_deep_inside_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text('{"parts": [{"test": {"natural": 1}}]}')
    found = read_json(path, cure="Mend it.")["parts"][0]["test"]
    assert found == {"natural": 1}
    assert found.get("balanced") is None
    with pytest.raises(RunError, match=r"metrics\.json` .*; got no 'balanced' in it\. Mend it\."):
        found["balanced"]


def test_a_cut_study_file_is_torn_wherever_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(TOML)
    assert read_toml(path) == {"name": "s", "split": {"kind": "grouped"}}
    for n_bytes in range(len(TOML)):
        path.write_bytes(TOML.encode()[:n_bytes])
        with pytest.raises(RunError, match=r"study\.toml` must be whole"):
            read_toml(path, keys=("name", "split"))["split"]["kind"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (CSV[:-2], r"a file that breaks off after"),
        ("phase,loss\nfrozen,0.5\n", "no column epoch"),
        (CSV.replace("0.25", "0.x5"), "text among the numbers of loss"),
        (CSV.replace("2,", "2,,,"), "a torn table"),
        ("\n", "a torn table"),
    ],
)
def test_torn_tables_are_told(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(content)
    with pytest.raises(RunError, match=rf"history\.csv` must be whole, .*; got {said}"):
        read_table(path, columns=("phase", "epoch"), texts=("phase",))


def test_a_table_comes_back_with_ids_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "unfamiliarity.csv"
    path.write_text("image_id,value\n007,0.5\nNA,\n")
    found = read_table(path, columns=("image_id",), texts=("image_id",))
    assert found["image_id"].tolist() == ["007", "NA"]
    assert found["value"].isna().tolist() == [False, True]
