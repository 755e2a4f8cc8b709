import json
from pathlib import Path

import pytest

from moulage.runs.ledger import in_words, look, read_ledger


@pytest.fixture(autouse=True)
def own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOULAGE_DATA", str(tmp_path))
    return tmp_path


def test_each_recipe_is_one_look_at_a_split() -> None:
    assert read_ledger("d1") == []
    assert len(look("d1", run="s/a", recipe="r1")) == 1
    assert len(look("d1", run="s/a", recipe="r1")) == 1, "the same recipe again is no new look"
    assert [entry["run"] for entry in look("d1", run="s/b", recipe="r2")] == ["s/a", "s/b"]
    assert len(look("d2", run="s/b", recipe="r2")) == 1, "another split is another test"


def test_the_ledger_lives_with_the_users_records(own_records: Path) -> None:
    looks = look("d1", run="s/a", recipe="r1")
    assert json.loads((own_records / "ledger" / "d1.json").read_text()) == looks


@pytest.mark.parametrize(("n", "words"), [(1, "once"), (2, "twice"), (3, "3 times")])
def test_looks_are_told_in_words(n: int, words: str) -> None:
    assert f"looked at {words} on this machine" in in_words(n)
