"""Bytes and stretches of time as a person says them."""

_STEPS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def in_words(size_bytes: int) -> str:
    """Say a size in the largest unit that fits.

    >>> in_words(1_536_000_000), in_words(999), in_words(0)
    ('1.5 GB', '999 bytes', '0 bytes')
    """
    for unit, name in _STEPS:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f} {name}"
    return f"{size_bytes} bytes"


def moment(seconds_ago: float) -> str:
    """Say how long ago something was.

    >>> moment(30), moment(7_300), moment(200_000)
    ('just now', '2 hours ago', '2 days ago')
    """
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds_ago >= unit:
            number = int(seconds_ago // unit)
            return f"{number} {name}{'' if number == 1 else 's'} ago"
    return "just now"
