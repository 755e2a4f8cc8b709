"""docs/library.md: every line of it runs, in its order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import moulage
from moulage.casts.generator import make_casts


@pytest.mark.slow
def test_every_line_of_the_library_page_runs(
    workplace: Path, blocks: Callable[[str, str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    make_casts(workplace / "lesions", n_images=70, seed=42, size=(64, 48), threads=1)
    (study,) = blocks("docs/library.md", "toml")
    (workplace / "study.toml").write_text(study)
    names: dict[str, Any] = {}
    for block in blocks("docs/library.md", "python"):
        exec(compile(block, "docs/library.md", "exec"), names)
    five_lines_said = float(capsys.readouterr().out.splitlines()[0])
    natural = moulage.summary(names["test"], rule="natural")
    assert five_lines_said == natural.values["accuracy"]
    assert names["outcome"].not_run == ()
    assert len(names["answers"].table) == 35
    assert len(names["foreign"].predictions) == 70
    assert (workplace / "elsewhere" / "metrics.json").is_file()


def test_the_door_has_every_name_that_it_lists() -> None:
    assert [name for name in moulage.__all__ if getattr(moulage, name, None) is None] == []
    assert dir(moulage) == moulage.__all__


def test_no_name_of_the_door_is_a_module_too() -> None:
    """Importing a module binds its name in the package: the action would be gone after that."""
    rooms = {path.stem for path in Path(moulage.__file__).parent.iterdir()}
    assert rooms.isdisjoint(moulage.__all__)
