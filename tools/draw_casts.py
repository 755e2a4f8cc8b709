"""Draw the README's grid of casts: the first five lesions of each diagnosis of one seed.

Run `python -m tools.draw_casts` in the repository; it writes docs/images/casts.png.
"""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from moulage.casts.lesion import paint_lesion
from moulage.casts.photograph import photograph
from moulage.seeding import generator

TITLES = {
    "nv": "mole (nv)",
    "mel": "melanoma (mel)",
    "bkl": "benign keratosis (bkl)",
    "bcc": "basal cell\ncarcinoma (bcc)",
    "akiec": "actinic keratosis\n(akiec)",
    "vasc": "angioma (vasc)",
    "df": "dermatofibroma (df)",
}
OUT = Path(__file__).parents[1] / "docs" / "images" / "casts.png"
N_EACH, SEED = 5, 3
SIZE = (200, 150)
DPI = 112
_GREY_STEP = 4  # finer differences are camera grain, which compresses badly


def cast(diagnosis: str, number: int) -> NDArray[np.uint8]:
    """Return one photograph of lesion `number`."""
    scene = paint_lesion(diagnosis=diagnosis, seed=SEED, number=number, size=SIZE)
    return photograph(scene, size=SIZE, rng=generator("grid", SEED, diagnosis, number)).pixels


def draw() -> Figure:
    """Return the grid: a column a diagnosis, a row a lesion."""
    figure = Figure(figsize=(7 * 1.12, N_EACH * 0.84 + 0.42), dpi=DPI)
    axes = figure.subplots(N_EACH, len(TITLES))
    for column, (diagnosis, title) in enumerate(TITLES.items()):
        for row in range(N_EACH):
            axis = axes[row, column]
            axis.imshow(cast(diagnosis, 100 * column + row), interpolation="antialiased")
            axis.set_axis_off()
        axes[0, column].set_title(title, fontsize=7.2, color="#222222", pad=3)
    figure.subplots_adjust(0.004, 0.005, 0.996, 0.915, wspace=0.03, hspace=0.03)
    return figure


def main() -> None:
    """Write the grid with its greys rounded, which halves the file."""
    matplotlib.rcParams["font.family"] = "DejaVu Sans"
    OUT.parent.mkdir(parents=True, exist_ok=True)
    draw().savefig(OUT, facecolor="white")
    pixels = np.asarray(cv2.imread(str(OUT), cv2.IMREAD_COLOR), dtype=np.float32)
    rounded = np.rint(pixels / 255 * (255 // _GREY_STEP)) / (255 // _GREY_STEP) * 255
    cv2.imwrite(str(OUT), np.rint(rounded).astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
