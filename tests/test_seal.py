"""A bit that a disk flips is seen, wherever it lies; what is written elsewhere is none of ours."""

from pathlib import Path

import pytest

from moulage.seal import BLANK, checksum, is_sound, is_sound_file, seal, seal_file


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def test_every_bit_but_the_marks_own_is_seen() -> None:
    written = seal(f'{{"seal": "{BLANK}", "prior": 0.25}}'.encode())
    assert is_sound(written)
    seen = [at for at in range(len(written)) if not is_sound(flipped(written, at))]
    mark = written.index(b"moulage")
    assert seen == [*range(mark), *range(mark + len("moulage crc32="), len(written))]


def test_a_file_is_sealed_as_its_bytes_are(tmp_path: Path) -> None:
    content = BLANK.encode() + bytes(range(256)) * 9_000  # more than one block
    path = tmp_path / "file"
    path.write_bytes(content)
    seal_file(path)
    assert path.read_bytes() == seal(content)
    assert is_sound_file(path)
    assert checksum(path) != checksum(path, zeros_at=len("moulage crc32="))
    for at in (len(BLANK), len(content) // 2, len(content) - 1):
        path.write_bytes(flipped(seal(content), at))
        assert not is_sound_file(path)


@pytest.mark.parametrize("content", [b"", b"no seal", bytes(5_000)])
def test_what_was_never_sealed_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    seal_file(path)
    assert path.read_bytes() == content
    assert is_sound(content)
    assert is_sound_file(path)
