"""The pages in a real browser: no sideways scrolling, tables that sort, both colour schemes."""

import html as markup
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from moulage.pages.answers import answers_page
from moulage.pages.explanations import explanations_page

from .test_answers import record, trust
from .test_explanations import casebook

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path"),
]


def look(page: str, folder: Path, *, width: int, script: str, dark: bool = False) -> str:
    """Open a page in a frame of `width` pixels, and return what `script` returns there."""
    holder = f"""<!doctype html><body style="margin:0">
    <iframe style="border:0;width:{width}px;height:2000px" srcdoc="{markup.escape(page)}"></iframe>
    <script>
    addEventListener("load", () => {{
      const frame = document.querySelector("iframe");
      const result = ((window, document) => {{ {script} }})(
        frame.contentWindow, frame.contentDocument);
      frame.remove();
      document.body.textContent = "[[" + JSON.stringify(result) + "]]";
    }});
    </script>"""
    path = folder / "holder.html"
    path.write_text(holder)
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/user"]
    command = [str(BROWSER), *flags, scheme, "--dump-dom", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"\[\[(.*)\]\]</body>", dom, re.DOTALL)
    assert found, dom[-500:]
    return markup.unescape(found.group(1))


WIDEST = """
  const root = document.documentElement;
  const out = [...document.querySelectorAll("body *")].filter((one) =>
    !one.closest(".scroll") && !one.closest("svg") && !one.matches(".skip") &&
    one.getBoundingClientRect().right > root.clientWidth + 1);
  return [root.scrollWidth - root.clientWidth, out.map((one) => one.tagName)];
"""


@pytest.fixture
def answers() -> str:
    """Return a page of answers whose sets hold a malignant diagnosis each, whatever they show."""
    told = record(6, set="nv mel", answer=True, unfamiliarity=0.4, is_unfamiliar=False)
    return answers_page(replace(told, trust=trust(n_mel=5)))


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("name", ["report", "comparison", "surveyed", "answers"])
def test_nothing_scrolls_sideways_but_tables(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, width: int
) -> None:
    page = request.getfixturevalue(name)
    assert look(page, tmp_path, width=width, script=WIDEST) == "[0,[]]"


@pytest.mark.parametrize(("width", "n_cut"), [(1280, 0), (1920, 0), (390, 2)])
def test_every_column_of_the_widest_tables_shows_on_a_desktop(
    tmp_path: Path, width: int, n_cut: int
) -> None:
    page = explanations_page(casebook(1, lesion_at=slice(20, 30)))
    script = """
      const cut = [...document.querySelectorAll(".scroll:has(.heads :nth-child(9))")].filter(
        (one) => one.scrollWidth > one.clientWidth + 1);
      const root = document.documentElement;
      return [root.scrollWidth - root.clientWidth, cut.length];
    """
    assert look(page, tmp_path, width=width, script=script) == f"[0,{n_cut}]"


def test_pictures_of_a_survey_lie_beside_each_other_also_on_a_phone(
    surveyed: str, tmp_path: Path
) -> None:
    script = """
      const boxes = [...document.querySelectorAll("#pairs .two")].map((pair) =>
        [...pair.querySelectorAll("img")].map((one) => one.getBoundingClientRect()));
      const broken = [...document.images].filter((one) => !one.naturalWidth || !one.alt);
      return [boxes.length > 0, broken.length, boxes.every(([one, other]) =>
        one.top === other.top && one.right <= other.left && other.right <= window.innerWidth)];
    """
    assert look(surveyed, tmp_path, width=390, script=script) == "[true,0,true]"


def test_a_click_on_a_heading_sorts_numbers_and_keeps_missing_ones_last(
    report: str, tmp_path: Path
) -> None:
    script = """
      const table = document.querySelector("#diagnoses table");
      const column = 4, button = table.querySelectorAll(".heads button")[column];
      const read = () => [...table.tBodies[0].rows].map((row) => row.cells[column].textContent);
      button.click(); const down = read();
      button.click(); const up = read();
      return [down, up, table.querySelectorAll(".heads th")[column].getAttribute("aria-sort")];
    """
    down, up, direction = json.loads(look(report, tmp_path, width=1280, script=script))
    known = [cell for cell in down if "defined" not in cell]
    missing = down[len(known) :]
    assert known == sorted(known, key=float, reverse=True)
    assert up == [*sorted(known, key=float), *missing]
    assert missing
    assert direction == "ascending"


@pytest.mark.parametrize("name", ["report", "comparison", "surveyed"])
def test_figures_follow_the_colour_scheme(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    page = request.getfixturevalue(name)
    script = """
      const ink = window.getComputedStyle(document.querySelector("svg text")).fill;
      const paper = window.getComputedStyle(document.body).backgroundColor;
      return [ink, paper];
    """
    light = look(page, tmp_path, width=1280, script=script)
    dark = look(page, tmp_path, width=1280, script=script, dark=True)
    assert light == '["rgb(95, 100, 104)","rgb(253, 252, 250)"]'
    assert dark == '["rgb(163, 168, 171)","rgb(22, 24, 26)"]'
