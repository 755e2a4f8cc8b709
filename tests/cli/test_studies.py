from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from moulage import actions
from moulage.cli.app import app


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ([], ()),
        (["--verify"], ("images.verify=true",)),
        (["--verify", "--set", "name=x"], ("name=x", "images.verify=true")),
    ],
)
def test_verify_is_short_for_a_key_of_the_study(
    monkeypatch: pytest.MonkeyPatch, words: list[str], changes: tuple[str, ...]
) -> None:
    told: dict[str, Any] = {}

    def train(study: Path, **options: Any) -> None:
        told.update(options)
        raise SystemExit(0)

    monkeypatch.setattr(actions, "train", train)
    CliRunner().invoke(app, ["train", "mine.toml", *words])
    assert told["changes"] == changes
