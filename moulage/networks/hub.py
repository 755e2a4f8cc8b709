"""The public model hub: one file over HTTP, resumed where it broke off, checked when it is whole.

In:  an address, a path.   Out: the file with the digest the hub states, or one sentence.
Knows nothing of networks. `HF_ENDPOINT` names a mirror; `HF_HUB_OFFLINE` and `MOULAGE_OFFLINE`
forbid the network.
Why not the hub's own client: it tries an unreachable hub for half a minute and cannot be resumed
by another process.
"""

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO, Any

from moulage.errors import ConfigError, RunError

try:
    import fcntl
except ImportError:  # Windows refuses to rename a file that another process holds open
    fcntl = None  # type: ignore[assignment]

Progress = Callable[[int, int], None]
PUBLIC = "https://huggingface.co"
_TIMEOUT_S = 10
_BLOCK_BYTES = 1 << 18
_MOST_STALLS = 3


def is_offline() -> bool:
    """Return whether the environment forbids the network."""
    words = {os.environ.get(name, "").lower() for name in ("MOULAGE_OFFLINE", "HF_HUB_OFFLINE")}
    return bool(words & {"1", "true", "yes", "on"})


def address_of(hub_id: str, endpoint: str | None = None) -> str:
    """Return where the hub keeps a model's weights."""
    base = (endpoint or os.environ.get("HF_ENDPOINT") or PUBLIC).rstrip("/")
    if not base.startswith(("https://", "http://")):
        raise ConfigError(
            f"The hub's address must begin with http:// or https://; got {base!r}. "
            "Correct HF_ENDPOINT or `--endpoint`."
        )
    return f"{base}/{hub_id}/resolve/main/model.safetensors"


def download(address: str, to: Path, *, progress: Progress | None = None) -> str:
    """Bring one file to `to` and return its sha256; what is there already of it is kept.

    Until it is whole and has the digest that the hub states, it lies beside as `<name>.part`.
    progress: called with bytes here and bytes in all.
    """
    partial = to.with_name(f"{to.name}.part")
    with _alone(partial) as file:
        if not partial.exists():  # while we waited for the lock, another process finished it
            return digest_of_file(to)
        stated = _receive(address, file, progress)
        digest = digest_of_file(partial)
        if stated not in (None, digest):
            partial.unlink()
            raise RunError(
                f"`{to.name}` must have the digest that the hub states, {stated}; got {digest}. "
                "What came was deleted: run the same command again."
            )
        partial.replace(to)
    return digest


def digest_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _FirstAnswer(urllib.request.HTTPRedirectHandler):
    """Follow redirects and remember the first answer, the only one in which the hub speaks."""

    def __init__(self) -> None:
        self.headers: Message | None = None

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        self.headers = self.headers or headers
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _alone(partial: Path) -> Iterator[IO[bytes]]:
    """Open the unfinished file at its end; another process that fetches it waits."""
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("ab")
    except OSError as error:
        raise _unwritable(partial, error) from error
    with file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _receive(address: str, file: IO[bytes], progress: Progress | None) -> str | None:
    """Append until the file is whole; return the digest that the hub states, if it does."""
    n_stalls = 0
    while n_stalls < _MOST_STALLS:
        n_before = file.tell()
        is_whole, stated = _append(address, file, progress)
        if is_whole:
            return stated
        n_stalls = 0 if file.tell() > n_before else n_stalls + 1
    raise RunError(
        f"The connection to {address} must last until the file is whole; it broke off at "
        f"{file.tell():,} bytes {_MOST_STALLS} times. What came is kept: run the same command "
        "again to go on from there."
    )


def _append(address: str, file: IO[bytes], progress: Progress | None) -> tuple[bool, str | None]:
    """Ask once for what is missing; return whether the file is whole now, and its digest."""
    first = _FirstAnswer()
    request = urllib.request.Request(address)
    if file.tell():
        request.add_header("Range", f"bytes={file.tell()}-")
    try:
        with urllib.request.build_opener(first).open(request, timeout=_TIMEOUT_S) as answer:
            n_bytes = _prepare(answer, file)
            _copy(answer, file, n_bytes, progress)
            is_whole = n_bytes is None or file.tell() == n_bytes
            return is_whole, _stated_digest(first.headers or answer.headers)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _refusal(address, error) from error
        return _settle(file, error.headers), _stated_digest(first.headers or error.headers)
    except urllib.error.URLError as error:
        raise RunError(
            f"The hub must be reachable; got '{error.reason}' from {address}. Check the "
            "connection, or name a mirror in HF_ENDPOINT."
        ) from error


def _prepare(answer: http.client.HTTPResponse, file: IO[bytes]) -> int | None:
    """Return how long the whole file is; a server that begins anew makes us do so too."""
    if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
        return _total_of(answer.headers)
    file.truncate(0)
    length = answer.headers.get("Content-Length")
    return int(length) if length else None


def _copy(
    answer: http.client.HTTPResponse,
    file: IO[bytes],
    n_bytes: int | None,
    progress: Progress | None,
) -> None:
    """Append what comes until it ends or breaks; a full disk raises."""
    while block := _read(answer):
        try:
            file.write(block)
            file.flush()
        except OSError as error:
            raise _unwritable(Path(file.name), error) from error
        if progress is not None:
            progress(file.tell(), n_bytes or file.tell())


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_BLOCK_BYTES)
    except http.client.IncompleteRead as broken:
        return broken.partial
    except (OSError, http.client.HTTPException):  # timed out or reset: asked again from here
        return b""


def _settle(file: IO[bytes], headers: Message) -> bool:
    """Judge a file of which the hub has no further bytes: whole, or not this file at all."""
    if _total_of(headers) == file.tell():
        return True
    file.truncate(0)
    return False


def _total_of(headers: Message) -> int | None:
    """Return N of `Content-Range: bytes 0-9/N`."""
    total = headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def _stated_digest(headers: Message) -> str | None:
    """Return the sha256 that the hub gives as the entity tag of its large files."""
    tag = headers.get("X-Linked-Etag") or headers.get("ETag") or ""
    found = re.fullmatch(r'(?:W/)?"?([0-9a-f]{64})"?', tag.strip())
    return found.group(1) if found else None


def _refusal(address: str, error: urllib.error.HTTPError) -> RunError:
    if error.code == http.HTTPStatus.NOT_FOUND:
        cure = "Check the backbone's name with `moulage backbones`, or HF_ENDPOINT."
    else:
        cure = "Try again later, or name a mirror in HF_ENDPOINT."
    return RunError(f"The hub must hand out {address}; got {error.code} {error.reason}. {cure}")


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"`{path}` must be writable and its disk must have room; got '{error.strerror}'. "
        "Free space or choose another folder; what came is kept, and the same command goes on."
    )
