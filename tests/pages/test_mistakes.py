"""The worst mistakes, against a sort written out by hand."""

import base64
from dataclasses import replace

import cv2
import numpy as np

from moulage.pages.mistakes import data_uri, worst_mistakes
from moulage.pages.records import RunRecord
from moulage.predictions import Predictions


def test_the_surest_wrong_test_images_come_first(run: RunRecord) -> None:
    predictions = run.predictions
    probabilities = predictions.probabilities()
    wrong = [
        (-probabilities[row].max(), predictions.image_ids[row])
        for row in range(len(predictions))
        if predictions.parts[row] == "test"
        and probabilities[row].argmax() != predictions.labels[row]
    ]
    found = worst_mistakes(predictions)
    assert [mistake.image_id for mistake in found] == [name for _, name in sorted(wrong)[:10]]
    assert [-mistake.probability for mistake in found] == [p for p, _ in sorted(wrong)[:10]]


def test_truth_and_prediction_are_codes_of_the_row(run: RunRecord) -> None:
    predictions = run.predictions
    for mistake in worst_mistakes(predictions, most=3):
        row = int(np.flatnonzero(predictions.image_ids == mistake.image_id)[0])
        assert predictions.diagnoses[predictions.labels[row]] == mistake.truth
        assert predictions.diagnoses[predictions.logits[row].argmax()] == mistake.prediction


def test_ties_go_by_image_id_whatever_the_rows_order() -> None:
    predictions = Predictions(
        image_ids=np.array(["b", "a", "c"]),
        lesion_ids=np.array(["1", "2", "3"]),
        parts=np.array(["test"] * 3),
        labels=np.zeros(3, dtype=np.int64),
        logits=np.tile(np.float32([0, 1]), (3, 1)),
        diagnoses=("nv", "mel"),
        prior=np.array([0.5, 0.5]),
    )
    assert [mistake.image_id for mistake in worst_mistakes(predictions)] == ["a", "b", "c"]


def test_a_perfect_classifier_has_no_mistakes(run: RunRecord) -> None:
    perfect = np.eye(7, dtype=np.float32)[run.predictions.labels]
    assert worst_mistakes(replace(run.predictions, logits=perfect)) == ()


def test_a_picture_survives_its_way_into_the_page() -> None:
    pixels = np.zeros((16, 24, 3), dtype=np.uint8)
    pixels[..., 0] = 200  # red: a swap of channels would show
    uri = data_uri(pixels)
    kind, _, jpeg = uri.partition(",")
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(jpeg), np.uint8), cv2.IMREAD_COLOR)
    assert kind == "data:image/jpeg;base64"
    assert np.abs(decoded[..., ::-1].astype(int) - pixels).max() <= 6  # JPEG is lossy
