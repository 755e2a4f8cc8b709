"""The cache: what is torn is told and made anew in its place; what is held is not pruned."""

import errno
import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from moulage import store
from moulage.errors import RunError
from moulage.files import cache_folder, write_json
from moulage.seal import digest_of

KEY: dict[str, object] = {"n": 7}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def published() -> Path:
    with store.publish("pixels", KEY, about={"dataset": "ours"}) as folder:
        fill(folder)
    return cache_folder() / "pixels" / digest_of(KEY)


def make(key: dict[str, object]) -> None:
    with store.publish("pixels", key) as folder:
        (folder / "content").write_bytes(b"x")


def fill(folder: Path) -> None:
    np.save(folder / "pixels.npy", np.arange(3_000))
    write_json(folder / "unreadable.json", [])
    (folder / "part").mkdir()
    (folder / "part" / "image.jpg").write_bytes(b"jpeg")


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


TEARS: dict[str, tuple[Callable[[Path], object], str]] = {
    "key-gone": (lambda f: (f / "key.json").unlink(), "key.json is gone"),
    "key-empty": (lambda f: (f / "key.json").write_bytes(b""), "key.json is torn"),
    "key-no-object": (lambda f: (f / "key.json").write_text("7"), "key.json is torn"),
    "key-other": (lambda f: (f / "key.json").write_text('{"n": 8}'), "key.json is another's"),
    "about-gone": (lambda f: (f / "about.json").unlink(), "about.json is gone"),
    "about-empty": (lambda f: (f / "about.json").write_bytes(b""), "about.json is torn"),
    "about-other": (
        lambda f: (f / "about.json").write_text('{"files": {"pixels.npy": {"m_bytes": 1}}}'),
        "about.json is torn",
    ),
    "array-gone": (lambda f: (f / "pixels.npy").unlink(), "pixels.npy is gone"),
    "array-empty": (lambda f: (f / "pixels.npy").write_bytes(b""), "pixels.npy has 0 bytes inst"),
    "array-cut": (lambda f: os.truncate(f / "pixels.npy", 9_000), "9,000 bytes instead of 24,128"),
    "array-head": (lambda f: flip(f / "pixels.npy", 21), "pixels.npy has other bytes than were"),
    "text-other": (lambda f: flip(f / "unreadable.json", 0), "unreadable.json has other bytes"),
    "nested-gone": (lambda f: (f / "part" / "image.jpg").unlink(), "part/image.jpg is gone"),
}


@pytest.mark.parametrize("tear", TEARS)
@pytest.mark.parametrize("is_held", [False, True])
def test_a_torn_folder_is_told_once_and_made_anew_in_its_place(
    published: Path, caplog: pytest.LogCaptureFixture, tear: str, is_held: bool
) -> None:
    if is_held:
        assert store.find("pixels", KEY) == published
    spoil, told = TEARS[tear]
    spoil(published)
    (entry,) = store.entries()
    assert told in entry.fault
    assert (entry.folder, entry.kind, entry.key, entry.about) == (published, "pixels", {}, {})
    assert store.find("pixels", KEY) is None
    (line,) = caplog.messages
    assert line == f"{published} is not whole ({entry.fault}): what it held is computed anew"
    with store.publish("pixels", KEY) as folder:
        fill(folder)
    assert store.find("pixels", KEY) == published
    assert len(caplog.messages) == 1
    assert store.prune(older_than_s=-1) == ([], store.entries()), "it is held, as ever"


@pytest.mark.parametrize("tear", TEARS)
def test_what_is_published_takes_the_place_of_what_is_torn(published: Path, tear: str) -> None:
    with store.publish("pixels", KEY) as folder:
        fill(folder)
        TEARS[tear][0](published)
    assert store.find("pixels", KEY) == published


@pytest.mark.parametrize("name", ["pixels.npy", "part/image.jpg"])
def test_a_flipped_bit_is_seen_where_every_byte_is_read(
    published: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert store.find("pixels", KEY, verify=True) == published
    flip(published / name, -1)
    assert store.find("pixels", KEY) == published
    assert store.find("pixels", KEY, verify=True) is None
    assert f"({name} has other bytes than were written)" in caplog.text


def test_pruning_deletes_what_is_torn_however_young(published: Path) -> None:
    (published / "pixels.npy").unlink()
    other = {"n": 8}
    with store.publish("pixels", other):
        pass
    deleted, in_use = store.prune(older_than_s=3600)
    assert ([entry.folder for entry in deleted], in_use) == ([published], [])
    assert [entry.key for entry in store.entries()] == [other]


def test_a_folder_without_a_list_of_its_files_is_taken_as_it_is(published: Path) -> None:
    (published / "about.json").write_text('{"dataset": "ours"}')
    (published / "part" / "image.jpg").unlink()
    assert store.find("pixels", KEY, verify=True) == published


def test_the_list_is_no_part_of_what_a_folder_says_of_itself(published: Path) -> None:
    (entry,) = store.entries()
    assert (entry.about, entry.fault) == ({"dataset": "ours"}, "")
    listed = json.loads((published / "about.json").read_text())["files"]
    assert list(listed) == ["part/image.jpg", "pixels.npy", "unreadable.json"]


def test_every_file_is_on_the_disk_before_the_folder_has_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    with store.publish("pixels", KEY) as folder:
        fill(folder)
        made = [path.stat().st_ino for path in folder.rglob("*") if path.is_file()]
    assert set(made) < set(synced)


def test_a_disk_that_fails_when_it_must_have_all_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    def publish() -> None:
        with store.publish("pixels", KEY) as folder:
            (folder / "content").write_bytes(b"x")
            monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(RunError, match=r"No space left on device.*MOULAGE_CACHE moves the cache"):
        publish()
    assert store.find("pixels", KEY) is None


def test_a_torn_folder_that_cannot_be_deleted_is_none(
    published: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (published / "pixels.npy").unlink()
    monkeypatch.setattr(Path, "rename", refuse)
    assert store.find("pixels", KEY) is None
    assert caplog.record_tuples[0][1] == logging.WARNING


def test_what_is_pruned_while_it_is_waited_for_is_not_found_and_made_again() -> None:
    fcntl = pytest.importorskip("fcntl")
    make(KEY)
    (entry,) = store.entries()
    with (entry.folder / "lock").open("a") as lock, ThreadPoolExecutor(1) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = pool.submit(store.find, "pixels", KEY)
        with pytest.raises(TimeoutError):
            found.result(timeout=0.2)
        entry.folder.rename(entry.folder.with_name(".gone"))
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert found.result(timeout=10) is None
    make(KEY)
    assert store.find("pixels", KEY) == entry.folder
    assert store.prune(older_than_s=-1) == ([], store.entries()), "it is held"


def test_a_cache_without_locks_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    make(KEY)
    assert store.find("pixels", KEY) is not None


def test_an_unfinished_folder_that_goes_while_it_is_swept_stops_nobody() -> None:
    room = cache_folder() / "pixels"
    room.mkdir(parents=True)
    (room / ".building-x").symlink_to("gone")  # listed, but there is none
    assert store.prune(keep_bytes=0) == ([], [])


def test_two_that_prune_at_once_delete_an_entry_once() -> None:
    make(KEY)
    (entry,) = store.entries()
    assert store._delete_unless_held(entry.folder)
    assert not store._delete_unless_held(entry.folder)
