"""What is written is whole, has a name that every system takes, or is refused with a cure."""

from pathlib import Path

import pytest

from moulage.errors import RunError
from moulage.files import alone_at, file_name, write_text


@pytest.mark.parametrize(
    ("variable", "cure"),
    [
        ("MOULAGE_CACHE", "MOULAGE_CACHE moves the cache"),
        ("MOULAGE_DATA", "MOULAGE_DATA moves the records"),
        ("OTHER", "`--out` names it, where the command has that"),
    ],
)
def test_a_folder_that_cannot_be_written_is_told_with_what_moves_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, cure: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    with pytest.raises(RunError, match=rf"choose another folder \({cure}\), then run the same"):
        write_text(tmp_path / "file" / "inside", "text")


def test_plain_ids_are_file_names_and_what_none_can_hold_is_not() -> None:
    for plain in ("ISIC_0024306", "a photograph.2-b~"):
        assert file_name(plain) == plain
    assert file_name('C:\\a/b?"*|<>\n') == "C%3A%5Ca%2Fb%3F%22%2A%7C%3C%3E%0A"
    names = [file_name("a" * 250 + end) for end in "xy"]
    assert names[0] != names[1]
    assert {len(name) for name in names} == {200}


def test_where_no_lock_can_be_had_nobody_is_kept_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = []
    with alone_at(tmp_path / "file" / "d1.json"):
        done.append(True)
    assert done
