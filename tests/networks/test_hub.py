"""The hub's client against a server on this machine."""

import errno
import hashlib
import socket
from pathlib import Path
from typing import IO, Any

import pytest

from moulage.errors import ConfigError, DataError, RunError
from moulage.networks import hub

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_a_file_arrives_whole_with_its_digest(tmp_path: Path, local_hub: Any) -> None:
    address = local_hub.add("timm/a", CONTENT)
    assert hub.download(address, tmp_path / "new" / "a.safetensors") == DIGEST
    assert (tmp_path / "new" / "a.safetensors").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").glob("[!.]*")] == ["a.safetensors"]


def test_a_folder_without_locks_is_filled_too(
    tmp_path: Path, local_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert hub.download(local_hub.add("timm/a", CONTENT), tmp_path / "a") == DIGEST


def test_a_broken_connection_goes_on_where_it_broke(tmp_path: Path, local_hub: Any) -> None:
    address = local_hub.add("timm/a", CONTENT)
    local_hub.redirects, local_hub.break_after, local_hub.n_breaks = False, 300_000, 2
    assert hub.download(address, tmp_path / "a") == DIGEST
    assert [asked for _, asked in local_hub.asked] == [None, "bytes=300000-", "bytes=600000-"]


def test_ranges_survive_the_redirect(tmp_path: Path, local_hub: Any) -> None:
    address = local_hub.add("timm/a", CONTENT)
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    assert hub.download(address, tmp_path / "a") == DIGEST
    assert local_hub.asked[-1][0].startswith("/store/")
    assert local_hub.asked[-1][1] == "bytes=1000-"


def test_a_connection_that_breaks_for_good_keeps_what_came(tmp_path: Path, local_hub: Any) -> None:
    address = local_hub.add("timm/a", CONTENT)
    local_hub.break_after, local_hub.n_breaks = 500, 100

    def fall_silent(_here: int, _total: int) -> None:
        local_hub.break_after = 0

    with pytest.raises(RunError, match=r"broke off at 500 bytes 3 times.*run the same command"):
        hub.download(address, tmp_path / "a", progress=fall_silent)
    assert (tmp_path / "a.part").read_bytes() == CONTENT[:500]
    local_hub.n_breaks = 0
    assert hub.download(address, tmp_path / "a") == DIGEST


def test_a_server_without_ranges_begins_anew(tmp_path: Path, local_hub: Any) -> None:
    address = local_hub.add("timm/a", CONTENT)
    local_hub.knows_ranges = False
    (tmp_path / "a.part").write_bytes(b"x" * 1000)
    assert hub.download(address, tmp_path / "a") == DIGEST


def test_a_part_that_was_whole_already_is_taken(tmp_path: Path, local_hub: Any) -> None:
    address = local_hub.add("timm/a", CONTENT)
    (tmp_path / "a.part").write_bytes(CONTENT)
    assert hub.download(address, tmp_path / "a") == DIGEST
    assert len(local_hub.asked) == 2


def test_a_part_longer_than_the_file_is_fetched_anew(tmp_path: Path, local_hub: Any) -> None:
    address = local_hub.add("timm/a", CONTENT)
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    assert hub.download(address, tmp_path / "a") == DIGEST


def test_a_wrong_digest_deletes_what_came(tmp_path: Path, local_hub: Any) -> None:
    address = local_hub.add("timm/a", CONTENT)
    (tmp_path / "a.part").write_bytes(b"another file's beginning")
    with pytest.raises(RunError, match=f"`a` must have the digest that the hub states, {DIGEST}"):
        hub.download(address, tmp_path / "a")
    assert not list(tmp_path.glob("a*"))
    assert hub.download(address, tmp_path / "a") == DIGEST


def test_a_file_that_fails_the_check_is_not_kept(tmp_path: Path, local_hub: Any) -> None:
    def refuse(path: Path) -> None:
        raise DataError(f"`{path.name}` must be another file; got this. Fetch that.")

    address = local_hub.add("timm/a", CONTENT)
    with pytest.raises(DataError, match=r"a\.part"):
        hub.download(address, tmp_path / "a", check=refuse)
    assert not list(tmp_path.glob("a*"))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "got 404 Not Found. Check the backbone's name"),
        (403, "got 403 Forbidden. Try again later, or name a mirror"),
        (503, "got 503 Service Unavailable. Try again later"),
    ],
)
def test_a_refusal_is_one_sentence_with_the_cure(
    tmp_path: Path, local_hub: Any, status: int, words: str
) -> None:
    address = local_hub.add("timm/a", CONTENT)
    local_hub.status = status
    with pytest.raises(RunError, match=words):
        hub.download(address, tmp_path / "a")


def test_an_unreachable_hub_is_named(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(RunError, match=r"The hub must be reachable.*HF_ENDPOINT"):
            hub.download(address, tmp_path / "a")


def test_a_server_that_hangs_up_is_asked_three_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_PAUSE_S", 0.0)
    n_asked = []

    def hang_up(*_: object, **__: object) -> None:
        n_asked.append(1)
        raise ConnectionResetError(errno.ECONNRESET, "reset")

    monkeypatch.setattr("urllib.request.OpenerDirector.open", hang_up)
    with pytest.raises(RunError, match="broke off at 0 bytes 3 times"):
        hub.download("http://127.0.0.1/x", tmp_path / "a")
    assert len(n_asked) == 3


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, local_hub: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"must be writable and its disk must have room"):
        hub.download(local_hub.add("timm/a", CONTENT), tmp_path / "file" / "a")


def test_a_full_disk_is_one_sentence_and_keeps_what_came(
    tmp_path: Path, local_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, file: IO[bytes]) -> None:
            self._file = file
            self.name = file.name

        def write(self, block: bytes) -> None:
            self._file.write(block[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

    opened = hub._opened
    monkeypatch.setattr(hub, "_opened", lambda path: Full(opened(path)))
    with pytest.raises(RunError, match="got 'No space left on device'"):
        hub.download(local_hub.add("timm/a", CONTENT), tmp_path / "a")
    assert (tmp_path / "a.part").read_bytes() == CONTENT[:10]


def test_progress_counts_up_to_the_whole(tmp_path: Path, local_hub: Any) -> None:
    seen: list[tuple[int, int]] = []
    address = local_hub.add("timm/a", CONTENT)
    hub.download(address, tmp_path / "a", progress=lambda here, total: seen.append((here, total)))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)


@pytest.mark.parametrize(
    ("variable", "word", "offline"),
    [
        ("MOULAGE_OFFLINE", "1", True),
        ("HF_HUB_OFFLINE", "True", True),
        ("MOULAGE_OFFLINE", "0", False),
    ],
)
def test_the_environment_forbids_the_network(
    monkeypatch: pytest.MonkeyPatch, variable: str, word: str, offline: bool
) -> None:
    for name in ("MOULAGE_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, word)
    assert hub.is_offline() is offline


def test_the_address_follows_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert hub.address_of("timm/a.b") == f"{hub.PUBLIC}/timm/a.b/resolve/main/model.safetensors"
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example/")
    assert hub.address_of("t/a") == "http://mirror.example/t/a/resolve/main/model.safetensors"
    assert hub.address_of("t/a", "https://other.example").startswith("https://other.example/t/a/")


def test_an_address_that_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="must begin with http"):
        hub.address_of("t/a", "ftp://mirror.example")
