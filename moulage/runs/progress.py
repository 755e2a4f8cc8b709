"""How far work has come: told to whoever listens, with the name of what is being done."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total)."""


def named(what: str, progress: Progress) -> Callable[[int, int], None]:
    """Return what takes (done, total) and tells them with the name of the work."""
    return lambda done, total: progress(what, done, total)


def silently(what: str, done: int, total: int) -> None:
    """Report progress to nobody."""
