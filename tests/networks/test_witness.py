import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from moulage.errors import ShapeError
from moulage.networks.classifier import Classifier
from moulage.networks.committee import committee_of
from moulage.networks.gradcam import contribution_maps
from moulage.networks.inputs import pixels_to_bytes, pixels_to_images
from moulage.networks.machine import Machine
from moulage.networks.saved import Saved
from moulage.networks.witness import Witness, call_witness
from moulage.training.loop import answers_of

MACHINE = Machine(device="cpu", precision="float32", threads=1)
HALF = replace(MACHINE, precision="bfloat16")


def witness_of(
    classifier: Classifier, temperature: float = 1.0, machine: Machine = MACHINE
) -> Witness:
    saved = Saved(classifier=classifier, prior=np.full(3, 1 / 3), temperature=temperature)
    return call_witness(saved, machine, n_random_heads=2)


def test_probabilities_are_those_of_the_logits_after_temperature(
    classifier: Classifier, pixels: NDArray[np.uint8]
) -> None:
    with torch.inference_mode():
        logits = classifier.logits(pixels_to_images(pixels, "cpu")).double() / 1.7
    found = witness_of(classifier, temperature=1.7).classify(pixels)
    np.testing.assert_allclose(found, torch.softmax(logits, dim=1).numpy(), rtol=1e-4)


def test_random_heads_stand_beside_the_learned_one_and_are_the_same_every_time(
    classifier: Classifier, pixels: NDArray[np.uint8]
) -> None:
    witness = witness_of(classifier)
    found = witness.classify_with_random_heads(pixels)
    assert found.shape == (5, 9)
    np.testing.assert_allclose(found[:, :3], witness.classify(pixels), rtol=1e-4)
    np.testing.assert_allclose(found.reshape(5, 3, 3).sum(axis=2), 1, rtol=1e-6)
    assert np.abs(found[:, 3:6] - found[:, 6:]).max() > 0.01
    again = witness_of(classifier).classify_with_random_heads(pixels)
    np.testing.assert_array_equal(found, again)


def test_hidden_units_are_what_the_next_layer_reads(
    classifier: Classifier, pixels: NDArray[np.uint8]
) -> None:
    hidden = witness_of(classifier).hidden(pixels)
    assert hidden.shape == (5, 16)
    assert (hidden >= 0).all()
    with torch.inference_mode():
        above = torch.nn.Sequential(*list(classifier.head)[-2:])  # BatchNorm, dense
        logits = above(torch.from_numpy(hidden).float()) + classifier.prior_shift
        expected = classifier.logits(pixels_to_images(pixels, "cpu"))
    np.testing.assert_allclose(logits.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_contributions_are_a_map_an_image(
    classifier: Classifier, pixels: NDArray[np.uint8]
) -> None:
    found = witness_of(classifier).contributions(pixels, np.array([0, 1, 2, 0, 1]))
    assert found.shape == (5, 2, 2)
    assert np.isfinite(found).all()


def test_pixels_of_another_size_are_refused(classifier: Classifier) -> None:
    with pytest.raises(ShapeError, match=r"must have shape \(n, 64, 64, 3\) with n ≥ 1"):
        witness_of(classifier).classify(np.zeros((1, 32, 32, 3), np.uint8))


def test_a_committee_has_no_random_heads_and_shows_its_first_member(
    classifier: Classifier, pixels: NDArray[np.uint8]
) -> None:
    alone = witness_of(classifier)
    together = witness_of(committee_of([classifier, copy.deepcopy(classifier)], [1.0, 1.0]))
    found = together.classify_with_random_heads(pixels)
    np.testing.assert_allclose(found, alone.classify(pixels), rtol=1e-4)
    np.testing.assert_array_equal(together.hidden(pixels), alone.hidden(pixels))
    which = np.zeros(5, dtype=np.int64)
    np.testing.assert_array_equal(
        together.contributions(pixels, which), alone.contributions(pixels, which)
    )


def test_answers_average_the_views_of_the_recipe(
    classifier: Classifier, pixels: NDArray[np.uint8]
) -> None:
    classifier.recipe = replace(classifier.recipe, views=tuple(range(8)))
    with torch.inference_mode():
        logits = classifier.answer(pixels_to_images(pixels, "cpu")).double()
    found = witness_of(classifier).classify(pixels)
    np.testing.assert_allclose(found, torch.softmax(logits, dim=1).numpy(), rtol=1e-4)


@pytest.mark.parametrize("machine", [MACHINE, HALF], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("views", [(0,), tuple(range(8))])
def test_answers_are_those_of_the_folded_classifier_whatever_the_batch(
    classifier: Classifier, pixels: NDArray[np.uint8], machine: Machine, views: tuple[int, ...]
) -> None:
    classifier.recipe = replace(classifier.recipe, views=views)
    answered = answers_of(classifier, pixels, machine=machine).astype(np.float64)
    witness = witness_of(classifier, machine=machine)
    together = witness.classify_with_random_heads(pixels)[:, :3]
    np.testing.assert_allclose(together, softmax(answered, axis=1), rtol=0, atol=1e-6)
    alone = np.concatenate([witness.classify(one[None]) for one in pixels])
    # Sums in another order: the last of bfloat16's 8 bits may differ at a place of the maps.
    tolerance = 1e-5 if machine is MACHINE else 1e-4
    np.testing.assert_allclose(alone, together, rtol=0, atol=tolerance)


def test_contributions_are_to_the_maps_that_answer(
    classifier: Classifier, pixels: NDArray[np.uint8]
) -> None:
    witness, which = witness_of(classifier, machine=HALF), np.array([0, 1, 2, 0, 1])
    with torch.inference_mode(), HALF.computing():
        maps = witness.engine.below(pixels_to_bytes(pixels, "cpu"), len(classifier.stages))
    expected = contribution_maps(classifier, maps, diagnoses=which)
    np.testing.assert_array_equal(witness.contributions(pixels, which), expected)
