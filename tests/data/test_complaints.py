"""Decoders are heard without Python's own standard error being touched."""

import ctypes
import os
import sys

import cv2
import pytest

from moulage.data import complaints
from moulage.data.complaints import listening


def mutter(text: bytes) -> None:
    """Write as C code does."""
    libc = ctypes.CDLL(None)
    symbol = "__stderrp" if sys.platform == "darwin" else "stderr"
    libc.fputs(text, ctypes.c_void_p.in_dll(libc, symbol))
    libc.fflush(None)


@pytest.mark.skipif(sys.platform == "win32", reason="the C library hides its pointer")
def test_c_code_is_heard_once_and_pythons_stderr_is_left_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with listening() as ear:
        assert ear.news() == ""
        mutter(b"Corrupt JPEG data\n")
        os.write(2, b"progress\n")
        assert ear.news() == "Corrupt JPEG data\n"
        assert ear.news() == ""
    mutter(b"afterwards\n")
    assert capfd.readouterr().err == "progress\nafterwards\n"


def test_an_error_restores_the_decoders_log() -> None:
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(ValueError, match="inside"), listening():
        raise ValueError("inside")
    assert cv2.utils.logging.getLogLevel() == level


@pytest.mark.parametrize("symbol", [{}, {sys.platform: "no_such_symbol"}])
def test_where_the_pointer_is_hidden_nothing_is_heard(
    monkeypatch: pytest.MonkeyPatch, symbol: dict[str, str]
) -> None:
    monkeypatch.setattr(complaints, "_SYMBOLS", symbol)
    with listening() as ear:
        assert ear.news() == ""
