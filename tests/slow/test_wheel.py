"""The wheel: built here, installed with locked dependencies where nothing was, and put to work."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def run(*command: str | Path, at: Path, **variables: str) -> str:
    """Run a command at a folder, without the variables that moulage heeds but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOULAGE_")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=at,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "uv", "build", "-q", "--wheel", "-o", folder, ROOT, at=ROOT)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_everything_that_is_not_python_too(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "moulage").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package - inside == set()
    assert {name for name in inside if not name.startswith("moulage")} == set()
    assert {name for name in inside if name.endswith("py.typed")} == {"moulage/py.typed"}
    for ending in (".html", ".css", ".js", ".safetensors", ".toml"):
        assert any(name.endswith(ending) for name in inside), ending


def test_the_wheel_runs_the_demo_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    uv = (sys.executable, "-m", "uv")
    run(*uv, "venv", "-q", "--python", sys.executable, "empty", at=tmp_path)
    interpreter = tmp_path / "empty" / "bin" / "python"
    locked = ("--constraint", ROOT / "requirements.lock")
    run(*uv, "pip", "install", "-q", "--python", interpreter, *locked, wheel, at=tmp_path)
    said = run(
        interpreter.with_name("moulage"),
        "demo",
        at=tmp_path,
        MOULAGE_CACHE=str(tmp_path / "cache"),
        MOULAGE_DATA=str(tmp_path / "data"),
        MOULAGE_OFFLINE="1",
        COLUMNS="160",
    )
    assert "accuracy (rule: natural)" in said
    assert "balanced accuracy (rule: balanced)" in said
    assert (tmp_path / "runs" / "demo" / "comparison.html").is_file()
    where = "import moulage; print(moulage.__file__)"
    assert str(tmp_path) in run(interpreter, "-c", where, at=tmp_path)
