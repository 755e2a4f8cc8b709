"""Pages of the documentation: links that lead somewhere, papers that are known, dated decisions."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = sorted([*ROOT.glob("moulage/**/*.py"), *ROOT.glob("tools/*.py")])
CITATION = re.compile(r"\[((?:[a-z]+\d{4}[a-z]?)[^\]\n]*)\]")
KEY = re.compile(r"[a-z]+(?:19|20)\d\d[a-z]?\b")


def cited_in(path: Path) -> set[str]:
    return {key for inner in CITATION.findall(path.read_text()) for key in KEY.findall(inner)}


def known() -> list[str]:
    return re.findall(r"^- \*\*(\w+)\*\* ", (ROOT / "docs/references.md").read_text(), re.MULTILINE)


def test_every_cited_paper_is_known() -> None:
    unknown = {str(path): keys for path in CODE if (keys := cited_in(path) - set(known()))}
    assert unknown == {}, "add them to docs/references.md"


def test_papers_are_in_order_and_listed_once() -> None:
    assert known() == sorted(set(known()))
    assert len(known()) > 10


def test_citations_are_found_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""As in [guo2017, eq. 3] and [delong1988; sun2014 for ranks], x[i2017]."""')
    assert cited_in(path) == {"guo2017", "delong1988", "sun2014", "i2017"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("docs/decisions/*.md")), ids=lambda page: page.name
)
def test_a_decision_is_dated(page: Path) -> None:
    assert re.search(r"\b20\d\d-\d\d-\d\d\b", "\n".join(page.read_text().splitlines()[:4]))


def test_the_version_of_a_release_stands_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:] == [] or headings[1] == version


def test_the_readmes_ratios_are_those_of_the_page_of_performance() -> None:
    said = re.findall(r"(\d+\.\d+)×", (ROOT / "README.md").read_text())
    table = (ROOT / "docs/performance.md").read_text().partition("A's table in full:")[2]
    medians = re.findall(r"^\|.*?\| [\d.]+× \| ([\d.]+)× \|", table, re.MULTILINE)
    assert said
    assert [ratio for ratio in said if ratio not in medians] == []
