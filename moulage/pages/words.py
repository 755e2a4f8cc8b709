"""Numbers and lists as a reader likes them.

In:  plain numbers and names.   Out: short strings; a NaN reads "not defined (n = 0)".
Knows nothing of HTML: escaping is the templates' work.
"""

import math
from collections.abc import Iterable, Sequence

NOT_DEFINED = "not defined (n = 0)"
NOT_MEASURED = "not measured"
NO_BOUNDS = "no bounds"
WHY_NO_BOUNDS = (
    "too few independent cases carry the number, or nothing varied, so that drawing again tells "
    "nothing"
)
NO_RULE = "none needed"
MINUS = "−"


def score(value: float) -> str:
    """Write a score with three decimals.

    >>> score(0.76449), score(float("nan"))
    ('0.764', 'not defined (n = 0)')
    """
    return NOT_DEFINED if math.isnan(value) else f"{value:.3f}".replace("-", MINUS)


def signed(value: float) -> str:
    """Write a difference with its sign.

    >>> signed(0.0312), signed(-0.2)
    ('+0.031', '−0.200')
    """
    return NOT_DEFINED if math.isnan(value) else f"{value:+.3f}".replace("-", MINUS)


def points(value: float) -> str:
    """Write a difference of shares in points, hundredths, with its sign.

    >>> points(0.0312), points(-0.2)
    ('+3.1', '−20.0')
    """
    return NOT_DEFINED if math.isnan(value) else f"{100 * value:+.1f}".replace("-", MINUS)


def between(low: float, high: float) -> str:
    """Write the two ends of an interval of differences.

    >>> between(-0.052, 0.004)
    '−0.052 to +0.004'
    """
    return NO_BOUNDS if math.isnan(low) else f"{signed(low)} to {signed(high)}"


def bounds(low: float, high: float) -> str:
    """Write the two ends of a score's interval.

    >>> bounds(0.131, 0.523), bounds(float("nan"), float("nan"))
    ('0.131 to 0.523', 'no bounds')
    """
    return NO_BOUNDS if math.isnan(low) else f"{score(low)} to {score(high)}"


def points_between(low: float, high: float) -> str:
    """Write the two ends of an interval of differences in points.

    >>> points_between(-0.052, 0.004), points_between(float("nan"), float("nan"))
    ('−5.2 to +0.4', 'no bounds')
    """
    return NO_BOUNDS if math.isnan(low) else f"{points(low)} to {points(high)}"


def p_value(value: float) -> str:
    """Write a p-value; what is below a thousandth is said to be so.

    >>> p_value(0.0004), p_value(0.04)
    ('< 0.001', '0.040')
    """
    return "< 0.001" if value < 0.001 else score(value)


def count(number: int) -> str:
    """Write a whole number with thousands apart.

    >>> count(4880967)
    '4,880,967'
    """
    return f"{number:,}"


def percent(share: float) -> str:
    """Write a share in per cent: whole ones from ten up, one decimal below.

    >>> percent(0.669), percent(0.0115), percent(float("nan"))
    ('67 %', '1.1 %', 'not defined (n = 0)')
    """
    if math.isnan(share):
        return NOT_DEFINED
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f} %"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number with its noun.

    >>> counted(1, "lesion"), counted(1494, "lesion"), counted(2, "diagnosis", "diagnoses")
    ('1 lesion', '1,494 lesions', '2 diagnoses')
    """
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def rate(learning_rate: float) -> str:
    """Write a learning rate as short as it goes.

    >>> rate(0.001), rate(1e-5)
    ('0.001', '1e-5')
    """
    return f"{learning_rate:g}".replace("e-0", "e-")


def duration(seconds: float) -> str:
    """Write seconds in the largest two units that apply.

    >>> duration(8.04), duration(75), duration(3725)
    ('8.0 s', '1 min 15 s', '1 h 02 min')
    """
    if math.isnan(seconds):
        return NOT_MEASURED
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def memory(mib: float | None) -> str:
    """Write mebibytes; None was not measured.

    >>> memory(1433.2), memory(None)
    ('1,433 MiB', 'not measured')
    """
    return NOT_MEASURED if mib is None or math.isnan(mib) else f"{mib:,.0f} MiB"


def sentence(said: str) -> str:
    """Begin with a capital and end with a full stop.

    >>> sentence("one split was used")
    'One split was used.'
    """
    return f"{said[:1].upper()}{said[1:]}."


def listed(names: Iterable[str]) -> str:
    """Join names as a sentence does.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *first, last = list(names) or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def shortened(names: Sequence[str], letters: int = 16, *, end: int = 0) -> list[str]:
    """Cut long names for a figure, so that different ones stay different.

    end: how many of a name's last letters stay; half of all where names begin alike, and a
    number tells them apart where they also end alike.

    >>> shortened(["nv", "basal cell carcinoma", "squamous cell carcinoma"], 12)
    ['nv', 'basal cell …', 'squamous ce…']
    >>> shortened(["naevus of the skin, flat", "naevus of the skin, raised"], 12)
    ['naevu…, flat', 'naevu…raised']
    """
    for last in (end, letters // 2):
        cut = [_cut(name, letters, last) for name in names]
        if len(set(cut)) == len(set(names)):
            return cut
    return [f"{number} {said}" for number, said in enumerate(cut, start=1)]


def _cut(name: str, letters: int, last: int) -> str:
    if len(name) <= letters:
        return name
    return f"{name[: letters - last - 1]}…{name[len(name) - last :]}"
