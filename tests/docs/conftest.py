"""Pages of the documentation as tests read them: their fenced blocks, and a place to run them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def blocks() -> Callable[[str, str], list[str]]:
    """Return a function `(page, language)` that lists the page's fenced blocks."""

    def cut(page: str, language: str) -> list[str]:
        text = (ROOT / page).read_text()
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)

    return cut


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, with caches of its own."""
    for name in ("MOULAGE_CACHE", "MOULAGE_DATA"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("MOULAGE_WEIGHTS", "MOULAGE_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
