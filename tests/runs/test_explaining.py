"""Explaining a finished run: a sample of its own casts, and files of other sizes."""

import html
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from moulage import actions
from moulage.catalogue import Catalogue, read_catalogue, write_catalogue
from moulage.data.dataset import read_dataset
from moulage.data.decoding import list_image_files
from moulage.data.pixels import build_pixels
from moulage.dossier import first_notes
from moulage.errors import ConfigError, DataError, ImageError
from moulage.networks import machine
from moulage.runs import explaining
from moulage.runs.explaining import Chosen, _source, draw_rows, open_witness
from moulage.runs.folder import RunFolder, open_run
from moulage.runs.trust import read_trust
from moulage.split import Split, positions, read_split, write_split
from moulage.splits.leakage import train_on_test

from .conftest import STUDY

QUICK = {"n_segments": 4, "method": "exact"}


@pytest.fixture(scope="module")
def run(casts: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Return a finished run on sixty casts."""
    folder = tmp_path_factory.mktemp("explained")
    (folder / "study.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOULAGE_CACHE", str(folder / "cache"))
        patch.setenv("MOULAGE_DATA", str(folder / "data"))
        outcome = actions.train(folder / "study.toml", data=casts, out=folder / "runs")
    return outcome.finished[0]


def test_a_sample_is_drawn_evenly_over_diagnoses_from_its_part_alone(run: RunFolder) -> None:
    catalogue = read_catalogue(run.path / "catalogue.parquet")
    split = read_split(run.path / "split.csv")
    rows = draw_rows(run, catalogue, Chosen(part="train", sample=10))
    trained = positions(split, catalogue.image_ids)[split.rows_of("train")]
    counts = np.bincount(catalogue.labels[rows], minlength=7)
    assert set(rows) <= set(trained)
    assert len(rows) == 10
    available = np.bincount(catalogue.labels[trained], minlength=7)
    assert (counts >= np.minimum(available, 1)).all()
    np.testing.assert_array_equal(rows, draw_rows(run, catalogue, Chosen(part="train", sample=10)))


def resplit(run: RunFolder, there: Path, split: Split) -> None:
    """Write another split into a folder, and the run's study file that states it."""
    stated = (run.path / "study.toml").read_text().replace(run.split().digest, split.digest)
    (there / "study.toml").write_text(stated)
    write_split(split, there / "split.csv")


@pytest.fixture
def crowded(run: RunFolder, tmp_path: Path) -> tuple[RunFolder, Catalogue]:
    """Return five test lesions: one of 36 photographs, four of one each, all of one diagnosis."""
    catalogue = read_catalogue(run.path / "catalogue.parquet").take(np.arange(40))
    lesions = np.array(["L0"] * 36 + ["L1", "L2", "L3", "L4"])
    frame = catalogue.frame.assign(lesion_id=lesions, diagnosis="nv")
    split = Split(image_ids=catalogue.image_ids, lesion_ids=lesions, parts=np.full(40, "test"))
    resplit(run, tmp_path, split)
    return RunFolder(path=tmp_path), replace(catalogue, frame=frame)


@pytest.mark.parametrize("seed", range(5))
def test_a_lesion_is_drawn_by_one_of_its_photographs(
    crowded: tuple[RunFolder, Catalogue], seed: int
) -> None:
    run, catalogue = crowded
    rows = draw_rows(run, catalogue, Chosen(sample=50, seed=seed))
    assert catalogue.lesion_ids[rows].tolist() == ["L0", "L1", "L2", "L3", "L4"]
    np.testing.assert_array_equal(rows, draw_rows(run, catalogue, Chosen(sample=50, seed=seed)))


def test_many_photographs_make_a_lesion_no_likelier(
    crowded: tuple[RunFolder, Catalogue],
) -> None:
    run, catalogue = crowded
    first = [draw_rows(run, catalogue, Chosen(sample=1, seed=seed))[0] for seed in range(200)]
    n_crowded = sum(catalogue.lesion_ids[row] == "L0" for row in first)
    assert 20 < n_crowded < 60  # a fifth of 200 is 40; by image it would be 180
    assert len({row for row in first if row < 36}) > 10


def test_pages_numbers_and_pictures_are_written(run: RunFolder, tmp_path: Path) -> None:
    casebook = actions.explain(run.path, sample=2, diagnosis="mel", out=tmp_path, **QUICK)
    content = json.loads((tmp_path / "explanations.json").read_text())
    page = (tmp_path / "explanations.html").read_text()
    assert [image["diagnosis"] for image in content["images"]] == ["mel", "mel"]
    for case, image in zip(casebook.cases, content["images"], strict=True):
        assert len(image["superpixels"]) == 4
        assert case.image_id in page
        assert f"explained: mel, probability {image['probability']:.3f}; truth: " in page
        sheet = cv2.imread(str(tmp_path / "explanations" / f"{case.image_id}.png"))
        assert sheet is not None
        assert sheet.shape == (256, 5 * 256, 3)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "The images are drawn from the test part: one photograph a lesion, as evenly" in page


def test_what_is_written_into_a_data_set_is_no_part_of_it(
    run: RunFolder, casts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(casts, tmp_path / "casts")
    alone = read_dataset(tmp_path / "casts")
    images = list_image_files([tmp_path / "casts"])
    assert "drew" not in caplog.text
    for out in (tmp_path / "casts", tmp_path / "casts/A_explained"):
        actions.explain(run.path, sample=2, out=out, **QUICK)
        actions.units(run.path, out=out)
    first = next((casts / "HAM10000_images_part_1").glob("*.jpg"))
    actions.predict(run.path, [first], page=tmp_path / "casts/answers/answers.html")
    beside = read_dataset(tmp_path / "casts")
    assert beside.digest == alone.digest
    assert beside.frame["path"].tolist() == alone.frame["path"].tolist()
    assert list_image_files([tmp_path / "casts"]) == images
    assert "8 images are pictures that moulage drew (A_explained/explanations/" in caplog.text


def test_where_no_lesion_is_known_none_is_said_to_be_drawn(run: RunFolder) -> None:
    split = read_split(run.path / "split.csv")
    assert not split.is_blind
    alone = replace(split, lesion_ids=split.image_ids)
    assert "images of unknown lesions" in _source(alone, Chosen())
    assert "photograph" not in _source(alone, Chosen())


def test_a_run_under_a_leaky_split_has_a_first_note(
    run: RunFolder, casts: Path, tmp_path: Path
) -> None:
    there = RunFolder(path=tmp_path / "leaky")
    shutil.copytree(run.path, there.path)
    resplit(run, there.path, train_on_test(run.split()))
    (said,) = first_notes(there)
    assert "show a lesion that was trained on" in said
    assert said in actions.trust(there.path).read_text()
    assert all(said in page.read_text() for page in actions.card(there.path))
    actions.predict(there.path, [next(casts.rglob("*.jpg"))], page=tmp_path / "answers.html")
    assert said in (tmp_path / "answers.html").read_text()
    actions.explain(there.path, sample=1, **QUICK)
    actions.units(there.path)
    assert said in (there.path / "explanations.html").read_text()
    assert said in (there.path / "units.html").read_text()
    assert first_notes(run) == ()


def test_the_page_of_answers_names_what_the_run_had_too_few_lesions_of(
    run: RunFolder, casts: Path, tmp_path: Path
) -> None:
    image, page = next(casts.rglob("*.jpg")), tmp_path / "answers.html"
    actions.predict(run.path, [image], page=page)
    fitted = read_trust(run.path)
    assert fitted is not None
    always, counts = fitted.fitted().always, fitted.fitted().n_lesions
    assert always
    names = {one.code: one.name for one in read_catalogue(run.path / "catalogue.parquet").diagnoses}
    said = html.unescape(page.read_text())
    for code in always:
        assert f"{names[code]} ({counts[code]} lesion" in said
    assert "for which it takes 9 lesions of each at the 90 % level" in said
    assert fitted.note in said


def test_named_images_bring_no_outline_so_nothing_is_found_beside_it(
    run: RunFolder, casts: Path, tmp_path: Path
) -> None:
    image = next(casts.rglob("*.jpg"))
    casebook = actions.explain(run.path, [image, image], out=tmp_path, **QUICK)
    assert casebook.findings() == ()
    assert "The images are those that were named." in (tmp_path / "explanations.html").read_text()


def test_large_and_grey_files_are_explained_at_the_classifiers_size(
    run: RunFolder, tmp_path: Path
) -> None:
    rng = np.random.default_rng(42)
    shade = rng.integers(0, 256, (40, 60)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "large.jpg"), cv2.resize(shade, (6000, 4000)))
    cv2.imwrite(str(tmp_path / "even.png"), np.full((50, 70, 3), 90, np.uint8))
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    casebook = actions.explain(run.path, [tmp_path], out=tmp_path / "out", **QUICK)
    assert [case.image_id for case in casebook.cases] == ["even", "large"]
    assert all(case.pixels.shape == (32, 32, 3) for case in casebook.cases)
    assert len(casebook.left_out) == 1
    assert "torn.jpg" in casebook.left_out[0]
    assert "there is nothing to explain" in casebook.cases[0].examination.doubts[0]


def test_a_run_in_bfloat16_answers_in_float32_where_there_are_no_units_for_it(
    run: RunFolder,
    casts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    there = RunFolder(path=tmp_path / "carried")
    shutil.copytree(run.path, there.path)
    study = (there.path / "study.toml").read_text()
    as_trained = 'precision = "float32"\nthreads'
    assert as_trained in study
    changed = study.replace(as_trained, 'precision = "bfloat16"\nthreads')
    (there.path / "study.toml").write_text(changed)
    image = next(casts.rglob("*.jpg"))
    monkeypatch.setattr(machine, "_has_bfloat16_units", lambda device: False)
    answers = actions.predict(there.path, [image])
    pd.testing.assert_frame_equal(answers.table, actions.predict(run.path, [image]).table)
    assert "float32 answers" in caplog.text
    assert open_witness(there).machine.precision == "float32"


def test_words_that_name_nothing_are_refused(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`--diagnosis` must be one of .*; got 'mell'.*'mel'"):
        actions.explain(run.path, diagnosis="mell", out=tmp_path)
    with pytest.raises(ConfigError, match=r"\(train, validation, test\); got 'calibration'\."):
        actions.explain(run.path, part="calibration", out=tmp_path)
    with pytest.raises(ConfigError, match="`--sample` must be at least 1; got 0"):
        actions.explain(run.path, sample=0, out=tmp_path)
    with pytest.raises(ConfigError, match="`--covariates` must go with images that are named"):
        actions.explain(run.path, covariates=tmp_path / "no.csv", out=tmp_path)
    (tmp_path / "torn.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"At least one image must be readable; got .*torn\.jpg"):
        actions.explain(run.path, [tmp_path / "torn.jpg"], out=tmp_path)
    assert open_run(run.path).is_finished


def test_a_damaged_mask_is_left_out_and_named(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(*_: Any, **__: Any) -> Any:
        raise ImageError("truncated", "An image file must be whole; got none.")

    monkeypatch.setattr(explaining, "read_mask", torn)
    monkeypatch.setattr(explaining, "find_masks", lambda found: dict.fromkeys(found.image_ids, "m"))
    casebook = actions.explain(run.path, sample=1, out=tmp_path, **QUICK)
    assert casebook.cases[0].lesion is None
    assert casebook.left_out == ("The mask m was left out: An image file must be whole; got none.",)


def test_a_mask_without_lesion_is_left_out_and_makes_no_shortcuts(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "read_mask", lambda *_, **__: np.zeros((32, 32), dtype=bool))
    casebook = actions.explain(run.path, sample=1, out=tmp_path, **QUICK)
    assert casebook.findings() == ()
    (said,) = casebook.left_out
    assert said.endswith(
        "_segmentation.png was left out: A mask must have a pixel of lesion; got none at 32 pixels "
        "a side. Outline the lesion in white."
    )


def test_the_fill_of_the_data_set_is_the_mean_colour_of_training(
    run: RunFolder, casts: Path, tmp_path: Path
) -> None:
    catalogue = read_catalogue(run.path / "catalogue.parquet")
    split = read_split(run.path / "split.csv")
    trained = positions(split, catalogue.image_ids)[split.rows_of("train")]
    pixels = build_pixels(catalogue, size_px=32, resize="squash").array[trained]
    image = next(casts.rglob("*.jpg"))
    casebook = actions.explain(run.path, [image], fill="dataset", out=tmp_path, **QUICK)
    assert casebook.manner.colour == pytest.approx(pixels.mean(axis=(0, 1, 2)))
    covered = casebook.cases[0].examination.covered
    assert (covered == np.round(casebook.manner.colour)).all()
    assert (
        "replaced by the mean colour of the training images"
        in (tmp_path / "explanations.html").read_text()
    )


def test_where_a_runs_images_no_longer_lie_is_told(run: RunFolder, tmp_path: Path) -> None:
    moved = RunFolder(path=tmp_path / "moved")
    shutil.copytree(run.path, moved.path)
    catalogue = read_catalogue(moved.path / "catalogue.parquet")
    gone = replace(catalogue, root=tmp_path / "gone")
    write_catalogue(gone, moved.path / "catalogue.parquet")
    named = partial(actions.explain, images=[tmp_path / "any.jpg"], fill="dataset")
    for act in (actions.explain, actions.units, named):
        with pytest.raises(DataError, match=r"must lie where they lay .* got no folder at .*gone"):
            act(moved.path)


def test_pictures_stay_in_their_folder_whatever_an_image_is_called(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    casebook = actions.explain(run.path, sample=1, out=tmp_path / "a", **QUICK)
    case = replace(casebook.cases[0], image_id=str(tmp_path / "photograph"))
    told = replace(casebook, cases=(case,))
    monkeypatch.setattr(explaining, "explain_run", lambda *_, **__: told)
    actions.explain(run.path, out=tmp_path / "b")
    assert not (tmp_path / "photograph.png").exists()
    assert len(list((tmp_path / "b" / "explanations").glob("*photograph.png"))) == 1


def test_pictures_are_named_in_any_script_and_at_any_length(
    run: RunFolder, casts: Path, tmp_path: Path
) -> None:
    short, long = "Дерматоскопия меланоцитарный невус пациент Иванова 2023", "痣" * 80
    for name in (short, long):
        shutil.copy(next(casts.rglob("*.jpg")), tmp_path / f"{name}.jpg")
    actions.explain(run.path, [tmp_path], out=tmp_path / "out", **QUICK)
    names = sorted(path.name for path in (tmp_path / "out" / "explanations").iterdir())
    assert names[0] == f"{short}.png"
    assert names[1].startswith("痣" * 55 + "-")
    assert len(names[1].encode()) <= 204


def test_units_are_characterised_on_the_runs_own_images(run: RunFolder, tmp_path: Path) -> None:
    layer = actions.units(run.path, out=tmp_path)
    catalogue = read_catalogue(run.path / "catalogue.parquet")
    lesions = dict(zip(catalogue.image_ids, catalogue.lesion_ids, strict=True))
    content = json.loads((tmp_path / "units.json").read_text())
    assert len(content["units"]) == 4
    assert len(content["map"]) == len(layer.test.labels) > 0
    for case in content["alike"]:
        near = [lesions[one["image_id"]] for one in case["nearest"]]
        assert lesions[case["image_id"]] not in near
        assert len(set(near)) == len(near)
    assert "Cases like this one" in (tmp_path / "units.html").read_text()
    assert {"units-pca.png", "units-tsne.png"} <= {path.name for path in tmp_path.iterdir()}
