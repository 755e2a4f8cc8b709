"""One HTML file from a template, nothing fetched from anywhere.

In:  the name of a template and what it shows.   Out: the text of the file.
Knows nothing of runs and studies.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure and the sentence below it."""

    svg: Markup
    caption: str


def render(template: str, **shown: Any) -> str:
    """Return a template filled in; every value is escaped, save figures (already `Markup`).

    What stands between backquotes is code.
    """
    return _environment().get_template(template).render(**shown)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("moulage.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_with_code,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _with_code(value: Any) -> Any:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(value))))
