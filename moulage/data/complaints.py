"""Hear what C decoders mutter on standard error, and keep it from the terminal.

In:  a block of code that calls a decoder.   Out: what was written meanwhile.
Knows nothing of images.
Why: libjpeg fills the lost half of an image with grey, returns it as whole and writes "Corrupt
JPEG data" to the C library's stderr; nothing else tells. Swapping that one pointer leaves file
descriptor 2, and with it Python's own stderr and progress bars, untouched. Where the C library
hides its pointer (Windows) nothing is heard.
"""

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_SYMBOLS = {"linux": "stderr", "darwin": "__stderrp"}
_UNBUFFERED = 2
_one_listener = threading.Lock()


class Ear:
    """Reads back what was written since it was last asked."""

    def __init__(self, handle: int | None) -> None:
        self._handle = handle
        self._n_read = 0

    def news(self) -> str:
        """Return what was written since the last call, "" if nothing."""
        if self._handle is None:
            return ""
        text = os.pread(self._handle, 1 << 20, self._n_read)
        self._n_read += len(text)
        return text.decode(errors="replace")


@contextmanager
def listening() -> Iterator[Ear]:
    """Keep decoders quiet and hear them; one listener at a time, others wait."""
    with _one_listener, _silent_log():
        pointer = _stderr_pointer()
        if pointer is None:
            yield Ear(None)
            return
        with tempfile.TemporaryFile() as file, _swapped(pointer, file.fileno()):
            yield Ear(file.fileno())


@contextmanager
def _silent_log() -> Iterator[None]:
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


@contextmanager
def _swapped(pointer: ctypes.c_void_p, handle: int) -> Iterator[None]:
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.fdopen(os.dup(handle), b"w"))
    libc.setvbuf(stream, None, _UNBUFFERED, 0)
    usual, pointer.value = pointer.value, stream.value
    try:
        yield
    finally:
        pointer.value = usual
        libc.fclose(stream)


def _stderr_pointer() -> ctypes.c_void_p | None:
    symbol = _SYMBOLS.get(sys.platform)
    if symbol is None:
        return None
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), symbol)
    except (ValueError, OSError):  # another C library
        return None
