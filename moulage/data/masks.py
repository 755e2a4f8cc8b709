"""Find and read the outlines of lesions that HAM10000 comes with.

In:  a catalogue.   Out: image_id → the path of its mask; masks laid out as the images are.
Knows nothing of explanations, which are held against these masks.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.data.images import Resize, decode, resize_image
from moulage.data.sources import MASK_SUFFIX, Sources, open_place, stem_of


def find_masks(catalogue: Catalogue) -> dict[str, str]:
    """Return image_id → path relative to the root of `<image_id>_segmentation.png`, zipped or not.

    Images without a mask are left out.
    """
    masks = {
        stem_of(name).removesuffix(MASK_SUFFIX): name
        for name in reversed(open_place(catalogue.root).masks())
    }
    return {image_id: masks[image_id] for image_id in catalogue.image_ids if image_id in masks}


def read_mask(root: Path, path: str, *, size_px: int, resize: Resize) -> NDArray[np.bool_]:
    """Return (size_px, size_px) bool, True = lesion, laid out by the rule of the images.

    A pixel of which at least half is lesion is lesion; padding is not. Lesion is white, or 1 where
    a file has no number above 1.
    """
    with Sources(root) as sources:
        mask = decode(sources.read(path))
    if mask.max() == 1:
        mask *= 255
    return resize_image(mask, size_px=size_px, resize=resize)[..., 0] >= 128
