"""A folder of casts reads like HAM10000, and its truth is true."""

import re
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from moulage.casts.cohort import DIAGNOSES, METADATA_COLUMNS, draw_cohort
from moulage.casts.disguise import KINDS
from moulage.casts.generator import METADATA_FILE, PLANTINGS_FILE, Casts, make_casts
from moulage.casts.plan import Job, Shot
from moulage.casts.planting import (
    EVERYDAY,
    MOST_RULER_AREA,
    DarkCorners,
    Hair,
    NearDuplicates,
    Ruler,
    WrongLabels,
)
from moulage.casts.studio import IMAGE_FOLDERS, MASK_FOLDER, Studio
from moulage.errors import ConfigError, RunError

SMALL = (64, 48)
PLANTINGS = (
    Hair(share=0.25),
    DarkCorners(share=0.15),
    Ruler(diagnosis="mel", share=0.8, share_elsewhere=0.1),
    WrongLabels(share=0.1),
    NearDuplicates(n_each=2),
)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Casts:
    """120 small casts with everything planted, and 12 near-duplicates."""
    folder = tmp_path_factory.mktemp("planted")
    return make_casts(folder, n_images=120, seed=7, size=SMALL, plantings=PLANTINGS)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Casts:
    """The same 120 casts with nothing planted."""
    folder = tmp_path_factory.mktemp("bare")
    return make_casts(folder, n_images=120, seed=7, size=SMALL, plantings=())


def read_image(casts: Casts, image_id: str) -> NDArray[np.uint8]:
    (path,) = casts.folder.glob(f"HAM10000_images_part_*/{image_id}.jpg")
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


def read_mask(casts: Casts, image_id: str) -> NDArray[np.bool_]:
    path = casts.folder / MASK_FOLDER / f"{image_id}_segmentation.png"
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED) > 127)


def all_bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def images_with(casts: Casts, kind: str) -> set[str]:
    return set(casts.plantings.loc[casts.plantings["kind"] == kind, "image_id"])


def test_the_layout_is_that_of_ham10000(planted: Casts) -> None:
    table = pd.read_csv(planted.folder / METADATA_FILE)
    assert tuple(table.columns) == METADATA_COLUMNS
    assert table["image_id"].is_unique
    assert len(table) == 132
    first, second = (
        {path.stem for path in (planted.folder / part).glob("*.jpg")} for part in IMAGE_FOLDERS
    )
    assert (len(first), len(second)) == (60, 72)
    assert first | second == set(table["image_id"])
    masks = {path.name for path in (planted.folder / MASK_FOLDER).iterdir()}
    assert masks == {f"{image}_segmentation.png" for image in table["image_id"]}


def test_the_record_says_what_the_files_say(planted: Casts) -> None:
    metadata = pd.read_csv(planted.folder / METADATA_FILE)
    plantings = pd.read_csv(planted.folder / PLANTINGS_FILE, keep_default_na=False)
    pd.testing.assert_frame_equal(metadata, planted.metadata, check_dtype=False)
    pd.testing.assert_frame_equal(plantings, planted.plantings, check_dtype=False)


def test_images_and_masks_have_the_size_asked_for(bare: Casts) -> None:
    for image_id in bare.metadata["image_id"]:
        assert read_image(bare, image_id).shape == (48, 64, 3)
        assert read_mask(bare, image_id).shape == (48, 64)


def test_masks_hold_two_values_and_tell_the_lesion_from_its_skin(bare: Casts) -> None:
    differences = []
    for image_id in bare.metadata["image_id"]:
        pixels, mask = read_image(bare, image_id).astype(float), read_mask(bare, image_id)
        assert 0.005 < mask.mean() < 0.97
        differences.append(np.abs(pixels[mask].mean(axis=0) - pixels[~mask].mean(axis=0)).max())
    assert np.mean(np.array(differences) > 10) > 0.95


def test_same_seed_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    for name, threads in (("one", 1), ("many", 5)):
        make_casts(
            tmp_path / name, n_images=20, seed=3, size=SMALL, plantings=EVERYDAY, threads=threads
        )
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "many")


def test_another_seed_gives_other_images(tmp_path: Path, bare: Casts) -> None:
    other = make_casts(tmp_path / "other", n_images=8, seed=8, size=SMALL, plantings=())
    differing = [
        not np.array_equal(read_image(other, image_id), read_image(bare, image_id))
        for image_id in other.metadata["image_id"]
    ]
    assert all(differing)


def test_plantings_change_only_the_images_they_are_listed_for(planted: Casts, bare: Casts) -> None:
    visible = set().union(
        *(images_with(planted, kind) for kind in ("hair", "dark_corners", "ruler"))
    )
    for image_id in bare.metadata["image_id"]:
        is_equal = np.array_equal(read_image(planted, image_id), read_image(bare, image_id))
        assert is_equal == (image_id not in visible), image_id


def test_without_plantings_nothing_is_listed(bare: Casts) -> None:
    assert len(bare.plantings) == 0
    assert "image_id,kind,detail,numbers,source" in (bare.folder / PLANTINGS_FILE).read_text()


def test_shares_are_kept(planted: Casts) -> None:
    originals = planted.metadata[:120]
    assert len(images_with(planted, "hair") & set(originals["image_id"])) == 30
    assert len(images_with(planted, "dark_corners") & set(originals["image_id"])) == 18
    rulers = originals["image_id"].isin(images_with(planted, "ruler"))
    is_melanoma = originals["dx"] == "mel"
    assert rulers[is_melanoma].mean() == pytest.approx(0.8, abs=0.1)
    assert rulers[~is_melanoma].mean() == pytest.approx(0.1, abs=0.03)


def test_wrong_labels_are_whole_lesions_and_the_truth_is_listed(
    planted: Casts, bare: Casts
) -> None:
    n_lesions = bare.metadata["lesion_id"].nunique()
    wrong = planted.plantings[planted.plantings["kind"] == "wrong_label"]
    originals = wrong[wrong["source"] == ""].set_index("image_id")["detail"]
    true = bare.metadata.set_index("image_id")["dx"]
    stated = planted.metadata[:120].set_index("image_id")["dx"]
    differs = stated != true
    assert set(stated.index[differs]) == set(originals.index)
    assert (true[originals.index] == originals).all()
    lesions = planted.metadata.set_index("image_id")["lesion_id"][originals.index]
    assert lesions.nunique() == round(0.1 * n_lesions)
    assert (planted.metadata.groupby("lesion_id")["dx"].nunique() == 1).all()
    followed = planted.metadata["dx_type"] == "follow_up"
    assert set(planted.metadata.loc[followed, "dx"]) <= {"nv"}


def test_near_duplicates_have_lesions_of_their_own_and_their_sources_diagnosis(
    planted: Casts,
) -> None:
    copies = planted.plantings[planted.plantings["kind"] == "near_duplicate"]
    assert Counter(copies["detail"]) == dict.fromkeys(KINDS, 2)
    assert copies["source"].is_unique
    rows = planted.metadata.set_index("image_id")
    originals, sources = rows.loc[copies["image_id"]], rows.loc[copies["source"]]
    assert originals["lesion_id"].is_unique
    assert not set(originals["lesion_id"]) & set(planted.metadata["lesion_id"][:120])
    assert originals["dx"].tolist() == sources["dx"].tolist()


def test_a_copy_shows_what_its_source_shows_unless_cropped_away(planted: Casts) -> None:
    copies = planted.plantings[planted.plantings["kind"] == "near_duplicate"]
    by_image = planted.plantings.groupby("image_id")["kind"].agg(set)
    for image_id, kind, source in copies[["image_id", "detail", "source"]].to_numpy():
        inherited = by_image[image_id] - {"near_duplicate"}
        original = by_image.get(source, set())
        lost = original - inherited
        assert inherited <= original
        assert not lost or (kind == "cropped" and lost <= {"ruler", "dark_corners"})


def test_masks_of_copies_follow_the_lesion(planted: Casts) -> None:
    copies = planted.plantings[planted.plantings["kind"] == "near_duplicate"]
    for image_id in copies["image_id"]:
        assert read_mask(planted, image_id).shape == read_image(planted, image_id).shape[:2]
        assert read_mask(planted, image_id).any()


def test_rulers_stay_in_their_box_off_the_lesion_and_small(planted: Casts, bare: Casts) -> None:
    listed = planted.plantings[planted.plantings["source"] == ""].groupby("image_id")
    only_ruler = [image for image, rows in listed if rows["kind"].tolist() == ["ruler"]]
    assert len(only_ruler) > 5
    for image_id in only_ruler:
        numbers = listed.get_group(image_id)["numbers"].iloc[0]
        x, y, width, height = map(int, re.findall(r"\d+", numbers))
        assert width * height <= MOST_RULER_AREA * 64 * 48
        assert not read_mask(bare, image_id)[y : y + height, x : x + width].any()
        change = np.abs(
            read_image(planted, image_id).astype(float) - read_image(bare, image_id)
        ).mean(axis=2)
        # a JPEG's colour blocks are 16 pixels wide: beyond them nothing may change
        near = np.zeros(change.shape, dtype=bool)
        near[max(0, y - 16) : y + height + 16, max(0, x - 16) : x + width + 16] = True
        assert change[y : y + height, x : x + width].mean() > 10 * change[~near].mean()


@pytest.mark.parametrize("n_images", [1, 7])
def test_a_handful_of_images_works(tmp_path: Path, n_images: int) -> None:
    casts = make_casts(tmp_path, n_images=n_images, seed=0, size=SMALL)
    assert len(casts.metadata) == n_images == len(list(tmp_path.glob("*_part_*/*.jpg")))
    assert set(casts.metadata["dx"]) == ({"nv"} if n_images == 1 else set(DIAGNOSES))


def test_the_table_is_the_cohorts(bare: Casts) -> None:
    cohort = draw_cohort(n_images=120, seed=7)
    pd.testing.assert_frame_equal(bare.metadata, cohort[list(METADATA_COLUMNS)])


def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    studio = Studio(folder=tmp_path / "gone", seed=0, size=SMALL, n_first=1)
    shot = Shot(
        image_id="CAST_0000001", number=1, has_hair=False, has_dark_corners=False, has_ruler=False
    )
    with pytest.raises(RunError, match="`folder` must be writable and have room; got 'No such"):
        studio.shoot(Job(lesion=1, diagnosis="nv", shots=(shot,)))


@pytest.mark.parametrize("n_images", [0, -3, 2_000_000])
def test_impossible_numbers_are_refused_before_anything_is_written(
    tmp_path: Path, n_images: int
) -> None:
    with pytest.raises(ConfigError, match=rf"`n_images` must lie in .*got {n_images}\. Ask for"):
        make_casts(tmp_path / "new", n_images=n_images, seed=0)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("size", [(0, 150), (200, 10), (5000, 150), (200,), (200, -150)])
def test_impossible_sizes_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=r"`size` must be a width and a height in \[48, 1024\]"):
        make_casts(tmp_path / "new", n_images=3, seed=0, size=size)
    assert not (tmp_path / "new").exists()


def test_a_ruler_for_an_unknown_diagnosis_is_refused(tmp_path: Path) -> None:
    rulers = (Ruler(diagnosis="mell", share=0.5),)
    with pytest.raises(ConfigError, match=r"got 'mell'\. Did you mean 'mel'"):
        make_casts(tmp_path / "new", n_images=3, seed=0, plantings=rulers)


def test_more_copies_than_images_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must not outnumber the 10 images"):
        make_casts(tmp_path / "new", n_images=10, seed=0, plantings=(NearDuplicates(n_each=2),))
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="`folder` must be new or empty"):
        make_casts(tmp_path, n_images=3, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="`folder` must be new or empty"):
        make_casts(tmp_path / "file", n_images=3, seed=0)
    with pytest.raises(RunError, match="`folder` must be writable; got 'Not a directory'"):
        make_casts(tmp_path / "file" / "below", n_images=3, seed=0)


@pytest.mark.slow
def test_a_thousand_casts_take_less_than_forty_seconds_of_processor(tmp_path: Path) -> None:
    """Forty processor seconds are twenty on two cores, whatever else the machine does."""
    begin = time.process_time()
    make_casts(tmp_path, n_images=1000, seed=0, threads=2)
    assert time.process_time() - begin < 40
