from collections.abc import Callable

import numpy as np
import pytest
import torch

from moulage.errors import ConfigError
from moulage.networks.classifier import Classifier, build_classifier
from moulage.networks.gradcam import contribution_maps

DIAGNOSES = np.array([0, 2, 1])


def last_maps(classifier: Classifier) -> torch.Tensor:
    shape = {"flatten": (3, 1280, 2, 2), "pooled": (3, 1280, 2, 2)}[classifier.recipe.head]
    return torch.rand(shape, generator=torch.Generator().manual_seed(42))


def logits_of(classifier: Classifier, maps: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        logits = classifier.logits(maps, boundary=len(classifier.stages)).numpy()
    return logits[np.arange(3), DIAGNOSES]


@pytest.mark.parametrize("head", ["flatten", "pooled"])
def test_contributions_sum_to_the_logit_of_a_head_without_hidden_layer(
    head: str, recipe_of: Callable
) -> None:
    classifier = build_classifier(recipe_of("mobilenetv2_100", head=head, hidden=()), seed=1).eval()
    maps = last_maps(classifier)
    found = contribution_maps(classifier, maps, diagnoses=DIAGNOSES)
    expected = logits_of(classifier, maps) - logits_of(classifier, 0 * maps)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), expected, rtol=1e-4, atol=1e-5)


def test_a_pooling_head_has_the_map_of_the_mean_gradient(recipe_of: Callable) -> None:
    classifier = build_classifier(recipe_of("mobilenetv2_100", hidden=(8,)), seed=1).eval()
    maps = last_maps(classifier).requires_grad_()
    logits = classifier.logits(maps, boundary=len(classifier.stages))
    (slopes,) = torch.autograd.grad(logits[np.arange(3), DIAGNOSES].sum(), maps)
    usual = (slopes.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).detach().numpy()
    found = contribution_maps(classifier, maps, diagnoses=DIAGNOSES)
    np.testing.assert_allclose(found, usual, rtol=1e-4, atol=1e-6)


def test_a_place_that_is_silent_contributes_nothing(recipe_of: Callable) -> None:
    classifier = build_classifier(recipe_of("mobilenetv2_100", head="flatten"), seed=1)
    maps = last_maps(classifier)
    maps[:, :, 0, 1] = 0
    found = contribution_maps(classifier, maps, diagnoses=DIAGNOSES)
    assert (found[:, 0, 1] == 0).all()
    assert (found[:, 1] != 0).all()


def test_a_diagnosis_that_does_not_exist_is_refused(classifier: Classifier) -> None:
    with pytest.raises(ConfigError, match=r"`diagnoses` must lie in \[0, 3\); got \[0, 3, 0\]"):
        contribution_maps(classifier, last_maps(classifier), diagnoses=np.array([0, 3, 0]))
