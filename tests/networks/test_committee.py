import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from moulage.errors import ConfigError
from moulage.networks.classifier import Classifier, InputContract, Recipe, build_classifier
from moulage.networks.committee import committee_of, first_of, rebuild
from moulage.networks.inputs import pixels_to_images
from moulage.networks.registry import Scaling
from moulage.views import N_VIEWS, apply_view

CONTRACT = InputContract(
    size_px=32,
    resize="squash",
    scaling=Scaling(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)),
    diagnoses=("a", "b", "c"),
)
RECIPE = Recipe(
    backbone="test_efficientnet", head="pooled", hidden=(), dropout=0.5, contract=CONTRACT
)
EIGHT = replace(RECIPE, views=tuple(range(N_VIEWS)))


def built(recipe: Recipe = RECIPE, seed: int = 0) -> Classifier:
    return build_classifier(recipe, seed=seed).eval()


def images() -> torch.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    return pixels_to_images(pixels, "cpu")


@torch.inference_mode()
def test_an_answer_is_the_mean_over_the_eight_views() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    classifier = built(EIGHT)
    each = [
        classifier.logits(pixels_to_images(apply_view(pixels, view), "cpu"))
        for view in range(N_VIEWS)
    ]
    torch.testing.assert_close(classifier.answer(images()), torch.stack(each).mean(dim=0))
    turned = pixels_to_images(apply_view(pixels, 5), "cpu")
    torch.testing.assert_close(classifier.answer(turned), classifier.answer(images()))
    plain = built()
    assert torch.equal(plain.answer(images()), plain.logits(images()))


def test_views_and_members_are_part_of_the_digest_and_plain_ones_keep_theirs() -> None:
    assert built().digest() != built(EIGHT).digest()
    old = hashlib.sha256(
        "Recipe(backbone='test_efficientnet', head='pooled', hidden=(), dropout=0.5, "
        f"contract={CONTRACT!r})".encode()
    )
    assert hashlib.sha256(repr(RECIPE).encode()).digest() == old.digest()


@torch.inference_mode()
def test_a_committee_answers_with_the_mean_log_probability() -> None:
    members = [built(seed=1), built(EIGHT, seed=2)]
    together = committee_of(members, [2.0, 0.5]).eval()
    logs = [
        torch.log_softmax(member.answer(images()) / temperature, dim=1)
        for member, temperature in zip(members, (2.0, 0.5), strict=True)
    ]
    torch.testing.assert_close(together.answer(images()), torch.stack(logs).mean(dim=0))
    assert first_of(together) is members[0]
    assert first_of(members[0]) is members[0]
    again = rebuild(together.recipe)
    again.load_state_dict(together.state_dict())
    assert again.digest() == together.digest()
    torch.testing.assert_close(again.eval().answer(images()), together.answer(images()))


def test_members_of_other_sizes_are_refused() -> None:
    other = replace(RECIPE, contract=replace(CONTRACT, size_px=64))
    with pytest.raises(ConfigError, match="must share size, resize rule and diagnoses"):
        committee_of([built(), built(other)], [1.0, 1.0])
