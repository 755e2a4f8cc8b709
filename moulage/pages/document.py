"""One HTML file from a template, nothing fetched from anywhere.

In:  the name of a template and what it shows.   Out: the text of the file.
Knows nothing of runs and studies.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure and the sentence below it."""

    svg: Markup
    caption: str


def render(template: str, **shown: Any) -> str:
    """Return a template filled in; every value is escaped, save figures (already `Markup`)."""
    return _environment().get_template(template).render(**shown)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("moulage.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
