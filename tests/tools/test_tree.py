"""The README's tree, held against the disk."""

from pathlib import Path

from tools.tree import README, ROOT, draw_tree, read_words, tree_of

CURE = "run `python -m tools.tree` and better the new words in the README"


def test_the_tree_of_the_readme_is_the_tree_on_disk() -> None:
    tree = tree_of(README.read_text())
    assert tree == draw_tree(root=ROOT, words=read_words(tree)), CURE


def test_every_module_has_about_five_words() -> None:
    words = read_words(tree_of(README.read_text()))
    modules = {path: said for path, said in words.items() if path.endswith((".py", ".toml"))}
    assert [path for path, said in modules.items() if not said or said.endswith("…")] == [], CURE
    assert [path for path, said in modules.items() if len(said.split()) > 8] == [], CURE


def test_a_new_module_is_drawn_with_its_docstring(tmp_path: Path) -> None:
    (tmp_path / "moulage" / "room").mkdir(parents=True)
    (tmp_path / "moulage" / "room" / "__init__.py").write_text('"""A room."""')
    (tmp_path / "moulage" / "room" / "old.py").write_text('"""Something long."""')
    (tmp_path / "moulage" / "room" / "new.py").write_text('"""Said here.\n\nAnd more."""')
    (tmp_path / "moulage" / "room" / "wordy.py").write_text(
        '"""One two three four five six 7 8."""'
    )
    tree = draw_tree(root=tmp_path, words={"moulage/": "all", "moulage/room/old.py": "known"})
    assert read_words(tree) == {
        "moulage/": "all",
        "moulage/room/": "A room",
        "moulage/room/new.py": "Said here",
        "moulage/room/old.py": "known",
        "moulage/room/wordy.py": "One two three four five six 7…",
    }
