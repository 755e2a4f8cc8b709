"""What is known of each diagnosis: its name in words, its colour, whether it is malignant.

In:  codes as a data set writes them.   Out: `Diagnosis` records, in the order asked for.
Knows nothing of images or files.
Why: a folder `melanoma` is as malignant as a code `mel`, however it is spelt; and the seven of
HAM10000 come back in other data sets, and should look the same there. The colours lie at least 18
apart (CIEDE2000) for the three kinds of colour-blind eyes too, and stand out from white; on dark
pages stand lighter ones, which do the same there.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

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

# Classes of other data sets. `ak` and `bowen` are parts of akiec, `sk` and `lentigo` of bkl. Where
# there is no colour, one is taken that the data set has to spare.
_ELSEWHERE = (
    Diagnosis(code="ak", name="Actinic keratosis", colour="#BCAB05", is_malignant=True),
    Diagnosis(code="bowen", name="Bowen's disease", colour="", is_malignant=True),
    Diagnosis(code="scc", name="Squamous cell carcinoma", colour="#8C5A2B", is_malignant=True),
    Diagnosis(code="sk", name="Seborrheic keratosis", colour="#0DB8A5"),
    Diagnosis(code="lentigo", name="Solar lentigo", colour=""),
    Diagnosis(code="unk", name="None of the others", colour="#7F7F7F"),
    Diagnosis(code="malignant", name="Malignant", colour="", is_malignant=True),
    Diagnosis(code="benign", name="Benign", colour=""),
)
# What others call them, spelt as by `_plain`. A phrase counts as a whole only: "non melanoma"
# must not pass for melanoma.
_WORDS = {
    "akiec": ("intraepithelial carcinoma", "actinic keratosis and intraepithelial carcinoma"),
    "ak": ("ack", "solar keratosis", "keratosis actinica"),
    "bowen": ("bowen disease", "morbus bowen", "squamous cell carcinoma in situ"),
    "bcc": ("basal cell cancer", "basalioma", "carcinoma basocellulare"),
    "scc": ("squamous cell cancer", "spinalioma", "carcinoma spinocellulare"),
    "bkl": ("benign keratosis", "pigmented benign keratosis", "lichenoid keratosis"),
    "sk": ("sek", "seborrheic wart", "keratosis seborrhoica", "verruca seborrhoica"),
    "lentigo": ("lentigo solaris", "lentigo senilis", "lentigo simplex"),
    "df": ("benign fibrous histiocytoma",),
    "mel": ("malignant melanoma", "melanoma malignum"),
    "nv": ("nev", "nevus", "nevus melanocyticus", "nevus pigmentosus", "mole"),
    "vasc": ("vascular", "angioma", "hemangioma", "cherry angioma", "angiokeratoma"),
    "malignant": ("malign", "malignancy", "cancer", "skin cancer", "cancerous"),
    "benign": ("non malignant", "non cancer", "noncancer", "non cancerous"),
}
# Kinds of them keep the names that they are given.
_KINDS = {
    "mel": (
        *("melanoma in situ", "lentigo maligna", "lentigo maligna melanoma", "nodular melanoma"),
        *("superficial spreading melanoma", "acral lentiginous melanoma", "melanoma metastasis"),
    ),
    "nv": tuple(
        f"{kind} nevus"
        for kind in (
            *("atypical", "blue", "clark", "combined", "common", "compound", "congenital"),
            *("dermal", "dysplastic", "halo", "intradermal", "junctional", "recurrent", "spitz"),
        )
    ),
}
_SPELLINGS = (
    (r"\bn(?:ae|æ)v", "nev"),
    (r"\bnevi\b", "nevus"),
    ("haem", "hem"),
    ("rrhoeic", "rrheic"),
    (r"oses\b", "osis"),
    (r"(oma|ion|ole)s\b", r"\1"),
)
_SPARE = ("#56B4E9", "#8C5A2B", "#4C9A2A", "#E69F00", "#7F7F7F", "#9A4FC4")


# On dark pages: of like hues, 19 apart for every eye, with contrasts of 4 and more.
_ON_DARK = {
    "#BCAB05": "#FEF114",
    "#A80E05": "#E72B09",
    "#0DB8A5": "#46FFE6",
    "#C76268": "#F49D88",
    "#784463": "#A36484",
    "#0566CF": "#526BF1",
    "#AC9BFA": "#AAB3FF",
}
_DIMMEST = 0.13  # the luminance that has a contrast of 3 with #16181a, and a little more


def describe(codes: Iterable[str]) -> tuple[Diagnosis, ...]:
    """Return a record a code, in order; a code stays as it is written.

    A code that nobody knows is its own name, benign, with a colour that no other one has while
    the palette lasts. So are name and colour of a known one that means the same as one before.
    """
    wanted = tuple(codes)
    known = {code: known_as(code) for code in wanted}
    names = _first_claims({code: one.name for code, one in known.items() if one})
    colours = _first_claims({code: one.colour for code, one in known.items() if one})
    spare = [one for one in _palette() if one not in colours.values()] or list(_palette())
    without = [code for code in wanted if code not in colours]
    colours |= {code: spare[place % len(spare)] for place, code in enumerate(without)}
    return tuple(
        Diagnosis(
            code=code,
            name=names.get(code, code),
            colour=colours[code],
            is_malignant=(one := known[code]) is not None and one.is_malignant,
        )
        for code in wanted
    )


def on_dark(colour: str) -> str:
    """Return what stands for a diagnosis' colour on a dark page: whiter, where it is too dim.

    >>> on_dark("#784463"), on_dark("#7F7F7F"), on_dark("#400000")
    ('#A36484', '#7F7F7F', '#896464')
    """
    levels = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    while _luminance(levels) < _DIMMEST:
        levels = [level + max(1, (255 - level) // 16) for level in levels]
    return _ON_DARK.get(colour.upper(), "#" + "".join(f"{level:02X}" for level in levels))


def _luminance(levels: Iterable[int]) -> float:
    """Return the relative luminance of (red, green, blue) in [0, 255], as WCAG has it."""
    shares = [level / 255 for level in levels]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def known_as(code: str) -> Diagnosis | None:
    """Return what is known of a code, in words or not, in English, Latin or ISIC's spelling.

    An empty name or colour stands for one of its own. None: nobody knows it.

    >>> known_as("Naevi").code, known_as("basal_cell_carcinoma").code, known_as("non-melanoma")
    ('nv', 'bcc', None)
    """
    return _KNOWN.get(_plain(code))


def _plain(words: str) -> str:
    """Return one spelling: lower case, American, singular, single spaces between words."""
    bare = re.sub(r"['’]", "", words.lower())
    text = re.sub(r"[\W_]+", " ", bare).strip()
    for theirs, ours in _SPELLINGS:
        text = re.sub(theirs, ours, text)
    return text


def _first_claims(said: Mapping[str, str]) -> dict[str, str]:
    """Return code → what is said of it, where something is and not of a code before."""
    owners: dict[str, str] = {}
    for code, value in said.items():
        owners.setdefault(value, code)
    return {code: value for value, code in owners.items() if value}


def _palette() -> tuple[str, ...]:
    return (*_SPARE, *(diagnosis.colour for diagnosis in HAM10000))


def _phrases() -> dict[str, Diagnosis]:
    """Return phrase → what it means: codes, names, what others call them, kinds of them."""
    by_code = {one.code: one for one in (*HAM10000, *_ELSEWHERE)}
    known = {_plain(one.name): one for one in by_code.values()} | by_code
    for code, phrases in _WORDS.items():
        known |= dict.fromkeys(phrases, by_code[code])
    for code, phrases in _KINDS.items():
        known |= dict.fromkeys(phrases, replace(by_code[code], name="", colour=""))
    return known


_KNOWN = _phrases()
