"""Seals: files that say their own checksum, folders that say it of their files; keys' digests.

In:  bytes that hold `BLANK` somewhere.   Out: the same, its zeros replaced by their checksum.
Knows nothing of formats: a text in a header is room enough, and the zeros stand while summing.
Why: a disk that flips a bit says nothing, and a logit with another bit looks like any other.
CRC-32, since it is summed fast and finds what disks do; against foes it is none. Digests of
keys are SHA-256, for two keys with one digest would be taken for one.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_MARK = b"moulage crc32="
_ZEROS = b"00000000"
BLANK = (_MARK + _ZEROS).decode()
NOT_AS_WRITTEN = "other bytes than were written"
_HEAD = 4096  # of a file: its header, or the start of one
_BLOCK = 2**20
_HANDS = 16  # many small files are synced together: one after the other takes far longer


def seal(content: bytes) -> bytes:
    """Fill in the checksum; the last `BLANK` counts, for tables say such things at their end."""
    at = content.rindex(BLANK.encode()) + len(_MARK)
    return content[:at] + _digits(zlib.crc32(content)) + content[at + len(_ZEROS) :]


def is_sound(content: bytes) -> bool:
    """Say whether bytes are those that were sealed; true of what was never sealed.

    >>> written = seal(f"mel 0.9 {BLANK}".encode())
    >>> is_sound(written), is_sound(written.replace(b"0.9", b"0.8")), is_sound(b"mel 0.9")
    (True, False, True)
    """
    at = content.rfind(_MARK)
    if at < 0:
        return True
    at += len(_MARK)
    told = content[at : at + len(_ZEROS)]
    return told == _digits(zlib.crc32(content[:at] + _ZEROS + content[at + len(_ZEROS) :]))


def seal_file(path: Path) -> None:
    """Fill in the checksum of a file whose first 4 KB hold `BLANK`; one without stays as it is."""
    at = _place(path)
    if at is None:
        return
    summed = checksum(path)
    with path.open("rb+") as file:
        file.seek(at)
        file.write(_digits(summed))


def is_sound_file(path: Path) -> bool:
    """Say of a file, however large, what `is_sound` says of bytes."""
    at = _place(path)
    if at is None:
        return True
    with path.open("rb") as file:
        file.seek(at)
        told = file.read(len(_ZEROS))
    return told == _digits(checksum(path, zeros_at=at))


def checksum(path: Path, *, zeros_at: int | None = None) -> int:
    """Return the CRC-32 of a file; eight zeros are taken for what stands at `zeros_at`."""
    summed, done = 0, 0
    block = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while n_bytes := file.readinto(block):
            if done == 0 and zeros_at is not None:
                block[zeros_at : zeros_at + len(_ZEROS)] = _ZEROS
            summed = zlib.crc32(block[:n_bytes], summed)
            done += n_bytes
    return summed


def list_files(folder: Path) -> dict[str, dict[str, int]]:
    """See to it that the disk has every byte of a folder, and return what its files are.

    Of each: n_bytes, crc32, and head, the checksum of its first 4 KB.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with ThreadPoolExecutor(max_workers=_HANDS) as hands:
        listed = list(hands.map(_synced, paths))
    names = [path.relative_to(folder).as_posix() for path in paths]
    return dict(zip(names, listed, strict=True))


def fault_among(folder: Path, files: Mapping[str, Any], *, verify: bool) -> str:
    """Say what is wrong with the first file that is not as it was listed; nothing if all are.

    Sizes are held against the list, and the heads of what lies directly in the folder: headers
    and small texts. verify: every byte is.
    """
    for name, told in files.items():
        try:
            n_bytes = (folder / name).stat().st_size
        except FileNotFoundError:
            return f"{name} is gone"
        if n_bytes != told["n_bytes"]:
            return f"{name} has {n_bytes:,} bytes instead of {told['n_bytes']:,}"
        is_same = "/" in name or _head(folder / name) == told["head"]
        if not is_same or (verify and checksum(folder / name) != told["crc32"]):
            return f"{name} has {NOT_AS_WRITTEN}"
    return ""


def digest_of(key: object) -> str:
    """Return 32 hexadecimal digits that are a function of a JSON-able key."""
    text = json.dumps(key, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _digits(summed: int) -> bytes:
    return b"%08x" % summed


def _place(path: Path) -> int | None:
    """Return where a file's checksum stands."""
    with path.open("rb") as file:
        at = file.read(_HEAD).find(_MARK)
    return None if at < 0 else at + len(_MARK)


def _head(path: Path) -> int:
    with path.open("rb") as file:
        return zlib.crc32(file.read(_HEAD))


def _synced(path: Path) -> dict[str, int]:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return {"n_bytes": path.stat().st_size, "crc32": checksum(path), "head": _head(path)}
