"""Give images without a group id a group of their own, and say so.

In:  rows with `image_id` and `lesion_id`, NaN where unknown.   Out: rows with every group filled.
Knows nothing of files.
"""

import pandas as pd


def fill_groups(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows, the image id standing in for a missing group id, and a note if any did."""
    is_alone = frame["lesion_id"].isna()
    if not is_alone.any():
        return frame, []
    filled = frame["lesion_id"].astype(object).where(~is_alone, frame["image_id"])
    note = (
        f"{int(is_alone.sum())} of {len(frame)} images have no group id, so each is a group of "
        "its own: two photographs of one lesion may land in different parts unseen."
    )
    return frame.assign(lesion_id=filled), [note]
