"""What moulage or others wrote where the images lie is no diagnosis and no table of theirs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w

from moulage.data.dataset import open_dataset, read_dataset
from moulage.data.outputs import outputs_of
from moulage.data.sources import open_place
from moulage.errors import DataError
from moulage.files import write_text
from moulage.predictions import Predictions, write_predictions
from moulage.runs.folder import Layout, keep_layout
from moulage.split import Split, write_split
from moulage.surveying.duplicates import pairs_table
from moulage.surveying.labels import suspects_table

Write = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path, write_image: Write) -> Path:
    for grey, name in enumerate(("nevus/a", "nevus/b", "melanoma/c")):
        write_image(tmp_path / f"mine/{name}.jpg", grey=grey)
    return tmp_path / "mine"


def write_outputs(place: Path, write_image: Write) -> None:
    """Leave what commands leave: `survey`, `audit`, `split`, `lr`, `train`, `explain`, `units`,
    `evaluate`, `predict` and `features`."""
    pairs = pairs_table(()).to_csv(index=False, lineterminator="\n")
    write_text(place / "survey/near_duplicates.csv", pairs)
    write_text(place / "survey/survey.html", "<!doctype html>")
    write_text(place / "near_duplicates.csv", pairs)
    suspects = suspects_table(None, ()).to_csv(index=False, lineterminator="\n")
    write_text(place / "suspect_labels.csv", suspects)
    ids = np.array(["a", "b", "c"])
    split = Split(image_ids=ids, lesion_ids=ids, parts=np.array(["train", "test", "test"]))
    write_split(split, place / "split.csv")
    write_split(replace(split, unit="group"), place / "of-groups.csv")
    write_text(place / "learning-rate.csv", "learning_rate,loss,smoothed_loss\n0.1,1,1\n")
    write_image(place / "learning-rate.png")
    write_pictures(place, write_image)
    write_pictures(place / "explained", write_image)
    page = '<!doctype html><meta name="generator" content="moulage">'
    write_text(place / "answers/answers.html", page)
    keep_layout(Layout(experiments=("first",)), place / "runs/study")
    write_image(place / "runs/study/first/explanations/a.png")
    write_predictions(_predictions(split), place / "evaluation/predictions.parquet")
    answers = "path,diagnosis,diagnosis_balanced,set\na.jpg,nevus,melanoma,nevus\n"
    write_text(place / "answers.csv", answers)
    columns = ("image_id", "lesion_id", "diagnosis", "feature_0")
    pq.write_table(pa.table(dict.fromkeys(columns, ids)), place / "features.parquet")
    write_text(place / "features.csv", "image_id,lesion_id,diagnosis\na,a,nevus\n")
    np.save(place / "features.npy", np.zeros((1, 2)))


def write_pictures(place: Path, write_image: Write) -> None:
    """Leave what `explain` and `units` do: numbers, and pictures beside them."""
    keys = ("run", "study", "diagnoses", "manner", "shortcuts", "images", "source", "left_out")
    write_text(place / "explanations.json", json.dumps(dict.fromkeys(keys)))
    write_image(place / "explanations/a.png", grey=1)
    write_image(place / "explanations/of-an-earlier-call.png", grey=2)
    keys = ("run", "study", "diagnoses", "n_validation", "units", "map", "alike", "duplicates")
    write_text(place / "units.json", json.dumps(dict.fromkeys(keys)))
    write_image(place / "units-pca.png", grey=3)


def _predictions(split: Split) -> Predictions:
    return Predictions(
        image_ids=split.image_ids,
        lesion_ids=split.lesion_ids,
        parts=split.parts,
        labels=np.array([0, 0, 1]),
        logits=np.zeros((3, 2), dtype=np.float32),
        diagnoses=("nevus", "melanoma"),
        prior=np.array([0.5, 0.5]),
    )


def test_outputs_of_ours_are_no_diagnoses(place: Path, write_image: Write) -> None:
    alone = open_dataset(place)
    write_outputs(place, write_image)
    beside = open_dataset(place)
    assert beside.catalogue.codes == ("melanoma", "nevus")
    assert beside.catalogue.digest == alone.catalogue.digest
    assert beside.notes == alone.notes


def test_outputs_of_ours_are_no_second_table(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "mine/a.jpg")
    (tmp_path / "mine/labels.csv").write_text("Photo,Label,Patient\na,mel,P\n")
    columns = {"image_id": "Photo", "diagnosis": "Label", "group": "Patient"}
    alone = open_dataset(tmp_path / "mine", columns=columns)
    write_outputs(tmp_path / "mine", write_image)
    beside = open_dataset(tmp_path / "mine", columns=columns)
    assert beside.catalogue.digest == alone.catalogue.digest
    assert beside.notes == alone.notes == ()


def test_a_diagnosis_may_be_called_as_an_output_is(place: Path, write_image: Write) -> None:
    for name in ("survey", "runs"):
        write_image(place / f"{name}/{name}.jpg")
    assert read_dataset(place).codes == ("melanoma", "nevus", "runs", "survey")
    write_outputs(place, write_image)
    catalogue = read_dataset(place)
    assert catalogue.codes == ("melanoma", "nevus", "runs", "survey")
    assert sorted(catalogue.image_ids) == ["a", "b", "c", "runs", "survey"]


def test_an_empty_folder_called_survey_is_an_empty_diagnosis(place: Path) -> None:
    (place / "survey").mkdir()
    (place / "survey/survey.html").write_text("somebody else's")
    with pytest.raises(DataError, match=r"must have an image; got 1 without \(survey\)"):
        read_dataset(place)


def test_a_run_that_was_copied_out_of_its_study_is_known(place: Path, write_image: Write) -> None:
    run = place / "kept/first-seed0"
    write_image(run / "units-pca.png")
    write_text(run / "study.toml", tomli_w.dumps({"resolved": {"threads": 1}}))
    assert outputs_of(open_place(place)) == frozenset()
    pq.write_table(pa.table({"image_id": ["a"]}), run / "catalogue.parquet")
    assert read_dataset(place).codes == ("melanoma", "nevus")


def test_pictures_are_ours_by_the_numbers_beside_them_not_by_their_names(
    place: Path, write_image: Write
) -> None:
    for name in ("explanations/a", "units-pca", "explanations/deep/a", "lr"):
        write_image(place / f"theirs/{name}.png")
    for name in ("explanations.json", "units.json", "lr.csv"):
        write_text(place / "theirs" / name, '{"run": 1}')
    assert outputs_of(open_place(place)) == frozenset()
    write_text(place / "theirs/lr.csv", "learning_rate,loss,smoothed_loss\n")
    write_pictures(place / "theirs", write_image)
    assert outputs_of(open_place(place)) == {
        *("theirs/explanations/a.png", "theirs/explanations/of-an-earlier-call.png"),
        *("theirs/units-pca.png", "theirs/lr.csv", "theirs/lr.png"),
    }


def test_files_of_others_are_left_as_they_are(place: Path) -> None:
    (place / "study.toml").write_text("[resolved]\n")
    (place / "study.json").write_text(json.dumps({"experiments": [], "not_run": []}))
    (place / "catalogue.parquet").write_bytes(b"no Parquet")
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"experiments": 1}')):
        (place / name).mkdir()
        (place / name / "study.json").write_text(text)
    (place / "labels.csv").write_text("image_id,lesion_id,part,diagnosis\na,A,back,nv\n")
    assert outputs_of(open_place(place)) == frozenset()


def test_a_table_that_is_asked_for_by_name_is_read_whatever_it_is(place: Path) -> None:
    ids = np.array(["a", "b", "c"])
    parts = np.array(["train", "test", "test"])
    write_split(
        Split(image_ids=ids, lesion_ids=np.array(["A", "A", "C"]), parts=parts),
        place / "split.csv",
    )
    assert read_dataset(place, table="split.csv", kind="folders").lesion_ids.tolist() == [
        *("C", "A", "A")
    ]


def test_pictures_of_a_kind_that_is_not_read_are_told(place: Path, write_image: Write) -> None:
    for name in ("melanoma/y.GIF", "melanoma/.hidden.gif", "melanoma/notes.txt", "nevus/scan"):
        (place / name).touch()
    (place / "elsewhere.gif").touch()
    keep_layout(Layout(experiments=("first",)), place / "nevus/study")
    (place / "nevus/study/weights.pt").touch()
    note, *_ = open_dataset(place).notes
    assert note.startswith("2 files beside the images are no images that can be read (melanoma/y.G")
    assert note.endswith("convert pictures to PNG or JPEG.")


def test_a_diagnosis_of_unread_pictures_only_is_told_with_the_fault(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (place / "wart").mkdir()
    (place / "wart/a.heic").touch()
    with pytest.raises(DataError, match=r"must have an image; got 1 without \(wart\)"):
        read_dataset(place)
    assert "1 file beside the images is no image that can be read (wart/a.heic)" in caplog.text
