"""docs/architecture.md: its table of rooms, held against the test of floors."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def floors() -> dict[str, int]:
    spec = importlib.util.spec_from_file_location("floors", ROOT / "tests" / "test_floors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, int] = module.FLOORS
    return found


def test_the_table_of_rooms_is_the_table_of_floors() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (\d) \| `(\w+)` \|", page, re.MULTILINE)
    assert {room: int(floor) for floor, room in rows} == floors()
    assert len(rows) == len(floors())


def test_every_room_of_the_table_stands_in_the_house() -> None:
    package = ROOT / "moulage"
    missing = [
        room
        for room in floors()
        if not (package / room / "__init__.py").is_file() and not (package / f"{room}.py").is_file()
    ]
    assert missing == []
