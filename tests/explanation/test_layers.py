import json

import numpy as np
import pytest

from moulage.explanation.layers import HiddenLayer, Images, describe_layer

N_UNITS = 6


def part(n_images: int, seed: int) -> Images:
    """Two diagnoses: unit 0 is active for the second one, unit 1 is dead, 5 repeats 4."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_images) % 2
    activations = rng.random((n_images, N_UNITS))
    activations[:, 0] += labels
    activations[:, 1] = 0
    activations[:, 5] = 2 * activations[:, 4]
    names = [f"{seed}-{number}" for number in range(n_images)]
    return Images(
        image_ids=np.array(names),
        lesion_ids=np.array([f"lesion-{name}" for name in names]),
        labels=labels,
        activations=activations,
    )


@pytest.fixture(scope="module")
def layer() -> HiddenLayer:
    test = part(20, 3)
    return describe_layer(
        run="a run",
        study="a study",
        origin="a layer",
        diagnoses=("mel", "nv"),
        train=part(30, 1),
        validation=part(40, 2),
        test=test,
        decided=1 - test.labels,
        asked=np.array([4, 7]),
    )


def test_the_unit_that_tells_a_diagnosis_comes_first_active_or_silent(layer: HiddenLayer) -> None:
    assert layer.best(0, 1).tolist() == layer.best(1, 1).tolist() == [0]
    assert layer.units.areas[0, 0] == pytest.approx(1 - layer.units.areas[0, 1])
    assert layer.units.areas[0, 1] > 0.95


def test_a_page_needs_pictures_of_exciting_asked_and_near_images(layer: HiddenLayer) -> None:
    shown = layer.shown(1)
    assert set(layer.validation.image_ids[layer.units.exciting[0]]) <= shown
    assert {"3-4", "3-7"} <= shown
    assert {str(layer.train.image_ids[row]) for row in layer.alike.rows.ravel()} <= shown
    assert len(shown) == 9 + 2 + len(np.unique(layer.alike.rows))


def test_plain_values_name_every_unit_image_and_neighbour(layer: HiddenLayer) -> None:
    content = json.loads(json.dumps(layer.as_dict()))
    assert [unit["is_dead"] for unit in content["units"]] == [False, True, *[False] * 4]
    assert content["duplicates"] == [[4, 5]]
    assert content["map"][3]["truth"] == "nv"
    assert content["map"][3]["decided"] == "mel"
    assert len(content["map"][3]["tsne"]) == 2
    near = content["alike"][0]["nearest"]
    assert [one["distance"] for one in near] == sorted(one["distance"] for one in near)
    assert len(near) == 6
