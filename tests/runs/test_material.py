"""What a study's cells share: merged lesions lie in one part, and what cannot train is refused."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w

import moulage
from moulage import actions
from moulage.errors import ConfigError, DataError
from moulage.runs.audit import compare_datasets
from moulage.runs.material import Material, open_described, prepare, read_images
from moulage.runs.study import cells_of
from moulage.split import write_split


def silent(what: str, done: int, total: int) -> None:
    pass


def material_of(study: Any) -> Material:
    images = read_images(study, silent)
    return prepare(cells_of(study)[0], images)


@pytest.fixture
def pair(casts: Path) -> tuple[str, str]:
    """Return two nevi's images."""
    table = pd.read_csv(casts / "HAM10000_metadata.csv").drop_duplicates("lesion_id")
    one, other = table.loc[table["dx"] == "nv", "image_id"].iloc[[0, -1]]
    return one, other


@pytest.fixture
def listed(pair: tuple[str, str], tmp_path: Path) -> str:
    """Return a file that confirms them as one lesion."""
    path = tmp_path / "pairs.csv"
    path.write_text(f"image_id,other_id\n{pair[0]},{pair[1]}\n")
    return str(path)


def test_a_file_changed_behind_its_time_is_seen_where_bytes_are_asked_for(
    casts: Path, study_of: Any, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    shutil.copytree(casts, here)
    victim, other = sorted(here.rglob("*.jpg"))[:2]
    size = max(file.stat().st_size for file in (victim, other))
    pictures = [file.read_bytes().ljust(size, b"\0") for file in (victim, other)]

    def digests() -> tuple[str, str]:
        plain, verified = (
            read_images(study_of(here, images={"size": 32, "verify": verify}), silent)
            for verify in (False, True)
        )
        return plain.pixels.digest, verified.pixels.digest

    victim.write_bytes(pictures[0])
    status = victim.stat()
    before = digests()
    victim.write_bytes(pictures[1])
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = digests()
    assert before[0] == before[1] == after[0]
    assert after[1] != before[1]


@pytest.mark.parametrize("kind", ["grouped", "leaky", "image"])
def test_a_study_ties_confirmed_pairs(
    kind: str, casts: Path, study_of: Any, pair: tuple[str, str], listed: str
) -> None:
    plain = material_of(study_of(casts, split={"kind": kind}))
    tied = material_of(study_of(casts, split={"kind": kind, "merge": listed}))
    of_image = tied.catalogue.frame.set_index("image_id")["lesion_id"]
    assert of_image[pair[0]] == of_image[pair[1]]
    assert set(tied.split.lesion_ids) == set(of_image)
    assert len(set(of_image)) == len(set(plain.catalogue.lesion_ids)) - 1
    assert any("2 lesion ids show 1 lesion" in note for note in tied.notes)
    assert tied.split.digest != plain.split.digest


def test_a_split_file_may_call_merged_lesions_by_either_name(
    casts: Path, study_of: Any, listed: str, tmp_path: Path
) -> None:
    tied = material_of(study_of(casts, split={"merge": listed}))
    path = tmp_path / "split.csv"
    write_split(tied.split, path)
    split = {"kind": "file", "file": str(path)}
    again = material_of(study_of(casts, split={**split, "merge": listed}))
    assert again.split.digest == tied.split.digest
    with pytest.raises(DataError, match="the lesion of the catalogue"):
        material_of(study_of(casts, split=split))


@pytest.mark.parametrize("ratios", [{"train": 1.0}, {"train": 0.5, "test": 0.5}])
def test_a_split_that_no_epoch_could_be_chosen_by_is_refused(
    ratios: dict[str, float], casts: Path, study_of: Any
) -> None:
    with pytest.raises(
        DataError, match="'validation' of a split must hold 1 or more images; got 0"
    ):
        material_of(study_of(casts, split={"ratios": ratios}))


def test_a_split_that_trains_on_one_image_is_refused(
    casts: Path, study_of: Any, tmp_path: Path
) -> None:
    split = material_of(study_of(casts)).split
    lesions, n_images = np.unique(split.lesion_ids, return_counts=True)
    alone = split.lesion_ids == lesions[n_images == 1][0]
    parts = np.where(alone, "train", "validation")
    path = tmp_path / "split.csv"
    write_split(replace(split, parts=parts), path)
    with pytest.raises(DataError, match="'train' of a split must hold 2 or more images; got 1 of"):
        material_of(study_of(casts, split={"kind": "file", "file": str(path)}))


def test_parts_that_lack_a_diagnosis_are_told(casts: Path, study_of: Any, tmp_path: Path) -> None:
    plain = material_of(study_of(casts))
    code, is_first = plain.catalogue.codes[0], plain.catalogue.labels[plain.rows] == 0
    path = tmp_path / "split.csv"
    write_split(replace(plain.split, parts=np.where(is_first, "train", plain.split.parts)), path)
    told = material_of(study_of(casts, split={"kind": "file", "file": str(path)})).notes
    assert any(note.startswith(f"{code} stands in no validation or test part") for note in told)


def test_folds_share_out_the_rest_as_the_ratios_say(casts: Path, study_of: Any) -> None:
    ratios = {"train": 0.5, "validation": 0.2, "test": 0.1, "calibration": 0.2}
    split = material_of(study_of(casts, split={"folds": 2, "ratios": ratios})).split
    n_rest = len(split) - len(split.rows_of("test"))
    shares = {part: len(split.rows_of(part)) / n_rest for part in ("train", "calibration")}
    assert shares["train"] == pytest.approx(5 / 9, abs=0.1)
    assert shares["calibration"] == pytest.approx(2 / 9, abs=0.1)


def test_a_split_file_and_pairs_may_name_images_that_cannot_be_read(
    casts: Path, study_of: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "torn"
    shutil.copytree(casts, folder)
    write_split(moulage.make_split(folder), tmp_path / "split.csv")
    table = pd.read_csv(folder / "HAM10000_metadata.csv").drop_duplicates("lesion_id")
    torn, one, other = table.loc[table["dx"] == "nv", "image_id"].iloc[:3]
    next(folder.rglob(f"{torn}.jpg")).write_bytes(b"torn")
    (tmp_path / "pairs.csv").write_text(f"image_id,other_id\n{torn},{one}\n{torn},{other}\n")
    skipping = {"images": {"size": 32, "unreadable": "skip"}}
    split = {"kind": "file", "file": str(tmp_path / "split.csv")}
    listed = material_of(study_of(folder, **skipping, split=split)).split
    assert len(listed) == 59
    assert torn not in listed.image_ids
    merge = {"merge": str(tmp_path / "pairs.csv")}
    tied = material_of(study_of(folder, **skipping, split=merge)).split
    parts = {str(tied.parts[tied.image_ids == name][0]) for name in (one, other)}
    assert len(parts) == 1, "tied by an image that is not there"


def test_one_diagnosis_alone_is_refused(casts: Path, study_of: Any) -> None:
    images = read_images(study_of(casts), silent)
    (first, *_) = images.catalogue.codes
    rows = np.flatnonzero(images.catalogue.labels == 0)
    catalogue = images.catalogue.take(rows)
    alone = replace(catalogue, diagnoses=catalogue.diagnoses[:1])
    with pytest.raises(DataError, match=f"two or more diagnoses to tell apart; got {first} in"):
        prepare(cells_of(study_of(casts))[0], replace(images, catalogue=alone))


@pytest.fixture
def described(casts: Path, tmp_path: Path) -> Path:
    """A study file for a table whose columns have names of their own."""
    table = pd.read_csv(casts / "HAM10000_metadata.csv", usecols=["image_id", "lesion_id", "dx"])
    renamed = table.rename(columns={"image_id": "Photo", "lesion_id": "Mole", "dx": "Label"})
    renamed.to_csv(tmp_path / "ours.csv", index=False)
    for folder in casts.glob("HAM10000_images*"):
        shutil.copytree(folder, tmp_path / folder.name)
    content = {
        "path": str(tmp_path),
        "table": "ours.csv",
        "columns": {"image_id": "Photo", "lesion_id": "Mole", "diagnosis": "Label"},
        "name": "Ours",
    }
    path = tmp_path / "ours.toml"
    path.write_text(tomli_w.dumps({"dataset": content}))
    return path


def test_a_study_file_stands_for_the_data_set_that_it_describes(
    described: Path, casts: Path, tmp_path: Path
) -> None:
    catalogue, original = moulage.read_dataset(described), moulage.read_dataset(casts)
    assert catalogue.name == "Ours"
    assert sorted(catalogue.image_ids) == sorted(original.image_ids)
    assert set(catalogue.lesion_ids) == set(original.lesion_ids)
    assert set(moulage.read_dataset(tmp_path).lesion_ids) != set(original.lesion_ids)
    assert moulage.read_dataset(described, name="Theirs").name == "Theirs"
    assert moulage.make_split(described).digest
    for threshold in (55, 0.0, float("nan")):
        with pytest.raises(ConfigError, match="`threshold` must be a certainty above 0"):
            compare_datasets(described, casts, threshold=threshold, progress=silent)
    assert compare_datasets(described, casts, threshold=None, progress=silent).names[0] == "Ours"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[dataset]\ncolums = {}\n", r"`dataset\.colums` is no known key\. Did you mean .columns"),
        ("name = 'x'\n", "`dataset` must be given"),
        ("[dataset\n", "must be TOML"),
    ],
)
def test_a_file_that_describes_nothing_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        open_described(path)


def test_a_set_of_which_nothing_is_learnt_may_lack_a_diagnosis(casts: Path, tmp_path: Path) -> None:
    for code, picture in zip(("nv", "mel"), sorted(casts.rglob("*.jpg"))[:2], strict=True):
        (tmp_path / code).mkdir()
        shutil.copy(picture, tmp_path / code)
    (tmp_path / "df").mkdir()
    with pytest.raises(DataError, match=r"must have an image; got 1 without \(df\)"):
        open_described(tmp_path)
    assert compare_datasets(tmp_path, casts, threshold=None, progress=silent).n_images == (2, 60)
    found = actions.extract_features("test_efficientnet", tmp_path, weights="random", size=32)
    assert found.ids["diagnosis"].tolist() == ["mel", "nv"]
