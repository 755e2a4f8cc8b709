"""Small data sets of every kind, made of coloured squares, and a cache of their own."""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

CODES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _write_image(path: Path, *, grey: int = 128, height: int = 15, width: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), grey, dtype=np.uint8))
    return path


def _zip_folder(folder: Path) -> Path:
    """Replace a folder by a zip of it."""
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    shutil.rmtree(folder)
    return target


@pytest.fixture
def write_image() -> Callable[..., Path]:
    return _write_image


@pytest.fixture
def zip_folder() -> Callable[[Path], Path]:
    return _zip_folder


@pytest.fixture
def ham(tmp_path: Path) -> Path:
    """Two images of one lesion a diagnosis, in the layout of the Kaggle download."""
    root = tmp_path / "ham"
    rows = [HEADER]
    for k, code in enumerate(CODES):
        for n in range(2):
            image_id = f"ISIC_{k}{n}"
            rows.append(f"HAM_{k},{image_id},{code},histo,{5.0 * k},female,back")
            _write_image(
                root / f"HAM10000_images_part_{n + 1}" / f"{image_id}.jpg", grey=20 * k + n
            )
    (root / "HAM10000_metadata.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def edit(ham: Path) -> Callable[[str, str], None]:
    """Replace a text in the metadata."""

    def replace(old: str, new: str) -> None:
        table = ham / "HAM10000_metadata.csv"
        text = table.read_text()
        assert old in text
        table.write_text(text.replace(old, new, 1))

    return replace


@pytest.fixture
def shared_ham() -> Path:
    """The real HAM10000 beside the repository; its absence is a fault on a build server only."""
    folder = (Path(__file__).parents[2] / "../shared/ham10000").resolve()
    if not folder.is_dir():
        assert os.environ.get("CI") != "true", f"no HAM10000 in {folder}"
        pytest.skip(f"no HAM10000 in {folder}")
    return folder
