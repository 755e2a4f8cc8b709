"""Paths are judged below their root, in zips and in folders with odd names."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from moulage.data.paths import judge_paths, relative_to_root, split_member


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a.zip!/b.jpg", ("a.zip", "b.jpg")),
        ("x!/A.Zip!/y!/b.jpg", ("x!/A.Zip", "y!/b.jpg")),
        ("a.zip!/in.zip!/b.jpg", ("a.zip", "in.zip!/b.jpg")),
        ("a.zip!/", ("a.zip", "")),
        ("mel!/b.jpg", None),
        ("zip!/b.jpg", None),
        ("a.zip/b.jpg", None),
    ],
)
def test_a_member_follows_what_ends_in_zip(path: str, parts: tuple[str, str] | None) -> None:
    assert split_member(path) == parts


def test_folders_with_an_exclamation_mark_are_folders(tmp_path: Path) -> None:
    (tmp_path / "mel!").mkdir()
    (tmp_path / "mel!/a.jpg").touch()
    with zipfile.ZipFile(tmp_path / "mel!/part.zip", "w") as archive:
        archive.writestr("nv!/b.jpg", b"")
    (tmp_path / "out!").symlink_to(tmp_path.parent)
    paths = np.array(
        [
            "mel!/a.jpg",
            "mel!/c.jpg",
            "mel!/part.zip!/nv!/b.jpg",
            "mel!/part.zip!/b.jpg",
            "out!/a.jpg",
        ]
    )
    said = ["found", "missing", "found", "missing", "astray"]
    assert judge_paths(paths, tmp_path).tolist() == said


def test_what_follows_the_root_is_kept_with_its_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "self").symlink_to(root)
    (tmp_path / "link").symlink_to(root)
    paths = [f"{root}/self/a.jpg", f"{tmp_path}/link/b/c.jpg", f"{root}/b/../../d.jpg", "b/e.jpg"]
    assert relative_to_root(paths, root) == {paths[0]: "self/a.jpg", paths[1]: "b/c.jpg"}
