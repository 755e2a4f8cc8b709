"""Read an ISIC challenge: a ground-truth table with a column a diagnosis, one of them 1.

In:  a place with `image,MEL,NV,…` (2018 task 3, 2019), the images, and perhaps a table with
     `image` and `lesion_id` (groups), age, sex and site.   Out: the catalogue's rows, notes.
Knows nothing of pixels.
Why: without lesion ids each image is a group of its own, and a leak cannot be seen. This is said.
"""

import numpy as np
import pandas as pd

from moulage.catalogue import COLUMNS
from moulage.data.groups import fill_groups
from moulage.data.sources import Place, by_stem, header_of, read_table
from moulage.errors import DataError, examples

KNOWN = frozenset({"MEL", "NV", "BCC", "AKIEC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"})
_MEANING = {
    "lesion_id": ("lesion_id",),
    "age": ("age_approx", "age"),
    "sex": ("sex",),
    "localization": ("anatom_site_general", "anatom_site", "localization"),
    "dx_type": ("diagnosis_confirm_type", "dx_type"),
}


def find_table(place: Place) -> str | None:
    """Return the first table with an `image` column and two known diagnoses as columns."""
    tables = (n for n in place.tables() if not n.lower().endswith(".parquet"))
    return next((n for n in tables if _is_truth(header_of(place.root, n))), None)


def read_rows(
    place: Place, table: str, *, images: str | None = None
) -> tuple[pd.DataFrame, tuple[str, ...], list[str]]:
    """Return the rows, the codes in the columns' order (lower case), and what was filled in.

    `UNK` is left out where no image has it: the training part of 2019 comes with it empty.
    """
    truth = read_table(place.root, table)
    if "image" not in truth.columns:
        raise DataError(
            f"An ISIC ground truth must have the column image; got {', '.join(truth.columns)} in "
            f'{table}. Rename the column of image ids, or read it as `kind = "table"`.'
        )
    codes = [column for column in truth.columns if column != "image"]
    marks = truth[codes].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    _check_marks(truth["image"], marks, table)
    found = by_stem(place.images(images))
    frame = pd.DataFrame(
        {
            "image_id": truth["image"],
            "path": [found.get(str(i), f"{i}.jpg") if pd.notna(i) else "" for i in truth["image"]],
            "diagnosis": np.array([code.lower() for code in codes])[marks.argmax(axis=1)],
        }
    )
    frame, notes = fill_groups(_with_metadata(frame, place, table))
    used = set(frame["diagnosis"])
    kept = tuple(code.lower() for code in codes if code != "UNK" or "unk" in used)
    return frame[list(COLUMNS)], kept, notes


def _is_truth(header: tuple[str, ...]) -> bool:
    return "image" in header and len(KNOWN & set(header)) >= 2


def _check_marks(images: "pd.Series[str]", marks: np.ndarray, table: str) -> None:
    is_one_hot = (np.isin(marks, (0.0, 1.0)).all(axis=1)) & (marks.sum(axis=1) == 1)
    if not is_one_hot.all():
        wrong = images[~is_one_hot]
        raise DataError(
            f"Every row of an ISIC ground truth must hold one 1 and else 0; got {len(wrong)} "
            f"others ({examples(wrong)}) in {table}. Correct or delete these rows."
        )


def _with_metadata(frame: pd.DataFrame, place: Place, truth: str) -> pd.DataFrame:
    """Add what other tables of the place say of the images; the first to say a thing counts."""
    for name in place.tables():
        if name == truth or name.lower().endswith(".parquet"):
            continue
        header = header_of(place.root, name)
        if "image" not in header or _is_truth(header):
            continue
        frame = _joined(frame, read_table(place.root, name).drop_duplicates("image"))
    return frame.assign(**{c: np.nan for c in COLUMNS if c not in frame.columns})


def _joined(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    by_image = other.set_index("image")
    for column, names in _MEANING.items():
        theirs = next((name for name in names if name in other.columns), None)
        if theirs is None:
            continue
        said = frame["image_id"].map(by_image[theirs])
        frame[column] = frame[column].fillna(said) if column in frame.columns else said
    return frame
