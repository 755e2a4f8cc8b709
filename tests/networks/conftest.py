"""A hub on this machine: files, ranges, digests, redirects, and connections that break."""

import copy
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from moulage.networks import hub
from moulage.networks.classifier import Classifier, InputContract, Recipe, build_classifier
from moulage.networks.heads import HeadKind
from moulage.networks.registry import backbone_named


@dataclass
class Hub:
    """What the server hands out and how; `asked` lists (path, range) of every request.

    break_after: bytes of a body before the connection closes, while `n_breaks` last.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    break_after: int = 0
    n_breaks: int = 0
    knows_ranges: bool = True
    redirects: bool = True
    status: int = 200

    def add(self, hub_id: str, content: bytes) -> str:
        """Publish one file with its digest, and return its address."""
        path = f"/{hub_id}/resolve/main/model.safetensors"
        self.files[path] = content
        self.digests[path] = hashlib.sha256(content).hexdigest()
        return self.address + path


def _handler(state: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.removeprefix("/store")
            state.asked.append((self.path, self.headers.get("Range")))
            if state.status != 200 or path not in state.files:
                self.send_error(state.status if state.status != 200 else 404)
            elif state.redirects and not self.path.startswith("/store"):
                self.send_response(302)
                self.send_header("Location", f"{state.address}/store{path}")
                self._end_headers(path)
            else:
                self._send_file(path)

        def _send_file(self, path: str) -> None:
            content, start = state.files[path], self._start()
            if start >= len(content) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self._end_headers(path)
                return
            self.send_response(206 if start else 200)
            if start:
                span = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.send_header("Content-Range", span)
            body = content[start:]
            self.send_header("Content-Length", str(len(body)))
            self._end_headers(path, with_length=False)
            if state.n_breaks > 0:
                state.n_breaks -= 1
                body = body[: state.break_after]
            self.wfile.write(body)

        def _start(self) -> int:
            words = self.headers.get("Range") if state.knows_ranges else None
            return int(words.removeprefix("bytes=").rstrip("-")) if words else 0

        def _end_headers(self, path: str, *, with_length: bool = True) -> None:
            if with_length:
                self.send_header("Content-Length", "0")
            if not self.path.startswith("/store") and path in state.digests:
                self.send_header("X-Linked-Etag", f'"{state.digests[path]}"')
            self.end_headers()

    return Handler


@pytest.fixture
def local_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine, the network allowed, no pause between attempts."""
    state = Hub(address="")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    state.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(hub, "_PAUSE_S", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("MOULAGE_OFFLINE", "HF_HUB_OFFLINE", "MOULAGE_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", state.address)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's caches."""
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("MOULAGE_WEIGHTS", raising=False)


def _recipe(
    name: str,
    *,
    size_px: int = 64,
    hidden: tuple[int, ...] = (16,),
    head: HeadKind = "pooled",
    n_diagnoses: int = 3,
) -> Recipe:
    return Recipe(
        backbone=name,
        head=head,
        hidden=hidden,
        dropout=0.0,
        contract=InputContract(
            size_px=size_px,
            resize="squash",
            scaling=backbone_named(name).scaling,
            diagnoses=tuple(f"dx{number}" for number in range(n_diagnoses)),
        ),
    )


@pytest.fixture(scope="session")
def recipe_of() -> Callable[..., Recipe]:
    """Return a function that writes a small recipe for a backbone."""
    return _recipe


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """Return five random images, (5, 64, 64, 3) uint8."""
    return np.random.default_rng(42).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def _built() -> Classifier:
    return build_classifier(_recipe("mobilenetv2_100"), seed=42).eval()


@pytest.fixture
def classifier(_built: Classifier) -> Classifier:
    """Return a small classifier of the family the paper begins with, a copy a test."""
    return copy.deepcopy(_built)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread: small images gain nothing from two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
