"""Give images without a group id a group of their own, and say so.

In:  rows with `image_id` and `lesion_id`, empty or NA where unknown.   Out: rows, groups filled.
Knows nothing of files.
Why NA, unknown and their kin are no ids: read as one, they tie strangers to a group of thousands.
"""

import pandas as pd

from moulage.covariates import is_known
from moulage.errors import examples


def fill_groups(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows, the image id standing in for a missing group id, and a note if any did."""
    is_alone = pd.Series(~is_known(frame["lesion_id"]), index=frame.index)
    if not is_alone.any():
        return frame, []
    filled = frame["lesion_id"].astype(object).where(~is_alone, frame["image_id"])
    note = (
        f"{int(is_alone.sum())} of {len(frame)} images have no group id"
        f"{_in_words(frame.loc[is_alone, 'lesion_id'])}, so each is a group of "
        "its own: two photographs of one lesion may land in different parts unseen, and intervals "
        "count them as two lesions."
    )
    return frame.assign(lesion_id=filled), [note]


def _in_words(missing: "pd.Series[str]") -> str:
    """Count the cells that are not empty but say so."""
    cells = missing.dropna().astype(str).str.strip()
    words = cells[cells != ""]
    return f" ({len(words)} of them say {examples(sorted(set(words)))})" if len(words) else ""
