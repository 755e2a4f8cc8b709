"""The range test's picture stands alone, in either format."""

from xml.etree import ElementTree

import cv2
import numpy as np

from moulage.pages.figures.rates import draw_rates


def draw(file_format: str) -> bytes:
    rates = np.geomspace(1e-6, 1, 40)
    losses = np.concatenate([np.linspace(2, 1, 30), np.geomspace(1, 50, 10)])
    return draw_rates(
        rates=rates,
        losses=losses,
        smoothed=losses,
        suggested=1e-3,
        title="exp1-seed0, phase frozen",
        file_format=file_format,
    )


def test_an_svg_is_well_formed_and_the_same_each_time() -> None:
    assert ElementTree.fromstring(draw("svg")).tag.endswith("svg")
    assert draw("svg") == draw("svg")


def test_a_png_can_be_read_and_is_not_blank() -> None:
    image = cv2.imdecode(np.frombuffer(draw("png"), dtype=np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (600, 960, 3)
    assert image.std() > 5
