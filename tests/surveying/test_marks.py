from pathlib import Path

import pandas as pd
import pytest

from moulage.surveying.marks import with_marks, write_pairs

FOUND = pd.DataFrame(
    {
        "image_id": ["a", "c", "e"],
        "other_id": ["b", "d", "f"],
        "certainty": [0.9, 0.8, 0.7],
        "confirmed": ["", "yes", ""],
    }
)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_readers_marks_stay_with_their_pairs(separator: str, start: str) -> None:
    lines = ["image_id,other_id,certainty,confirmed", "b,a,0.9,No", "x,y,0.6,yes", "e,f,0.7,"]
    before = start + "\n".join(lines).replace(",", separator) + "\n"
    marked = with_marks(FOUND, before)
    assert marked["confirmed"].tolist() == ["No", "yes", ""]
    assert marked["image_id"].tolist() == ["a", "c", "e"]


def test_a_table_written_again_keeps_what_was_written_into_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "pairs.csv"
    write_pairs(FOUND, path)
    assert pd.read_csv(path, keep_default_na=False).equals(FOUND)
    path.write_text(path.read_text().replace("a,b,0.9,", "a,b,0.9,no"))
    write_pairs(FOUND, path)
    assert path.read_text().splitlines()[1:3] == ["a,b,0.9,no", "c,d,0.8,yes"]


def test_a_torn_table_says_what_it_can() -> None:
    before = "image_id,other_id,confirmed\na,b\nc,d,no,more,cells\nf,e,yes\n"
    assert with_marks(FOUND, before)["confirmed"].tolist() == ["", "no", "yes"]


@pytest.mark.parametrize(
    "before",
    ["", "image_id,other_id\na,b\n", "image_id,other_id,was_confirmed\na,b,no\n", "no table"],
)
def test_other_text_says_nothing(before: str) -> None:
    assert with_marks(FOUND, before).equals(FOUND)
