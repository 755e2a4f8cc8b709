"""The public model hub: one file over HTTP, resumed where it broke off, checked when it is whole.

In:  an address, a path.   Out: the file with the digest the hub states, or one sentence.
Knows nothing of networks. `HF_ENDPOINT` names a mirror; `HF_HUB_OFFLINE` and `MOULAGE_OFFLINE`
forbid the network.
Why not the hub's own client: it tries an unreachable hub for half a minute and cannot be resumed
by another process.
"""

import hashlib
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import IO, Any

from moulage.errors import ConfigError, MoulageError, RunError
from moulage.files import alone_at

Progress = Callable[[int, int], None]
PUBLIC = "https://huggingface.co"
_TIMEOUT_S = 10
_BLOCK_BYTES = 1 << 18
_MOST_STALLS = 3
_PAUSE_S = 1.0


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


def download(
    address: str,
    to: Path,
    *,
    check: Callable[[Path], object] | None = None,
    progress: Progress | None = None,
) -> str:
    """Bring one file to `to` and return its sha256; what is there already of it is kept.

    Until it is whole, has the digest that the hub states and passes `check`, which raises, it
    lies beside as `<name>.part`. progress: called with bytes here and bytes in all.
    """
    was_here = to.is_file()
    partial = to.with_name(f"{to.name}.part")
    with alone_at(to):
        if to.is_file() and not was_here:  # another process brought it while we waited
            return digest_of_file(to)
        with _opened(partial) as file:
            stated = _receive(address, file, progress)
        try:
            digest = _checked(partial, stated, check)
        except MoulageError:
            partial.unlink()
            raise
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


def _opened(partial: Path) -> IO[bytes]:
    """Open an unfinished file at its end."""
    try:
        return partial.open("ab")
    except OSError as error:
        raise _unwritable(partial, error) from error


def _checked(partial: Path, stated: str | None, check: Callable[[Path], object] | None) -> str:
    digest = digest_of_file(partial)
    if stated not in (None, digest):
        raise RunError(
            f"`{partial.stem}` must have the digest that the hub states, {stated}; got {digest}. "
            "What came was deleted: run the same command again."
        )
    if check is not None:
        check(partial)
    return digest


def _receive(address: str, file: IO[bytes], progress: Progress | None) -> str | None:
    """Append until the file is whole; return the digest that the hub states, if it does."""
    n_stalls = 0
    while n_stalls < _MOST_STALLS:
        n_before = file.tell()
        answer, stated = _ask(address, n_before)
        if answer is not None and _append(answer, file, progress):
            return stated
        n_stalls = 0 if file.tell() > n_before else n_stalls + 1
        time.sleep(n_stalls * _PAUSE_S)
    raise RunError(
        f"The connection to {address} must last until the file is whole; it broke off at "
        f"{file.tell():,} bytes {_MOST_STALLS} times. What came is kept: run the same command "
        "again to go on from there."
    )


def _ask(address: str, n_here: int) -> tuple[HTTPResponse | None, str | None]:
    """Ask for what is missing; return the answer, None where none came, and the file's digest."""
    first = _FirstAnswer()
    request = urllib.request.Request(address, headers={"User-Agent": "moulage"})
    if n_here:
        request.add_header("Range", f"bytes={n_here}-")
    try:
        answer = urllib.request.build_opener(first).open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _refusal(address, error) from error
        answer = error  # it has no further bytes: whole, or not this file at all
    except urllib.error.URLError as error:
        raise RunError(
            f"The hub must be reachable; got '{error.reason}' from {address}. Check the "
            "connection, or name a mirror in HF_ENDPOINT."
        ) from error
    except (OSError, HTTPException):  # cut off before the first word
        return None, None
    return answer, _stated_digest(first.headers or answer.headers)


def _append(answer: HTTPResponse, file: IO[bytes], progress: Progress | None) -> bool:
    """Write what comes until it ends or breaks; return whether the file is whole now."""
    with answer:
        n_bytes = _length(answer)
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _settle(file, n_bytes)
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            _empty(file)
        while block := _read(answer):
            _write(file, block)
            if progress is not None:
                progress(file.tell(), n_bytes or file.tell())
    return n_bytes is None or file.tell() == n_bytes


def _settle(file: IO[bytes], n_bytes: int | None) -> bool:
    """Judge a file to which the hub has nothing to add: it is whole, or another file's start."""
    is_whole = file.tell() == n_bytes
    if not is_whole:
        _empty(file)
    return is_whole


def _empty(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


def _read(answer: HTTPResponse) -> bytes:
    try:
        return answer.read(_BLOCK_BYTES)
    except IncompleteRead as broken:
        return broken.partial
    except (OSError, HTTPException):  # timed out or reset: asked again from here
        return b""


def _write(file: IO[bytes], block: bytes) -> None:
    try:
        file.write(block)
        file.flush()
    except OSError as error:
        raise _unwritable(Path(file.name), error) from error


def _length(answer: HTTPResponse) -> int | None:
    """Return the bytes of the whole file, or None where the server does not say."""
    if answer.status == HTTPStatus.OK:
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None
    return _total_of(answer.headers)


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
    if error.code == HTTPStatus.NOT_FOUND:
        cure = "Check the backbone's name with `moulage backbones`, or HF_ENDPOINT."
    else:
        cure = "Try again later, or name a mirror in HF_ENDPOINT."
    return RunError(f"The hub must hand out {address}; got {error.code} {error.reason}. {cure}")


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"`{path}` must be writable and its disk must have room; got '{error.strerror}'. "
        "Free space or choose another folder; what came is kept, and the same command goes on."
    )
