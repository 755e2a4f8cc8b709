"""`moulage survey` in words: the verdict in lines, exit codes that a script can use."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from moulage import actions
from moulage.cli.app import app
from moulage.surveying.verdict import Level, Line


def asked(monkeypatch: pytest.MonkeyPatch, level: Level, *words: str) -> tuple[int, str]:
    told: dict[str, Any] = {}

    def survey(dataset: Path, **options: Any) -> tuple[None, tuple[Line, ...]]:
        told.update(options, dataset=dataset)
        return None, (Line(level=level, subject="files", sentence="Three cannot be read."),)

    monkeypatch.setattr(actions, "survey", survey)
    result = CliRunner().invoke(app, ["survey", "data", "--out", "here", *words])
    assert told["dataset"] == Path("data")
    assert told["out"] == Path("here")
    return result.exit_code, result.output


def test_a_verdict_is_printed_and_the_page_named(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = asked(monkeypatch, "stop")
    assert code == 0
    assert "stop  files  Three cannot be read." in said
    assert "here/survey.html" in said


@pytest.mark.parametrize(("level", "code"), [("stop", 1), ("look", 0), ("ok", 0)])
def test_only_stop_and_strict_together_exit_with_one(
    monkeypatch: pytest.MonkeyPatch, level: Level, code: int
) -> None:
    assert asked(monkeypatch, level, "--strict")[0] == code
