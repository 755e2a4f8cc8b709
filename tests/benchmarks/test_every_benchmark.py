"""`make bench` calls every benchmark without words: each must take that."""

import ast
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as runner

ROOT = Path(__file__).parents[2] / "benchmarks"
NAMES = sorted(path.stem for path in ROOT.glob("[!_]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_finds_all_that_it_imports(name: str) -> None:
    assert callable(import_module(f"benchmarks.{name}").main)


def functions_of(name: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / f"{name}.py").read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_can_be_called_without_words(name: str) -> None:
    main = functions_of(name)["main"]
    assert len(main.args.args) == 1 == len(main.args.defaults)
    asked = [node for node in ast.walk(main) if isinstance(node, ast.keyword)]
    assert not any(node.arg == "required" for node in asked), "say how to ask for it instead"


def test_all_are_run_each_once_those_of_speed_first() -> None:
    assert sorted(runner.NAMES) == NAMES
    assert runner.NAMES[:2] == ("speed", "fastai_speed")


def test_a_benchmark_that_fails_is_told_and_the_next_begins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[tuple[str, list[str]]] = []

    def of(name: str) -> SimpleNamespace:
        def main(words: list[str]) -> None:
            begun.append((name, words))
            if name == "benchmarks.limit":
                raise RuntimeError("no room on the disk")

        return SimpleNamespace(main=main)

    monkeypatch.setattr(runner, "import_module", of)
    assert runner.run(["limit", "speed", "caches"], "images") == ["limit"]
    given = ["--data", "images", "--images", "0"]
    assert begun == [
        ("benchmarks.limit", []),
        ("benchmarks.speed", given),
        ("benchmarks.caches", []),
    ]
    assert "no room on the disk" in capsys.readouterr().err


def test_a_benchmark_without_its_weights_says_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("MOULAGE_WEIGHTS", str(tmp_path))
    import_module("benchmarks.shortcuts").main([])
    said = capsys.readouterr().out
    assert said.startswith("It begins from MobileNetV3Small's ImageNet weights: ")
