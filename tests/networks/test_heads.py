import math

import numpy as np
import pytest
import torch
from torch import nn

from moulage.networks.heads import Dropout, Flatten, Head, HeadKind, Pool, build_head


def head_of(kind: HeadKind = "flatten", hidden: tuple[int, ...] = (8, 4), seed: int = 0) -> Head:
    return build_head(
        kind=kind,
        maps_shape=(6, 2, 3),
        hidden=hidden,
        dropout=0.25,
        n_classes=5,
        generator=torch.Generator().manual_seed(seed),
    )


def test_flatten_lays_maps_out_as_keras_does() -> None:
    maps = np.arange(2 * 4 * 3 * 2, dtype=np.float32).reshape(2, 4, 3, 2)  # (N, D, h, w)
    expected = maps.transpose(0, 2, 3, 1).reshape(2, -1)
    assert np.array_equal(Flatten()(torch.from_numpy(maps)).numpy(), expected)


def test_flatten_copies_nothing_of_channels_last_maps() -> None:
    maps = torch.rand(2, 4, 3, 3).to(memory_format=torch.channels_last)
    assert Flatten()(maps).data_ptr() == maps.data_ptr()


def test_pool_averages_each_map() -> None:
    maps = torch.arange(12.0).reshape(1, 3, 2, 2)
    assert Pool()(maps).tolist() == [[1.5, 5.5, 9.5]]


def test_each_hidden_layer_is_dropout_dense_relu_batchnorm() -> None:
    kinds = [type(layer).__name__ for layer in head_of()]
    hidden = ["Dropout", "Linear", "ReLU", "BatchNorm1d"]
    assert kinds == ["Flatten", *hidden, *hidden, "Linear"]
    assert {layer.rate for layer in head_of() if isinstance(layer, Dropout)} == {0.25}


def test_without_hidden_layers_dropout_stands_before_the_last() -> None:
    kinds = [type(layer).__name__ for layer in head_of("pooled", hidden=())]
    assert kinds == ["Pool", "Dropout", "Linear"]


@pytest.mark.parametrize(("kind", "n_in"), [("flatten", 36), ("pooled", 6)])
def test_widths_follow_the_maps(kind: HeadKind, n_in: int) -> None:
    dense = [layer for layer in head_of(kind) if isinstance(layer, nn.Linear)]
    widths = [(layer.in_features, layer.out_features) for layer in dense]
    assert widths == [(n_in, 8), (8, 4), (4, 5)]


def test_dense_layers_start_as_in_keras() -> None:
    for layer in head_of():
        if isinstance(layer, nn.Linear):
            limit = math.sqrt(6 / (layer.in_features + layer.out_features))
            assert float(layer.weight.detach().abs().max()) <= limit
            assert not layer.bias.detach().any()


def test_the_generator_alone_decides_the_weights() -> None:
    torch.manual_seed(1)
    first = head_of(seed=3).state_dict()
    torch.manual_seed(2)
    again, other = head_of(seed=3).state_dict(), head_of(seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["2.weight"], other["2.weight"])


@pytest.mark.parametrize("rate", [0.0001, 0.1, 0.5, 0.75, 0.9999])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float, kind: torch.dtype) -> None:
    torch.manual_seed(42)
    features = torch.ones(499, 997, dtype=kind)
    dropped = Dropout(rate)(features)
    nearest = min(max(round(rate * 256), 1), 255) / 256
    assert abs(nearest - rate) < 1 / 255
    error = math.sqrt(nearest * (1 - nearest))
    share = float((dropped == 0).double().mean())
    assert abs(share - nearest) < 5 * error / math.sqrt(features.numel())
    enlarged = float(torch.tensor(1 / (1 - nearest), dtype=kind))
    assert set(dropped.unique().tolist()) == {0.0, enlarged}
    columns = (dropped == 0).double().mean(dim=0)  # no place is dropped more often than others
    assert float(columns.std()) < 1.2 * error / math.sqrt(499)


def test_the_gradient_is_dropped_and_enlarged_as_the_features_are() -> None:
    features = torch.ones(40, 30, requires_grad=True)
    torch.manual_seed(3)
    dropped = Dropout(0.3)(features)
    dropped.backward(torch.full((40, 30), 2.0))
    assert features.grad is not None
    assert set((dropped == 0).flatten().tolist()) == {True, False}
    assert torch.equal(features.grad, 2 * dropped.detach())


def test_dropout_is_a_function_of_the_seed_and_silent_in_evaluation() -> None:
    layer, features = Dropout(0.3), torch.rand(7, 5)
    draws = [(torch.manual_seed(seed), layer(features))[1] for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert layer.eval()(features) is features


def test_a_heads_own_generator_drops_what_torchs_would() -> None:
    head, maps = head_of(), torch.rand(5, 6, 2, 3)
    torch.manual_seed(9)
    expected = head.train()(maps.clone())
    head.seed(9)
    torch.manual_seed(1)
    assert torch.equal(head(maps.clone()), expected)
    assert not torch.equal(head(maps.clone()), expected)


def test_what_is_dropped_does_not_depend_on_the_batches_before() -> None:
    fresh, used = Dropout(0.3), Dropout(0.3)
    for size, kind in ((40, torch.float32), (4000, torch.float32), (3, torch.bfloat16)):
        used(torch.ones(size, 500, dtype=kind))
    for size in (7, 90):
        draws = [(torch.manual_seed(4), layer(torch.ones(size, 500)))[1] for layer in (fresh, used)]
        assert torch.equal(*draws)


def test_calls_drop_independently_of_each_other() -> None:
    torch.manual_seed(5)
    layer, n_calls, shape = Dropout(0.5), 40, (128, 256)
    dropped = torch.stack([layer(torch.ones(shape)).flatten() == 0 for _ in range(n_calls)])
    alike = torch.corrcoef(dropped.double())[~torch.eye(n_calls, dtype=torch.bool)]
    n_features = dropped.shape[1]
    assert float(alike.abs().max()) < 5.5 / math.sqrt(n_features)
    assert abs(float(alike.std()) * math.sqrt(n_features) - 1) < 0.1
    often = dropped.double().mean(dim=0)  # no feature is dropped in more calls than others
    assert abs(float(often.std()) * math.sqrt(n_calls) / 0.5 - 1) < 0.05


def test_features_are_written_over_only_where_it_is_asked_for_and_no_gradient_needs_them() -> None:
    def drop(features: torch.Tensor, *, inplace: bool) -> torch.Tensor:
        torch.manual_seed(6)
        return torch.as_tensor(Dropout(0.3, inplace=inplace)(features))

    kept = torch.rand(40, 30)
    before = kept.clone()
    dropped = drop(kept, inplace=False)
    assert torch.equal(kept, before)
    wanted = kept.clone().requires_grad_()
    assert torch.equal(drop(wanted, inplace=True), dropped)
    assert torch.equal(wanted.detach(), before)
    assert drop(kept, inplace=True) is kept
    assert torch.equal(kept, dropped)
