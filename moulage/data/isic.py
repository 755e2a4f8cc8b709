"""Read an ISIC challenge: a ground-truth table with a column a diagnosis, one of them 1.

In:  a place with `image,MEL,NV,…` (2018 task 3, 2019), the images, and perhaps a table with
     `image` and `lesion_id` (groups), age, sex and site, which may stand in the first table too.
Out: the catalogue's rows, notes.
Knows nothing of pixels.
Why: without lesion ids each image is a group of its own, and a leak cannot be seen. This is said.
"""

import numpy as np
import pandas as pd

from moulage.catalogue import COLUMNS
from moulage.data.groups import fill_groups
from moulage.data.rows import names_of, without_empty
from moulage.data.sources import Place, by_stem, header_of, read_table, stem_of
from moulage.errors import DataError, examples

KNOWN = frozenset({"MEL", "NV", "BCC", "AKIEC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"})
_MEANING = {
    "lesion_id": ("lesion_id",),
    "age": ("age_approx", "age"),
    "sex": ("sex",),
    "localization": ("anatom_site_general", "anatom_site", "localization"),
    "dx_type": ("diagnosis_confirm_type", "dx_type"),
}
# What else ISIC tells of an image: a column so called is no diagnosis, nor are its weights.
_EXTRAS = frozenset(
    (
        *("isic_id", "patient_id", "attribution", "copyright_license", "image_type", "split"),
        *("diagnosis", "benign_malignant", "melanocytic", "target", "nevus_type", "mel_type"),
        *("mel_class", "mel_mitotic_index", "mel_thick_mm", "mel_ulcer", "concomitant_biopsy"),
        *("anatom_site_special", "clin_size_long_diam_mm", "dermoscopic_type", "acquisition_day"),
        *("family_hx_mm", "personal_hx_mm", "fitzpatrick_skin_type", "pixels_x", "pixels_y"),
    )
)
_METADATA = _EXTRAS.union(*_MEANING.values())
_WEIGHT = "_weight"


def find_table(place: Place) -> str | None:
    """Return the first table with an `image` column and two known diagnoses as columns.

    A challenge hands out one for training and one for each test: see `find_tables`.
    """
    return next(iter(find_tables(place)), None)


def find_tables(place: Place) -> list[str]:
    """Return all such tables."""
    texts = [name for name in place.tables() if not name.lower().endswith(".parquet")]
    return [name for name in texts if _is_truth(header_of(place.root, name))]


def read_rows(
    place: Place, table: str, *, images: str | None = None
) -> tuple[pd.DataFrame, tuple[str, ...], list[str]]:
    """Return the rows, the codes in the columns' order (lower case), and what was filled in.

    `UNK` is left out where no image has it: the training part of 2019 comes with it empty.
    """
    truth, empty = without_empty(read_table(place.root, table), table)
    codes = _codes_of(truth, table)
    marks = truth[codes].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    _check_strangers(codes, marks, table)
    _check_marks(truth["image"], marks, codes=codes, table=table)
    found = by_stem(place.images(images))
    stems = _stems(truth["image"])
    frame = pd.DataFrame(
        {
            "image_id": truth["image"],
            "path": [found.get(stem, f"{stem}.jpg") if stem else "" for stem in stems],
            "diagnosis": np.array([code.lower() for code in codes])[marks.argmax(axis=1)],
        }
    )
    own = {ours: truth[theirs] for ours, theirs in _meant(truth).items()}
    frame, more = _with_metadata(frame.assign(**own), place, table)
    frame, filled = fill_groups(frame)
    used = set(frame["diagnosis"])
    kept = tuple(code.lower() for code in codes if code != "UNK" or "unk" in used)
    return frame[list(COLUMNS)], kept, [*empty, *more, *filled]


def _is_truth(header: tuple[str, ...]) -> bool:
    return "image" in header and len(KNOWN & set(header)) >= 2


def _codes_of(truth: pd.DataFrame, table: str) -> list[str]:
    """Return the columns that are diagnoses: all but the image's and what is known to be none."""
    named = [str(name) for name in truth.columns]
    if "image" not in named:
        raise DataError(
            f"An ISIC ground truth must have the column image; got {', '.join(named)} in "
            f'{table}. Rename the column of image ids, or read it as `kind = "table"`.'
        )
    codes = [name for name in named if name != "image" and not _is_metadata(name)]
    if not codes:
        raise DataError(
            f"An ISIC ground truth must have a column a diagnosis; got {', '.join(named)} in "
            f'{table}. Name another table, or read it as `kind = "table"`.'
        )
    return codes


def _is_metadata(name: str) -> bool:
    return name in _METADATA or name.endswith(_WEIGHT)


def _check_strangers(codes: list[str], marks: np.ndarray, table: str) -> None:
    """Refuse columns that nobody knows for diagnoses and that do not look like one either."""
    is_mark = np.isin(marks, (0.0, 1.0))
    strange = [c for k, c in enumerate(codes) if c not in KNOWN and not is_mark[:, k].all()]
    if strange:
        raise DataError(
            f"A diagnosis of an ISIC ground truth must be a column of 0 and 1; got other values "
            f"in {examples(strange)} of {table}. Delete such a column where it is no diagnosis, or "
            "correct it."
        )


def _check_marks(
    images: "pd.Series[str]", marks: np.ndarray, *, codes: list[str], table: str
) -> None:
    is_one_hot = (np.isin(marks, (0.0, 1.0)).all(axis=1)) & (marks.sum(axis=1) == 1)
    if not is_one_hot.all():
        wrong = names_of(images, images.index)[~is_one_hot]
        raise DataError(
            f"Every row of an ISIC ground truth must hold one 1 and else 0; got {len(wrong)} "
            f"others ({examples(wrong)}) in {table}, where the diagnoses are "
            f"{', '.join(codes)}. Correct or delete these rows, or a column that is no diagnosis."
        )


def _with_metadata(frame: pd.DataFrame, place: Place, truth: str) -> tuple[pd.DataFrame, list[str]]:
    """Add what other tables of the place say of the images; the first to say a thing counts.

    Also returns notes on their empty rows.
    """
    notes: list[str] = []
    for name in place.tables():
        if name == truth or name.lower().endswith(".parquet"):
            continue
        header = header_of(place.root, name)
        if "image" not in header or _is_truth(header):
            continue
        said, empty = without_empty(read_table(place.root, name), name)
        frame, notes = _joined(frame, _one_row_an_image(said, name)), [*notes, *empty]
    return frame.assign(**{c: np.nan for c in COLUMNS if c not in frame.columns}), notes


def _one_row_an_image(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return our columns by the images' stems; two rows of one image must say the same."""
    ours = {theirs: column for column, theirs in _meant(table).items()}
    said = table[list(ours)].rename(columns=ours).assign(stem=_stems(table["image"]))
    rows = said.loc[said["stem"] != ""].drop_duplicates()
    torn = rows.loc[rows["stem"].duplicated(keep=False)]
    if len(torn):
        n_said = torn.groupby("stem").nunique(dropna=False)
        differ = [column for column in n_said.columns if (n_said[column] > 1).any()]
        raise DataError(
            f"Rows of one image must say the same of it; got {len(n_said)} images with other "
            f"{', '.join(differ)} ({examples(n_said.index)}) in {name}. Keep the row that is right."
        )
    return rows.set_index("stem")


def _joined(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    stems = pd.Series(_stems(frame["image_id"]), index=frame.index)
    for column in other.columns:
        said = stems.map(other[column])
        frame[column] = frame[column].fillna(said) if column in frame.columns else said
    return frame


def _meant(table: pd.DataFrame) -> dict[str, str]:
    """Return ours → theirs, for what a table tells of images."""
    found = {
        ours: next((name for name in names if name in table.columns), None)
        for ours, names in _MEANING.items()
    }
    return {ours: theirs for ours, theirs in found.items() if theirs is not None}


def _stems(images: "pd.Series[str]") -> list[str]:
    return [stem_of(str(image)) if pd.notna(image) else "" for image in images]
