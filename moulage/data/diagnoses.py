"""What is known of each diagnosis: its name in words, its colour, whether it is malignant.

In:  codes as a data set writes them.   Out: `Diagnosis` records, in the order asked for.
Knows nothing of images or files.
Why: the seven of HAM10000 come back in other data sets, and should look the same there. The
colours lie at least 18 apart (CIEDE2000) for the three kinds of colour-blind eyes too, and stand
out from white and from dark pages.
"""

from collections.abc import Iterable

from moulage.catalogue import Diagnosis

HAM10000 = (
    Diagnosis(
        code="akiec",
        name="Actinic keratoses and intraepithelial carcinoma / Bowen's disease",
        colour="#BCAB05",
        is_malignant=True,
    ),
    Diagnosis(code="bcc", name="Basal cell carcinoma", colour="#A80E05", is_malignant=True),
    Diagnosis(
        code="bkl",
        name="Benign keratosis-like lesions",
        colour="#0DB8A5",
    ),
    Diagnosis(code="df", name="Dermatofibroma", colour="#C76268"),
    Diagnosis(code="mel", name="Melanoma", colour="#784463", is_malignant=True),
    Diagnosis(code="nv", name="Melanocytic nevi", colour="#0566CF"),
    Diagnosis(code="vasc", name="Vascular lesions", colour="#AC9BFA"),
)
"""In the order of the alphabet, which is the order of the labels."""

# Classes of ISIC 2019 that HAM10000 lacks; `ak` is the part of akiec that is not Bowen's disease.
_ELSEWHERE = (
    Diagnosis(code="ak", name="Actinic keratosis", colour="#BCAB05", is_malignant=True),
    Diagnosis(code="scc", name="Squamous cell carcinoma", colour="#8C5A2B", is_malignant=True),
    Diagnosis(code="unk", name="None of the others", colour="#7F7F7F"),
)
_KNOWN = {known.code: known for known in (*HAM10000, *_ELSEWHERE)}
_SPARE = ("#56B4E9", "#8C5A2B", "#4C9A2A", "#E69F00", "#7F7F7F", "#9A4FC4")


def describe(codes: Iterable[str]) -> tuple[Diagnosis, ...]:
    """Return a record a code, in order; letter case is kept but does not hide a known one.

    A code that nobody knows is its own name, benign, with a colour that no other one has while
    the palette lasts.
    """
    wanted = tuple(codes)
    known = {code: _KNOWN.get(code.lower()) for code in wanted}
    taken = {diagnosis.colour for diagnosis in known.values() if diagnosis}
    spare = [colour for colour in _palette() if colour not in taken] or list(_palette())
    strangers = [code for code in wanted if known[code] is None]
    colours = {code: spare[place % len(spare)] for place, code in enumerate(strangers)}
    return tuple(_record(code, known[code], colours.get(code, "")) for code in wanted)


def _palette() -> tuple[str, ...]:
    return (*_SPARE, *(diagnosis.colour for diagnosis in HAM10000))


def _record(code: str, known: Diagnosis | None, colour: str) -> Diagnosis:
    if known is None:
        return Diagnosis(code=code, name=code, colour=colour)
    return Diagnosis(
        code=code, name=known.name, colour=known.colour, is_malignant=known.is_malignant
    )
