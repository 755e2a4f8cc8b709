import math
from typing import Any

import pytest
import torch
from torch import nn

from moulage.training.optimizers import build_optimizer, scheduled_rate


def rates(n_steps: int, **options: Any) -> list[float]:
    given = {"kind": "constant", "peak": 1.0, "warmup": 0.0} | options
    return [scheduled_rate(step, n_steps, **given) for step in range(n_steps)]


@pytest.mark.parametrize("n_steps", [12, 97, 300])
@pytest.mark.parametrize("warmup", [0.1, 0.15, 0.3])
@pytest.mark.parametrize("peak", [1e-3, 0.7])
def test_one_cycle_equals_torchs(n_steps: int, warmup: float, peak: float) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=peak, total_steps=n_steps, pct_start=warmup, three_phase=False
    )
    expected = []
    for _ in range(n_steps):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        if len(expected) < n_steps:
            theirs.step()
    ours = rates(n_steps, kind="one_cycle", peak=peak, warmup=warmup)
    assert ours == pytest.approx(expected, rel=1e-9, abs=peak * 1e-12)


@pytest.mark.parametrize("n_steps", [1, 2, 3])
@pytest.mark.parametrize("kind", ["constant", "cosine", "one_cycle", "ramp"])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 0.99])
def test_the_shortest_phases_have_finite_positive_rates(
    n_steps: int, kind: str, warmup: float
) -> None:
    assert all(0 < rate <= 1 for rate in rates(n_steps, kind=kind, warmup=warmup))


def test_constant_stays() -> None:
    assert rates(5, peak=0.3) == [0.3] * 5


def test_cosine_by_pencil() -> None:
    root = math.sqrt(0.5)
    assert rates(4, kind="cosine") == pytest.approx([1, (1 + root) / 2, 0.5, (1 - root) / 2])


def test_warm_up_climbs_in_equal_steps_to_the_peak() -> None:
    assert rates(8, warmup=0.5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
    warmed = rates(8, kind="cosine", warmup=0.25)
    assert warmed[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert warmed[2:] == sorted(warmed[2:], reverse=True)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_norms_and_biases_are_not_decayed(kind: Any) -> None:
    module = network()
    module[0].bias.requires_grad_(False)
    optimizer = build_optimizer(module, kind=kind, learning_rate=0.1, weight_decay=0.5)
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    found = {name: decay.get(id(p)) for name, p in module.named_parameters()}
    assert found == {
        "0.weight": 0.5,
        "0.bias": None,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "3.weight": 0.5,
        "3.bias": 0.0,
    }


@pytest.mark.parametrize(("decay", "n_groups"), [(0.0, 1), (0.5, 2)])
def test_groups_are_as_few_as_decay_allows_and_number_weights_alike(
    decay: float, n_groups: int
) -> None:
    module = network()
    optimizer = build_optimizer(module, kind="adamw", learning_rate=0.1, weight_decay=decay)
    assert len(optimizer.param_groups) == n_groups
    found = [p.ndim for group in optimizer.param_groups for p in group["params"]]
    assert found == [4, 2, 1, 1, 1, 1]


def test_decay_shrinks_weights_by_pencil() -> None:
    module = nn.Linear(2, 1)
    with torch.no_grad():
        module.weight.fill_(1.0)
        module.bias.fill_(1.0)
    optimizer = build_optimizer(module, kind="adamw", learning_rate=0.1, weight_decay=0.5)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(module.weight, torch.full((1, 2), 0.95))
    assert module.bias.item() == 1.0


@pytest.mark.parametrize(("kind", "theirs"), [("adam", torch.optim.Adam), ("adamw", None)])
def test_steps_equal_torchs_plain_optimizer(kind: Any, theirs: Any) -> None:
    torch.manual_seed(0)
    ours, reference = nn.Linear(6, 3), nn.Linear(6, 3)
    reference.load_state_dict(ours.state_dict())
    maker = theirs or torch.optim.AdamW
    plain = maker(reference.parameters(), lr=0.01, weight_decay=0.0, fused=False, foreach=False)
    optimizer = build_optimizer(ours, kind=kind, learning_rate=0.01, weight_decay=0.0)
    inputs = torch.randn(8, 6)
    for _ in range(10):
        for module, stepper in ((ours, optimizer), (reference, plain)):
            stepper.zero_grad()
            module(inputs).square().mean().backward()
            stepper.step()
    torch.testing.assert_close(ours.weight, reference.weight, rtol=1e-4, atol=1e-6)
