"""Draw the README's tree: every module with about five words.

In:  the files on disk, and the words that the README has for them.   Out: the README, redrawn.
A new file gets the first words of its docstring, to be put better by hand in the README; the
words of a file that is gone go with it. Run as `python -m tools.tree`.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
FOLDERS = ("moulage", "studies", "tools", "benchmarks", "docs", "tests")
OPENING, CLOSING = "```text\nmoulage/", "\n```"

_SUFFIXES = frozenset({".py", ".toml", ".md", ".ipynb"})
_FOLDED = frozenset({"tests", "docs/decisions"})
_INDENT, _WORDS_AT, _N_WORDS = "  ", 26, 7


def draw_tree(*, root: Path, words: Mapping[str, str]) -> str:
    """Return the tree of a repository, a line a file; `words` are keyed by path."""
    lines = [
        _line(path.relative_to(root), words.get(_key(path, root)) or _first_words(path))
        for folder in FOLDERS
        if (root / folder).is_dir()
        for path in _walk(root / folder, root)
    ]
    return "\n".join(lines)


def read_words(tree: str) -> dict[str, str]:
    """Return the words of each path of a tree, folders with a slash at their end.

    >>> read_words("moulage/   the package\\n  split.py   which part is whose")
    {'moulage/': 'the package', 'moulage/split.py': 'which part is whose'}
    """
    found, above = {}, list[str]()
    for line in tree.splitlines():
        name, _, said = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // len(_INDENT)
        above = [*above[:depth], name]
        found["".join(above)] = said.strip()
    return found


def tree_of(readme: str) -> str:
    """Cut the tree out of a README."""
    start = readme.index(OPENING) + len("```text\n")
    return readme[start : readme.index(CLOSING, start)]


def main() -> None:
    """Redraw the README's tree in place."""
    readme = README.read_text()
    old = tree_of(readme)
    README.write_text(readme.replace(old, draw_tree(root=ROOT, words=read_words(old))))


def _walk(folder: Path, root: Path) -> Iterator[Path]:
    """Yield a folder, then its folders, then its files; what is folded has no inside."""
    yield folder
    if str(folder.relative_to(root)) in _FOLDED:
        return
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith(("__", ".")))
    for path in inside:
        if path.is_dir():
            yield from _walk(path, root)
    yield from (path for path in inside if path.is_file() and path.suffix in _SUFFIXES)


def _line(path: Path, words: str) -> str:
    name = _INDENT * (len(path.parts) - 1) + path.name + ("" if path.suffix else "/")
    return f"{name:<{_WORDS_AT}} {words}".rstrip()


def _key(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) + ("/" if path.is_dir() else "")


def _first_words(path: Path) -> str:
    module = path / "__init__.py" if path.is_dir() else path
    if module.suffix != ".py" or not module.is_file():
        return ""
    docstring = ast.get_docstring(ast.parse(module.read_text())) or ""
    words = docstring.partition("\n")[0].rstrip(".").split()
    return " ".join(words[:_N_WORDS]) + ("…" if len(words) > _N_WORDS else "")


if __name__ == "__main__":
    main()
