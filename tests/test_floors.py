"""Imports point down, never sideways save on the ground floor (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "moulage"
FLOORS = {
    "__main__": 7,
    "cli": 6,
    "actions": 5,
    "dossier": 4,
    "runs": 3,
    "pages": 3,
    "training": 2,
    "surveying": 2,
    "explanation": 2,
    "data": 1,
    "casts": 1,
    "splits": 1,
    "networks": 1,
    "evaluation": 1,
    "errors": 0,
    "arguments": 0,
    "arrays": 0,
    "seeding": 0,
    "files": 0,
    "store": 0,
    "views": 0,
    "catalogue": 0,
    "covariates": 0,
    "split": 0,
    "predictions": 0,
    "seal": 0,
}
TORCH_ROOMS = {"networks", "training"}
TORCH_FAMILY = {"torch", "torchvision", "timm", "safetensors.torch"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(dotted: str) -> str:
    return dotted.split(".")[1]


def imports_of(path: Path) -> list[str]:
    """Every absolute import of a module, lazy ones inside functions too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "moulage":
                names += [f"moulage.{alias.name}" for alias in node.names]
            elif node.module:
                names.append(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports_of(path):
        if not name.startswith("moulage"):
            continue
        assert name != "moulage", f"{path.name} imports the public door"
        other = room_of(name)
        assert FLOORS[other] < FLOORS[own] or other == own or FLOORS[own] == 0 == FLOORS[other], (
            f"{path.relative_to(PACKAGE)} (floor {FLOORS[own]}) imports {name} "
            f"(floor {FLOORS[other]})"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_torch_stays_in_its_rooms(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    families = {name if name in TORCH_FAMILY else name.split(".")[0] for name in imports_of(path)}
    assert own in TORCH_ROOMS or not families & TORCH_FAMILY


@pytest.mark.parametrize("room", sorted(p.parent for p in PACKAGE.glob("*/__init__.py")), ids=str)
def test_a_room_opens_with_a_docstring_and_nothing_else(room: Path) -> None:
    body = ast.parse((room / "__init__.py").read_text()).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


def test_every_module_stands_on_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms <= set(FLOORS)
