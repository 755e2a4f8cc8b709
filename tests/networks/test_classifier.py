import copy
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from moulage.errors import ConfigError
from moulage.networks import thrift
from moulage.networks.classifier import (
    BatchNormPolicy,
    Classifier,
    Recipe,
    as_numpy,
    build_classifier,
    build_network,
    recipe_from,
    shape_at_head,
)

MakeRecipe = Callable[..., Recipe]

# DESIGN, section 8: backbone, hidden layers, last maps at 128 px, trainable, total
PAPER = [
    ("mobilenetv2_100", (128,), (1280, 4, 4), 2_622_727, 4_880_967),
    ("tf_mobilenetv3_large_100", (128,), (960, 4, 4), 1_967_367, 4_963_975),
    ("tf_mobilenetv3_small_100", (128,), (576, 4, 4), 1_180_935, 2_120_311),
    ("densenet201", (128,), (1920, 4, 4), 3_933_447, 22_255_687),
    ("densenet201", (512, 128), (1920, 4, 4), 15_796_999, 34_120_263),
]


def images_of(n_images: int = 6, seed: int = 42) -> Tensor:
    return torch.rand((n_images, 3, 64, 64), generator=torch.Generator().manual_seed(seed))


def step(classifier: Classifier, boundary: int, learning_rate: float = 0.1) -> None:
    """Take one step of gradient descent from the images on."""
    maps = images_of() if boundary == 0 else classifier.below(images_of(), boundary)
    scores = classifier(maps.detach(), boundary)
    nn.functional.cross_entropy(scores, torch.arange(6) % 3).backward()
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.grad is not None:
                parameter -= learning_rate * parameter.grad


def copy_of(classifier: Classifier) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in classifier.state_dict().items()}


def changed(classifier: Classifier, before: dict[str, Tensor]) -> set[str]:
    """Name the tensors whose bits differ from an earlier copy."""
    after = classifier.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(("name", "hidden", "shape", "n_trainable", "n_total"), PAPER)
def test_counts_are_those_of_keras(
    recipe_of: MakeRecipe,
    name: str,
    hidden: tuple[int, ...],
    shape: tuple[int, int, int],
    n_trainable: int,
    n_total: int,
) -> None:
    recipe = recipe_of(name, size_px=128, hidden=hidden, head="flatten", n_diagnoses=7)
    classifier = build_classifier(recipe, seed=0)
    assert shape_at_head(classifier.network, 128) == shape
    assert classifier.count_parameters() == n_total
    assert classifier.count_trainable(classifier.boundary("head")) == n_trainable


def test_the_seed_alone_decides_the_weights(recipe_of: MakeRecipe) -> None:
    recipe = recipe_of("mobilenetv2_100")
    torch.manual_seed(1)
    first = build_classifier(recipe, seed=3)
    torch.manual_seed(2)
    assert build_classifier(recipe, seed=3).digest() == first.digest()
    assert build_classifier(recipe, seed=4).digest() != first.digest()


def test_building_leaves_the_global_generator_alone(recipe_of: MakeRecipe) -> None:
    before = torch.random.get_rng_state()
    build_classifier(recipe_of("mobilenetv2_100"), seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_logits_are_those_of_standardised_images(classifier: Classifier) -> None:
    mean, std = (np.array(x) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    images = images_of(2)
    inputs = (images.permute(0, 2, 3, 1).double().numpy() - mean) / std
    with torch.inference_mode():
        maps = classifier.network.forward_features(  # type: ignore[operator]
            torch.from_numpy(inputs).permute(0, 3, 1, 2).float()
        )
        torch.testing.assert_close(classifier(images), classifier.head(maps), rtol=1e-4, atol=1e-5)


def test_the_boundary_does_not_change_the_logits(classifier: Classifier) -> None:
    with torch.inference_mode():
        expected = classifier.logits(images_of(2))
        for boundary in range(1, len(classifier.stages) + 1):
            maps = classifier.below(images_of(2), boundary)
            assert torch.equal(classifier.logits(maps, boundary), expected)


def test_the_prior_shift_is_added_to_the_logits_alone(classifier: Classifier) -> None:
    shift = np.array([1.0, -2.0, 0.5])
    with torch.inference_mode():
        scores = classifier(images_of(2))
        classifier.set_prior_shift(shift)
        assert torch.equal(classifier(images_of(2)), scores)
        assert torch.equal(classifier.logits(images_of(2)), scores + torch.tensor(shift).float())


@pytest.mark.parametrize("policy", ["update", "fixed"])
@pytest.mark.parametrize("name", ["head", "blocks.5", "all"])
def test_a_step_leaves_what_lies_below_the_boundary_bit_equal(
    classifier: Classifier, name: str, policy: BatchNormPolicy
) -> None:
    boundary = classifier.boundary(name)
    below = {
        id(tensor)
        for stage in classifier.stages[:boundary]
        for module in stage.modules
        for tensor in (*module.parameters(), *module.buffers())
    }
    before = copy_of(classifier)
    classifier.train_above(boundary, policy)
    step(classifier, boundary)
    named = dict((*classifier.named_parameters(), *classifier.named_buffers()))
    assert changed(classifier, before)
    assert not {n for n in changed(classifier, before) if id(named[n]) in below}


def test_updated_statistics_follow_the_data_above_the_boundary(classifier: Classifier) -> None:
    before = copy_of(classifier)
    classifier.train_above(classifier.boundary("blocks.5"), "update")
    step(classifier, classifier.boundary("blocks.5"))
    moved = {name for name in changed(classifier, before) if name.endswith("running_mean")}
    expected = {
        name
        for name in classifier.state_above(classifier.boundary("blocks.5"))
        if name.endswith("running_mean")
    }
    assert moved == expected


def test_fixed_statistics_stay_while_weights_and_the_head_move(classifier: Classifier) -> None:
    before = copy_of(classifier)
    classifier.train_above(0, "fixed")
    step(classifier, 0)
    names = changed(classifier, before)
    statistics = {name for name in names if "running_" in name or "num_batches" in name}
    assert statistics
    assert all(name.startswith("head.") for name in statistics)
    weights = {name for name, _ in classifier.named_parameters()}
    assert {name for name in weights if "conv" in name} <= names


def test_each_call_of_train_above_undoes_the_last(classifier: Classifier) -> None:
    classifier.train_above(0, "update")
    everything = sum(p.numel() for p in classifier.parameters() if p.requires_grad)
    assert everything == classifier.count_trainable(0)
    classifier.train_above(classifier.boundary("head"), "update")
    head_alone = sum(p.numel() for p in classifier.parameters() if p.requires_grad)
    assert head_alone == classifier.count_trainable(classifier.boundary("head"))
    assert not any(module.training for module in classifier.network.modules())
    assert all(module.training for module in classifier.head.modules())


def test_the_state_above_all_is_the_whole_state(classifier: Classifier) -> None:
    state = set(classifier.state_dict()) - {"prior_shift"}
    assert set(classifier.state_above(0)) == state
    head = classifier.state_above(classifier.boundary("head"))
    assert set(head) == {name for name in state if name.startswith("head.")}
    assert head["head.2.weight"] is classifier.get_parameter("head.2.weight")


def test_the_digest_below_follows_what_lies_below_and_nothing_else(classifier: Classifier) -> None:
    boundary = classifier.boundary("blocks.3")
    digest = classifier.digest_below(boundary)
    _touch(classifier, boundary)
    assert classifier.digest_below(boundary) == digest
    _touch(classifier, boundary - 1)
    assert classifier.digest_below(boundary) != digest


def test_the_digest_below_follows_running_statistics(classifier: Classifier) -> None:
    digest = classifier.digest_below(1)
    with torch.no_grad():
        classifier.network.get_buffer("bn1.running_mean").add_(1e-6)
    assert classifier.digest_below(1) != digest


def test_the_digest_below_follows_the_scaling(recipe_of: MakeRecipe) -> None:
    recipe = recipe_of("mobilenetv2_100")
    fields = recipe.as_dict()
    fields["contract"]["scaling"] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    other = build_classifier(recipe_from(fields), seed=0)
    assert other.digest_below(3) != build_classifier(recipe, seed=0).digest_below(3)


def test_the_digest_follows_the_prior_shift_and_survives_a_copy(classifier: Classifier) -> None:
    digest = classifier.digest()
    assert copy.deepcopy(classifier).digest() == digest
    classifier.set_prior_shift(np.array([0.1, 0.0, 0.0]))
    assert classifier.digest() != digest


def test_a_copy_computes_the_same_and_is_independent(classifier: Classifier) -> None:
    copied = copy.deepcopy(classifier)
    with torch.inference_mode():
        expected = classifier(images_of(2))
        _touch(copied, 0)
        assert torch.equal(classifier(images_of(2)), expected)
        assert not torch.equal(copied(images_of(2)), expected)


def test_a_recipe_survives_json(recipe_of: MakeRecipe) -> None:
    recipe = recipe_of("densenet201", hidden=(512, 128))
    assert recipe_from(json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_a_size_that_does_not_suit_the_backbone_is_refused(recipe_of: MakeRecipe) -> None:
    with pytest.raises(ConfigError, match=r"`size` must suit the backbone; got 100 px"):
        build_classifier(recipe_of("test_vit", size_px=100), seed=0)


def test_layers_above_the_pooling_are_left_out() -> None:
    names = set(build_network("tf_mobilenetv3_small_100", seed=0).state_dict())
    assert not {name for name in names if name.startswith(("conv_head", "classifier"))}
    assert "conv_head.weight" in build_network("mobilenetv2_100", seed=0).state_dict()


def test_measuring_the_maps_keeps_the_mode_of_the_network() -> None:
    network = build_network("mobilenetv2_100", seed=0).train()
    before = network.get_buffer("bn1.running_mean").clone()
    assert shape_at_head(network, 64) == (1280, 2, 2)
    assert network.training
    assert all(module.training for module in network.modules())
    assert torch.equal(network.get_buffer("bn1.running_mean"), before)


def test_bfloat16_becomes_float32_for_numpy() -> None:
    values = as_numpy(torch.tensor([1.5, -2.0], dtype=torch.bfloat16, requires_grad=True))
    assert values.dtype == np.float32
    assert values.tolist() == [1.5, -2.0]


def _touch(classifier: Classifier, stage: int) -> None:
    """Change the first weights of one stage a little."""
    module = classifier.stages[stage].modules[0]
    with torch.no_grad():
        next(module.parameters()).add_(1e-3)


def test_a_batch_too_large_to_keep_is_trained_with_the_same_bits(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> int:
        """Train on a copy for a step; return the bytes kept for its gradient."""
        trained, places = copy.deepcopy(classifier), {}
        trained.train_above(0, "update")
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: places.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t
        ):
            loss = trained(images_of()).square().mean()
        loss.backward()
        steps.append([parameter.grad for parameter in trained.parameters()])
        states.append(trained.state_dict())
        return sum(tensor.untyped_storage().nbytes() for tensor in places.values())

    steps: list[list[Tensor | None]] = []
    states: list[dict[str, Tensor]] = []
    as_usual = kept()
    monkeypatch.setattr(thrift, "_MOST_BYTES", 0)
    assert kept() < as_usual / 2
    for one, other in zip(*steps, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)  # type: ignore[arg-type]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
