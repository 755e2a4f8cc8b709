"""Confusion matrices: counts, shares of rows, words."""

import re

import numpy as np
from sklearn.metrics import confusion_matrix

from moulage.pages.figures.confusion import describe, draw_confusion, row_shares

COUNTS = np.array([[3, 1, 0], [0, 2, 2], [0, 0, 0]])


def texts(svg: str) -> list[str]:
    return re.findall(r">([^<>\n]+)</text>", svg)


def test_shares_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(42)
    labels, decisions = rng.integers(0, 5, (2, 300))
    counts = confusion_matrix(labels, decisions)
    np.testing.assert_allclose(
        row_shares(counts), confusion_matrix(labels, decisions, normalize="true"), rtol=1e-12
    )


def test_a_row_without_images_has_no_shares() -> None:
    assert np.isnan(row_shares(COUNTS)[2]).all()


def test_counts_and_shares_stand_in_the_figure() -> None:
    svg = draw_confusion(COUNTS, ["a", "b", "c"], name="x", title="T")
    assert texts(svg).count("0.50") == 2
    assert {"0.75", "0.25", "truth", "prediction", "a", "b", "c"} <= set(texts(svg))
    assert "nan" not in svg


def test_thousands_are_set_apart() -> None:
    assert "1,341" in texts(draw_confusion(np.array([[1341, 0], [2, 3]]), "ab", name="x", title=""))


def test_the_description_names_the_worst_confusion() -> None:
    assert describe(COUNTS, ["a", "b", "c"]) == (
        "5 of 8 images are right. Most often confused: b taken for c, 2 times."
    )
    assert describe(np.diag([2, 3]), ["a", "b"]) == "5 of 5 images are right."


def test_long_names_are_cut_beside_cells_and_whole_in_the_description() -> None:
    names = [f"{kind} of the skin, with a long name of its own" for kind in ("naevus", "melanoma")]
    svg = draw_confusion(np.array([[3, 1], [0, 2]]), names, name="x", title="T")
    assert texts(svg).count("naevus of the…") == 2
    assert f"{names[0]} taken for {names[1]}" in svg


def test_twenty_diagnoses_fit() -> None:
    codes = [f"diagnosis-{k}" for k in range(20)]
    svg = draw_confusion(np.eye(20, dtype=np.int64), codes, name="x", title="T")
    assert set(codes) <= set(texts(svg))
