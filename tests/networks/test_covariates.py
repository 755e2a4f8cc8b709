"""What stands beside the image: encoded by hand, counted, carried through heads and committees."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from moulage.covariates import (
    encode_covariates,
    fit_covariates,
    unknown_in_words,
    width_of,
)
from moulage.errors import ConfigError, DataError
from moulage.networks.classifier import Classifier, Recipe, build_classifier
from moulage.networks.committee import committee_of
from moulage.networks.gradcam import contribution_maps
from moulage.networks.machine import Machine
from moulage.networks.saved import Saved, load_classifier, save_classifier
from moulage.networks.witness import call_witness

TRAINING = pd.DataFrame(
    {
        "age": [20.0, np.nan, 40.0, 60.0],
        "sex": ["male", "female", "female", "Female "],
        "localization": ["back", "unknown", "back", "foot"],
    }
)
FITTED = fit_covariates(TRAINING, ("age", "sex", "localization"))


@pytest.fixture
def told_of(recipe_of: Callable[..., Recipe]) -> Callable[..., Classifier]:
    """Return a function that builds a tiny classifier that reads the covariates."""

    def build(seed: int = 0, hidden: tuple[int, ...] = (16,)) -> Classifier:
        recipe = recipe_of("test_efficientnet", hidden=hidden, size_px=32)
        return build_classifier(replace(recipe, covariates=FITTED), seed=seed).eval()

    return build


def images(n: int = 4) -> Tensor:
    return torch.rand((n, 3, 32, 32), generator=torch.Generator().manual_seed(42))


def covariates() -> Tensor:
    encoded = encode_covariates(FITTED, TRAINING)
    assert encoded is not None
    return torch.from_numpy(encoded)


def test_covariates_are_centred_on_training_by_pencil() -> None:
    encoded = encode_covariates(FITTED, TRAINING)
    assert encoded is not None
    assert encoded.shape == (4, width_of(FITTED)) == (4, 2 + 2 + 3)
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-7)
    spread = np.std([20, 40, 60])
    np.testing.assert_allclose(encoded[:, 0], [-20 / spread, 0, 0, 20 / spread], rtol=1e-6)
    assert encoded[:, 1].tolist() == [-0.25, 0.75, -0.25, -0.25]  # "age is unknown"
    assert encoded[:, 2].tolist() == [-0.75, 0.25, 0.25, 0.25]  # "female"
    assert encode_covariates((), TRAINING) is None


def test_what_training_never_saw_is_unknown_and_counted() -> None:
    table = pd.DataFrame(
        {"age": [None, 30.0], "sex": ["other", None], "localization": ["toe", " BACK"]}
    )
    encoded = encode_covariates(FITTED, table)
    assert encoded is not None
    blank = pd.DataFrame({"age": [np.nan], "sex": [np.nan], "localization": [""]})
    nothing = encode_covariates(FITTED, blank)
    assert nothing is not None
    assert encoded[0].tolist() == nothing[0].tolist()
    assert nothing[0, 2:4].tolist() == [0, 0], "training lacks no sex, so unknown is its mean"
    assert unknown_in_words(FITTED, table) == (
        "`age` is unknown of 1 of 2 images; unknown is a level of its own.",
        "`sex` is unknown of 2 of 2 images, 1 of them for training has no 'other'; unknown is the "
        "training mean, for training lacks none.",
        "`localization` is unknown of 1 of 2 images, 1 of them for training has no 'toe'; unknown "
        "is a level of its own.",
    )
    assert unknown_in_words(FITTED[1:2], TRAINING) == ()


@pytest.mark.parametrize(
    "word", ["NA", "n/a", "NaN", "null", "None", "#N/A", "unknown", "", "Missing", "not specified"]
)
def test_a_word_for_none_is_unknown_and_no_level(word: str) -> None:
    table = TRAINING.assign(
        age=["20", word, "40", "60"], localization=["back", word, "back", "foot"]
    )
    assert fit_covariates(table, ("age", "sex", "localization")) == FITTED
    alone = table.iloc[[1]].assign(sex=word)
    assert unknown_in_words(FITTED, alone)[1].startswith("`sex` is unknown of 1 of 1 images; ")


def test_what_cannot_be_fitted_or_read_is_refused() -> None:
    empty = TRAINING.assign(sex=["unknown", None, "", " "])
    with pytest.raises(DataError, match=r"got none of `sex` among 4 images\. Leave it out"):
        fit_covariates(empty, ("age", "sex"))
    odd = TRAINING.assign(age=["old", "200", "30", None])
    with pytest.raises(DataError, match=r"must lie in \[0, 120\] years; got old, 200\. Correct"):
        encode_covariates(FITTED[:1], odd)


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_a_head_with_covariates_counts_their_weights(
    told_of: Callable[..., Classifier],
    recipe_of: Callable[..., Recipe],
    hidden: tuple[int, ...],
) -> None:
    plain = build_classifier(recipe_of("test_efficientnet", hidden=hidden, size_px=32), seed=0)
    told, n_first = told_of(hidden=hidden), (*hidden, 3)[0]
    assert told.count_parameters() - plain.count_parameters() == width_of(FITTED) * n_first
    boundary = told.boundary("head")
    more = told.count_trainable(boundary) - plain.count_trainable(boundary)
    assert more == width_of(FITTED) * n_first


def test_a_classifier_that_reads_covariates_is_not_asked_without(
    told_of: Callable[..., Classifier],
) -> None:
    with pytest.raises(ConfigError, match="must be told them; got none where it reads 7 numbers"):
        told_of().logits(images())


def test_covariates_reach_the_first_dense_layer_by_hand(
    told_of: Callable[..., Classifier],
) -> None:
    told = told_of(hidden=())
    with torch.inference_mode():
        pooled = told.below(images(), told.boundary("head")).mean(dim=(2, 3))
        dense = told.head[-1]
        expected = dense(torch.cat([pooled, covariates()], dim=1))
        torch.testing.assert_close(told.logits(images(), covariates=covariates()), expected)


def test_a_classifier_with_covariates_comes_back_bit_for_bit(
    told_of: Callable[..., Classifier], tmp_path: Path
) -> None:
    told = told_of()
    save_classifier(Saved(classifier=told, prior=np.ones(3) / 3, temperature=1.0), tmp_path)
    again = load_classifier(tmp_path).classifier
    assert again.recipe == told.recipe
    with torch.inference_mode():
        assert torch.equal(
            again.answer(images(), covariates()), told.answer(images(), covariates())
        )
    contract = json.loads((tmp_path / "classifier.json").read_text())
    assert [one["name"] for one in contract["recipe"]["covariates"]] == [one.name for one in FITTED]
    other = replace(told.recipe, covariates=fit_covariates(TRAINING[:3], ("age", "sex")))
    assert build_classifier(other, seed=0).digest() != told.digest()


def test_a_committee_tells_its_members_what_they_read(
    told_of: Callable[..., Classifier], recipe_of: Callable[..., Recipe]
) -> None:
    plain = build_classifier(recipe_of("test_efficientnet", size_px=32), seed=1).eval()
    members = [told_of(), plain]
    together = committee_of(members, [1.0, 2.0]).eval()
    assert together.recipe.covariates == FITTED
    with torch.inference_mode():
        logs = [
            torch.log_softmax(members[0].answer(images(), covariates()), dim=1),
            torch.log_softmax(members[1].answer(images()) / 2, dim=1),
        ]
        ours = together.answer(images(), covariates())
    torch.testing.assert_close(ours, torch.stack(logs).mean(dim=0))
    with pytest.raises(ConfigError, match="must be told them"):
        together.answer(images())
    strange = replace(plain.recipe, covariates=FITTED[:1])
    with pytest.raises(ConfigError, match="must read the same, fitted on one training part; got 2"):
        committee_of([told_of(), build_classifier(strange, seed=0)], [1.0, 1.0])


def test_a_witness_keeps_the_covariates_while_pixels_vary(
    told_of: Callable[..., Classifier],
) -> None:
    told = told_of()
    machine = Machine(device="cpu", precision="float32", threads=1)
    saved = Saved(classifier=told, prior=np.ones(3) / 3, temperature=1.0)
    witness = call_witness(saved, machine, n_random_heads=1)
    pixels = (images() * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    each = witness.told(covariates().numpy())
    first = witness.told(covariates().numpy()[:1])
    np.testing.assert_allclose(first.classify(pixels)[0], each.classify(pixels)[0], rtol=1e-5)
    assert np.abs(first.classify(pixels)[1] - each.classify(pixels)[1]).max() > 1e-6
    assert first.classify_with_random_heads(pixels).shape == (4, 6)
    assert each.hidden(pixels).shape == (4, 16)
    assert each.contributions(pixels, np.zeros(4, dtype=np.int64)).shape[0] == 4


def test_contributions_leave_out_what_covariates_add(told_of: Callable[..., Classifier]) -> None:
    told = told_of(hidden=())
    with torch.inference_mode():
        maps = told.below(images(), told.boundary("head"))
        with_image = told.logits(maps, told.boundary("head"), covariates())
        without = told.logits(0 * maps, told.boundary("head"), covariates())
    found = contribution_maps(
        told, maps, diagnoses=np.zeros(4, dtype=np.int64), covariates=covariates()
    )
    np.testing.assert_allclose(
        found.sum(axis=(1, 2)), (with_image - without)[:, 0].numpy(), rtol=1e-4, atol=1e-5
    )
