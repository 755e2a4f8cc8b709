"""docs/air-gapped.md, followed line by line; from its third step on without any network.

Two things stand in for 4 GB of downloads: a hub on this machine that hands out random weights,
and the packages of the present environment, lent to the environments that the guide makes.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from moulage.casts.generator import make_casts
from moulage.networks.registry import BACKBONES

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """The address of a hub with random weights for the four backbones."""
    for backbone in BACKBONES.values():
        file = tmp_path / "hub" / backbone.hub_id / "resolve" / "main" / "model.safetensors"
        file.parent.mkdir(parents=True)
        save_file(timm.create_model(backbone.name, num_classes=0).state_dict(), file)
    handler = partial(_Quiet, directory=str(tmp_path / "hub"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def lent(tmp_path: Path) -> Path:
    """A folder with links to every installed package but moulage and pip."""
    folder = tmp_path / "lent"
    folder.mkdir()
    for package in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not package.name.lower().lstrip("_").startswith(("moulage", "pip", "editable")):
            (folder / package.name).symlink_to(package)
    return folder


@pytest.fixture
def environment(tmp_path: Path, lent: Path, hub: str) -> dict[str, str]:
    """Variables of a shell: this Python, lent packages, caches of its own, the local hub."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    # What this machine's own pip is told must not meddle with versions that are already here.
    (tmp_path / "pip.conf").write_text("[global]\nconstraint =\n[wheel]\nno-deps = true\n")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MOULAGE_", "PIP_FIND_LINKS", "PIP_CONSTRAINT"))
    }
    return kept | {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(lent),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "MOULAGE_CACHE": str(tmp_path / "cache"),
        "MOULAGE_DATA": str(tmp_path / "data"),
        "HF_ENDPOINT": hub,
        "HF_HOME": str(tmp_path / "huggingface"),
        "no_proxy": "127.0.0.1",
    }


@pytest.fixture
def cut_off(environment: dict[str, str], lent: Path) -> list[str]:
    """What to put before a command so that it has no network; its shell cannot reach the hub."""
    prefix = ["unshare", "--map-root-user", "--net"]
    able = shutil.which("unshare") and subprocess.run([*prefix, "true"], check=False)
    if not able or able.returncode:
        prefix = []
        refusal = "def _refuse(*_: object) -> None:\n    raise OSError('no network')\n"
        patches = "socket.socket.connect = socket.getaddrinfo = _refuse\n"
        (lent / "sitecustomize.py").write_text(f"import socket\n{refusal}{patches}")
    return prefix


def follow(script: str, *, at: Path, environment: dict[str, str], prefix: list[str]) -> str:
    """Run a block of the guide; return what it printed."""
    command = [*prefix, "bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=at, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def hub_answers(environment: dict[str, str], *, prefix: list[str]) -> bool:
    """Say whether a shell reaches the hub."""
    asks = "import os, urllib.request as r; r.urlopen(os.environ['HF_ENDPOINT'], timeout=5)"
    command = [*prefix, "python3", "-c", asks]
    return (
        subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    )


def test_the_guide_leads_from_a_connected_machine_to_one_without_network(
    tmp_path: Path,
    blocks: Callable[[str, str], list[str]],
    environment: dict[str, str],
    cut_off: list[str],
) -> None:
    collect, install, train = blocks("docs/air-gapped.md", "sh")
    (study,) = blocks("docs/air-gapped.md", "toml")
    copy = tmp_path / "repository"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "tests", "__pycache__"))
    follow(collect, at=copy, environment=environment, prefix=[])
    carry = tmp_path / "hospital"
    shutil.move(copy / "carry", carry)

    assert hub_answers(environment, prefix=[])
    assert not hub_answers(environment, prefix=cut_off)
    make_casts(carry / "lesions", n_images=70, seed=42, size=(64, 48), threads=1)
    (carry / "study.toml").write_text(study)
    said = follow(f"{install}\n{train}", at=carry, environment=environment, prefix=cut_off)

    assert said.count("digest are right") == len(BACKBONES)
    metrics = json.loads((carry / "runs/study/first-seed0/metrics.json").read_text())
    assert metrics["run"]["weights_source"] == "the folder MOULAGE_WEIGHTS"
    assert (carry / "runs/study/comparison.html").is_file()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""
