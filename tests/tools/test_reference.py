"""The pages that the code can write itself, held against what it would write now."""

import tomllib

import pytest
from typer.testing import CliRunner

from moulage.cli.app import app
from moulage.errors import ConfigError
from moulage.runs.config import ExperimentConfig, PhaseConfig
from moulage.runs.studyfile import parse_study
from tools import reference

CURE = "run `python -m tools.reference`"


def test_the_page_of_commands_is_what_help_says() -> None:
    assert reference.COMMANDS.read_text() == reference.command_reference(), CURE


def test_the_page_of_the_study_file_is_what_the_models_say() -> None:
    assert reference.STUDY_FILE.read_text() == reference.study_reference(), CURE


def test_the_readme_has_a_row_for_every_command() -> None:
    readme = reference.README.read_text()
    assert readme == reference.with_table(readme, reference.command_table()), CURE


def test_every_option_that_help_shows_stands_on_the_page() -> None:
    said = CliRunner().invoke(app, ["train", "--help"]).output
    page = reference.command_reference()
    options = {"--data", "--out", "--only", "--set", "--fresh"}
    assert all(option in said for option in options)
    assert all(option in page for option in options)


@pytest.mark.parametrize("model", [ExperimentConfig, PhaseConfig])
def test_every_key_of_a_model_has_its_row_or_its_table(
    model: type[ExperimentConfig] | type[PhaseConfig],
) -> None:
    page = reference.study_reference()
    for name, field in model.model_fields.items():
        key = field.alias or name
        assert f"| `{key}` |" in page or f"## `experiment.{key}`" in page


def test_the_smallest_study_of_the_page_is_a_study() -> None:
    page = reference.study_reference()
    example = page.split("```toml\n")[1].split("```")[0]
    study = parse_study(tomllib.loads(example))
    assert study.experiments[0].phases[0].train_from == "head"
    with pytest.raises(ConfigError, match="backbone"):
        parse_study(tomllib.loads(example.replace('backbone = "MobileNetV2"', "")))
