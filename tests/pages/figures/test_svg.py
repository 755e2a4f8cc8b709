"""Inline SVG: the page's colours and fonts, unique ids, the same bytes each time."""

import re

import matplotlib as mpl
import pytest

from moulage.pages.figures.svg import INK, as_svg, drawing


def a_drawing(name: str = "one", label: str = "x") -> str:
    with drawing(width=3, height=2) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=INK, marker="o", label=label)
        axes.legend()
        axes.set_xlabel(label)
        return str(as_svg(figure, name=name, title="T <1>", description='a "line"'))


def test_every_colour_is_a_variable_of_the_page() -> None:
    svg = a_drawing()
    assert "var(--ink)" in svg
    assert not re.findall(r"#[0-9a-fA-F]{6}\b", svg)
    assert "DejaVu" not in svg


def test_ids_of_two_figures_never_meet() -> None:
    ids = [set(re.findall(r'\bid="([^"]+)"', a_drawing(name))) for name in ("one", "two")]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_every_reference_leads_to_an_id() -> None:
    svg = a_drawing()
    references = re.findall(r'href="#([^"]+)"', svg) + re.findall(r"url\(#([^)]+)\)", svg)
    assert references
    assert set(references) <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_the_same_drawing_gives_the_same_bytes_whatever_the_users_style() -> None:
    before = a_drawing()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert a_drawing() == before
        assert mpl.rcParams["font.size"] == 20


@pytest.mark.parametrize(("width", "bounds"), [(5, []), (5.6, ["min"]), (9, ["wide", "min"])])
def test_a_wide_figure_keeps_its_text_legible(width: float, bounds: list[str]) -> None:
    with drawing(width=width, height=2) as (figure, _):
        opening = as_svg(figure, name="x", title="T", description="d").partition(">")[0]
    found = [
        word for word, mark in (("wide", 'class="wide"'), ("min", "min-width")) if mark in opening
    ]
    assert found == bounds


def test_title_and_label_are_escaped() -> None:
    svg = a_drawing()
    assert "<title>T &lt;1&gt;</title>" in svg
    assert "aria-label='T &lt;1&gt;. a \"line\"'" in svg


def test_a_name_with_markup_or_dollars_is_only_text() -> None:
    svg = a_drawing(label="<script>$x^2$")
    assert "&lt;script&gt;$x^2$" in svg
    assert "<script>" not in svg


def test_a_name_in_another_script_is_drawn_by_the_browser() -> None:
    assert "黒色腫" in a_drawing(label="黒色腫")
