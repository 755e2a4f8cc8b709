"""`make bench` calls every benchmark without words: each must take that."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

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
