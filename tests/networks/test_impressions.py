import numpy as np
import pytest

from moulage.networks.classifier import InputContract, Recipe, build_classifier
from moulage.networks.impressions import impressions_of, places_of
from moulage.networks.inputs import pixels_to_images
from moulage.networks.machine import Machine
from moulage.networks.registry import Scaling

MACHINE = Machine(device="cpu", precision="float32", threads=1)


def test_impressions_are_the_means_of_the_maps_below_the_next_stages() -> None:
    recipe = Recipe(
        backbone="test_efficientnet",
        head="pooled",
        hidden=(),
        dropout=0.0,
        contract=InputContract(
            size_px=32,
            resize="squash",
            scaling=Scaling(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)),
            diagnoses=("a", "b"),
        ),
    )
    classifier = build_classifier(recipe, seed=1).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    ours = impressions_of(classifier, pixels, machine=MACHINE)
    images = pixels_to_images(pixels, "cpu")
    theirs = [
        classifier.below(images, place + 1).mean(dim=(2, 3)).detach().numpy()
        for place in places_of(len(classifier.stages))
    ]
    np.testing.assert_allclose(ours, np.concatenate(theirs, axis=1), rtol=1e-4, atol=1e-5)
    assert impressions_of(classifier, pixels[:0], machine=MACHINE).shape == (0, ours.shape[1])


@pytest.mark.parametrize("n_stages", range(1, 30))
def test_places_lie_within_the_chain(n_stages: int) -> None:
    places = places_of(n_stages)
    assert list(places) == sorted(set(places))
    assert 0 <= places[0] <= places[-1] < n_stages
